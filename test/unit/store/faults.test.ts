/** Each step of each change fails once, by a full disk and by a bad one: the change is refused, and all is as it was before. */

import assert from 'node:assert/strict';
import { lstat, mkdir, unlink, writeFile } from 'node:fs/promises';
import { test } from 'node:test';

import { parseLayerId } from '../../../src/core/model.js';
import type { LayerStore } from '../../../src/core/ports.js';
import { newRecord, refusal } from '../../conformance/layer-store.js';
import { failingDisk, watchedDisk } from './disks.js';
import { listing, testHome } from './home.js';

type Change = (store: LayerStore) => Promise<unknown>;

const A = parseLayerId('a');
const B = parseLayerId('b');
const LINK = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ';

const CHANGES: Record<string, Change> = {
  'create of a base layer': (store) => store.create(newRecord('c', null, { link: LINK })),
  'create of a child': (store) => store.create(newRecord('c', 'b', { link: LINK })),
  update: (store) => store.update({ ...record(store), size: 99 }),
  commit,
  remove: (store) => store.remove(B),
};

/** To a fresh layer: no other takes an archive. */
async function commit(store: LayerStore): Promise<void> {
  const staging = await store.stage(B);
  try {
    await writeFile(`${staging.path}/new`, 'new');
    await staging.commit({ ...record(store), size: 99 });
  } catch (error) {
    await staging.discard();
    throw error;
  }
}

const CODES = { ENOSPC: 'resource_exhausted', EIO: 'data_loss' } as const;

for (const [name, change] of Object.entries(CHANGES)) {
  for (const code of ['ENOSPC', 'EIO'] as const) {
    test(`${name}: any step may fail with ${code}`, async () => {
      let failures = 0;
      while (await failsCleanly(change, failures + 1, code)) failures += 1;
      assert.ok(failures > 0);
    });
  }
}

/** False once there is no step of that number. */
async function failsCleanly(change: Change, step: number, code: keyof typeof CODES): Promise<boolean> {
  const home = await testHome();
  const fault = failingDisk(step, code);
  try {
    const { store, finish } = await home.open({ disk: fault.disk, sync: 'records' });
    await store.create(newRecord('a', null, { link: LINK.replace('A', 'Z') }));
    await store.create(newRecord('b', 'a', { link: LINK.replace('A', 'Y') }));
    if (change !== commit) await writeFile(`${store.get(B)?.paths.diff}/old`, 'old');
    const before = { layers: [...store.list()], disk: await listing(home.home) };
    fault.arm();
    const error: unknown = await change(store).then(
      () => undefined,
      (reason: unknown) => reason,
    );
    await finish();
    if (error === undefined) return fault.failed() !== undefined;

    refusal(CODES[code], new RegExp(code))(error);
    assert.deepEqual([...store.list()], before.layers, fault.failed());
    assert.deepEqual(await listing(home.home), before.disk, fault.failed());
    const again = await home.open();
    await again.finish();
    assert.deepEqual([...again.store.list()].sort(byId), before.layers.sort(byId), fault.failed());
    assert.deepEqual(await listing(home.home), before.disk, fault.failed());
    return true;
  } finally {
    await home.remove();
  }
}

function record(store: LayerStore) {
  const info = store.get(B);
  assert.ok(info);
  return info.record;
}

function byId(x: { record: { id: string } }, y: { record: { id: string } }): number {
  return x.record.id < y.record.id ? -1 : 1;
}

test('a parent that was removed is not held by a child that failed', async () => {
  const home = await testHome();
  const fault = failingDisk(3, 'ENOSPC');
  try {
    const { store } = await home.open({ disk: fault.disk });
    await store.create(newRecord('a'));
    fault.arm();
    await assert.rejects(store.create(newRecord('b', 'a')), refusal('resource_exhausted', /layer b/));
    assert.equal(store.hasChildren(A), false);
    await store.remove(A);
    await store.close();
  } finally {
    await home.remove();
  }
});

test('a link that cannot be deleted does not keep its layer, and goes at the next start', async () => {
  const home = await testHome();
  const disk = watchedDisk((step) => {
    if (step.startsWith(`unlink ${home.home}/l/`))
      throw Object.assign(new Error('EIO: injected'), { code: 'EIO' });
  });
  try {
    const first = await home.open({ disk });
    const before = await listing(home.home);
    await first.store.create(newRecord('a', null));
    const link = first.store.links(A).own;
    await first.store.remove(A);
    assert.equal(first.store.get(A), undefined);
    assert.ok((await lstat(link)).isSymbolicLink());
    await first.finish();
    const second = await home.open();
    assert.deepEqual(await listing(home.home), before);
    await second.finish();
  } finally {
    await home.remove();
  }
});

/** As btrfs is when it is full to the brim: deleting goes, renaming does not. `broken`: a file that cannot be deleted. */
function fullDisk(broken?: string, code = 'ENOSPC') {
  let full = false;
  const disk = watchedDisk((step) => {
    if (!full) return;
    if (step.startsWith('rename')) throw Object.assign(new Error(`${code}: injected`), { code });
    if (broken !== undefined && step === `unlink ${broken}`)
      throw Object.assign(new Error('EIO: injected'), { code: 'EIO' });
  });
  return { disk, fill: () => void (full = true), free: () => void (full = false) };
}

// EXDEV: what has a project quota cannot be moved into a trash that took over another from the home.
for (const code of ['ENOSPC', 'EXDEV']) {
  test(`where nothing can be renamed (${code}), a layer is deleted in its place, and what was staged too`, () =>
    assertDeletedInPlace(code));
}

async function assertDeletedInPlace(code: string): Promise<void> {
  const home = await testHome();
  const { disk, fill } = fullDisk(undefined, code);
  try {
    const { store, finish } = await home.open({ disk });
    await store.create(newRecord('a', null));
    const before = await listing(home.home);
    await store.create(newRecord('b', null));
    await mkdir(`${store.get(B)?.paths.diff}/some/directory`, { recursive: true });
    const staging = await store.stage(A);
    await writeFile(`${staging.path}/new`, 'new');
    fill();
    await store.remove(B);
    await staging.discard();
    await finish();
    assert.deepEqual(await listing(home.home), before);
  } finally {
    await home.remove();
  }
}

test('a layer whose deletion in its place broke off is a broken one, also after a restart, and can be removed', async () => {
  const home = await testHome();
  const { disk, fill, free } = fullDisk(`${home.home}/b/link`);
  try {
    const first = await home.open({ disk });
    await first.store.create(newRecord('b', null));
    await writeFile(`${first.store.get(B)?.paths.diff}/file`, 'whole');
    fill();
    await assert.rejects(first.store.remove(B), refusal('data_loss', /EIO/));
    assert.match(first.store.broken().get(B) ?? '', /remove it again/);
    await first.store.close();
    await unlink(`${home.home}/b/link`);
    free();
    const second = await home.open({ disk });
    assert.match(second.store.broken().get(B) ?? '', /neither a record nor the files of overlay2/);
    await second.store.remove(B);
    await second.finish();
    assert.deepEqual(await listing(home.home), ['.trash/ 700', 'l/ 700']);
  } finally {
    await home.remove();
  }
});
