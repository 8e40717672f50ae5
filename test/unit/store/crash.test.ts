/** The daemon dies before each step of each change: the next start finds the old state or the new one, and tidies up. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdir, readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';

import { parseLayerId } from '../../../src/core/model.js';
import type { LayerStore } from '../../../src/core/ports.js';
import { newRecord, refusal } from '../../conformance/layer-store.js';
import { watchedDisk } from './disks.js';
import { listing, openLogged, testHome } from './home.js';

const A = parseLayerId('a');

interface Case {
  readonly change: (store: LayerStore) => Promise<unknown>;
  /** What tells the old state from the new. */
  readonly look: (store: LayerStore) => Promise<unknown>;
  /** The layer holds nothing before the change. */
  readonly fresh?: true;
}

const CASES: Record<string, Case> = {
  create: {
    change: (store) => store.create(newRecord('b', 'a')),
    look: async (store) => [...store.list()].map((info) => info.record.id).sort(),
  },
  update: {
    change: async (store) => store.update({ ...infoOf(store).record, size: 5 }),
    look: async (store) => infoOf(store).record.size,
  },
  commit: {
    fresh: true,
    async change(store) {
      const staging = await store.stage(A);
      await writeFile(`${staging.path}/new`, '');
      await staging.commit({ ...infoOf(store).record, state: 'applied', size: 5 });
    },
    look: stateAndFiles,
  },
  'commit to a layer that somebody wrote into meanwhile': {
    fresh: true,
    async change(store) {
      const { record, paths } = infoOf(store);
      const staging = await store.stage(A);
      await writeFile(`${staging.path}/new`, '');
      await writeFile(`${paths.diff}/written`, '');
      await assert.rejects(
        staging.commit({ ...record, state: 'applied', size: 5 }),
        refusal('failed_precondition', /layer a holds files already/),
      );
      await staging.discard();
    },
    look: stateAndFiles,
  },
  remove: {
    change: (store) => store.remove(A),
    look: async (store) => [...store.list()].map((info) => info.record.id),
  },
};

async function stateAndFiles(store: LayerStore): Promise<unknown> {
  const { record, paths } = infoOf(store);
  return [record.state, record.size, await readdir(paths.diff)];
}

for (const [name, { change, look, fresh: isFresh }] of Object.entries(CASES)) {
  test(`${name}: killed before any step`, async () => {
    const home = await testHome();
    try {
      const copies: { step: string; path: string }[] = [];
      let watching = false;
      const disk = watchedDisk((step) => {
        if (!watching) return;
        const path = `${home.home}-${copies.length}`;
        execFileSync('cp', ['-a', home.home, path]);
        copies.push({ step, path });
      });
      const { store } = await home.open({ disk });
      await store.create(newRecord('a'));
      if (!isFresh) await writeFile(`${infoOf(store).paths.diff}/old`, '');
      const old = JSON.stringify(await look(store));
      watching = true;
      await change(store);
      watching = false;
      const fresh = JSON.stringify(await look(store));
      await store.close();

      assert.ok(copies.length > 0);
      const seen = new Set<string>();
      for (const { step, path } of copies) {
        const again = await openLogged(path);
        const found = JSON.stringify(await look(again.store));
        await again.finish();
        assert.ok(found === old || found === fresh, `before ${step}: ${found}`);
        assert.deepEqual(again.complaints, [], step);
        await assertTidy(path, again.store, step);
        seen.add(found);
      }
      assert.ok(seen.has(old));
    } finally {
      await home.remove();
    }
  });
}

test('power was lost between the sync of a record and its rename: the record counts', async () => {
  const home = await testHome();
  try {
    const first = await home.open();
    await first.store.create(newRecord('a'));
    await first.store.close();
    const record = join(home.home, 'a', 'layer.json');
    execFileSync('mv', [record, `${record}.tmp`]);
    const second = await home.open();
    await second.finish();
    assert.deepEqual([...second.store.list()], [...first.store.list()]);
    assert.match(await readFile(record, 'utf8'), /"id": "a"/);
  } finally {
    await home.remove();
  }
});

test('power was lost after a commit, none of its renames reached the disk: the commit counts', async () => {
  const home = await testHome();
  try {
    const first = await home.open();
    const { record } = await first.store.create(newRecord('a'));
    await first.store.close();
    const root = join(home.home, 'a');
    await mkdir(join(root, 'staging'));
    await writeFile(join(root, 'staging/new'), '');
    await writeFile(
      join(root, 'layer.json.staged'),
      JSON.stringify({ ...record, state: 'applied', size: 1 }),
    );
    const second = await home.open();
    await second.finish();
    assert.equal(second.store.get(A)?.record.state, 'applied');
    assert.deepEqual(await readdir(join(root, 'diff')), ['new']);
    await assertTidy(home.home, second.store, 'commit');
  } finally {
    await home.remove();
  }
});

/** No directory, link or file that no layer owns. */
async function assertTidy(home: string, store: LayerStore, step: string): Promise<void> {
  const layers = [...store.list()];
  const expected = layers.map(({ record }) => `l/${record.link} -> ../${record.id}/diff`).sort();
  const paths = await listing(home);
  assert.deepEqual(
    paths.filter((line) => line.startsWith('l/') && line.includes('->')).sort(),
    expected,
    step,
  );
  const names = await readdir(home);
  assert.deepEqual(names.sort(), ['.trash', 'l', ...layers.map((info) => info.record.id)].sort(), step);
  assert.deepEqual(await readdir(join(home, '.trash')), [], step);
  for (const { record } of layers) {
    const wanted = ['diff', 'layer.json', 'link', ...(record.parent === null ? [] : ['lower', 'work'])];
    const found = (await readdir(join(home, record.id))).filter((entry) => entry !== 'committed');
    assert.deepEqual(found.sort(), wanted, step);
  }
}

function infoOf(store: LayerStore) {
  const info = store.get(A);
  assert.ok(info);
  return info;
}
