import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';

import { createQuota, probeQuota } from '../../../src/host/quota.js';
import type { QuotaFunctions } from '../../../src/host/addon.js';
import { systemError } from './system-error.js';

/** A file system with project quotas; `faults` are answers of single calls. */
class FakeQuota implements QuotaFunctions {
  readonly ids = new Map<string, number>();
  readonly limits = new Map<number, number>();
  readonly calls: string[] = [];
  readonly faults: Readonly<Record<string, string>>;

  constructor(faults: Readonly<Record<string, string>> = {}) {
    this.faults = faults;
  }

  #call(name: string, path: string): void {
    this.calls.push(name);
    if (this.faults[name])
      throw systemError(this.faults[name], `${name} ${path}: ${this.faults[name]}`, path);
  }

  async projectId(path: string): Promise<number> {
    this.#call('projectId', path);
    return this.ids.get(path) ?? 0;
  }

  async setProjectId(directory: string, id: number): Promise<void> {
    this.#call('setProjectId', directory);
    this.ids.set(directory, id);
  }

  async limitProject(directory: string, id: number, bytes: number): Promise<void> {
    this.#call('limitProject', directory);
    this.limits.set(id, bytes);
  }

  async limitProjectOnDevice(device: string, id: number, bytes: number): Promise<void> {
    this.#call('limitProjectOnDevice', device);
    this.limits.set(id, bytes);
  }

  async makeBackingDevice(directory: string, path: string): Promise<void> {
    this.#call('makeBackingDevice', directory);
    await writeFile(path, '');
  }
}

async function makeHome(t: TestContext, directories: readonly string[]): Promise<string> {
  const home = await mkdtemp(join(tmpdir(), 'thinlayer-quota-'));
  t.after(() => rm(home, { recursive: true }));
  for (const name of directories) await mkdir(join(home, name), { recursive: true });
  return home;
}

test('ids start behind the highest in use, also in the trash', async (t) => {
  const home = await makeHome(t, ['a', 'b', 'c', '.trash/d']);
  const fake = new FakeQuota();
  fake.ids.set(home, 10).set(join(home, 'a'), 12).set(join(home, '.trash/d'), 14);
  const quota = createQuota(fake, { home, refusal: null });
  await Promise.all([quota.limit(join(home, 'b'), 1000), quota.limit(join(home, 'c'), 2000)]);
  assert.deepEqual([fake.ids.get(join(home, 'b')), fake.ids.get(join(home, 'c'))].sort(), [15, 16]);
  assert.equal(fake.limits.get(fake.ids.get(join(home, 'b')) ?? 0), 1000);
  assert.equal(fake.limits.get(fake.ids.get(join(home, 'c')) ?? 0), 2000);
});

test('a directory keeps its id when it is limited again', async (t) => {
  const home = await makeHome(t, ['a']);
  const fake = new FakeQuota();
  const quota = createQuota(fake, { home, refusal: null });
  await quota.limit(join(home, 'a'), 1);
  await quota.limit(join(home, 'a'), 2);
  await createQuota(fake, { home, refusal: null }).limit(join(home, 'a'), 3);
  assert.deepEqual([...fake.limits], [[2, 3]]);
});

test('the probe sets no limit on an id of nobody', async (t) => {
  const home = await makeHome(t, []);
  const fake = new FakeQuota();
  assert.equal(await probeQuota(fake, home), null);
  assert.deepEqual([...fake.limits], [[1, 0]]);
});

test('without quotactl_fd the block device is asked', async (t) => {
  const home = await makeHome(t, []);
  const fake = new FakeQuota({ limitProject: 'ENOSYS' });
  assert.equal(await probeQuota(fake, home), null);
  assert.deepEqual(fake.calls, ['projectId', 'limitProject', 'makeBackingDevice', 'limitProjectOnDevice']);
  assert.ok(existsSync(join(home, 'backingFsBlockDev')));
});

for (const [call, errno] of [
  ['projectId', 'ENOTTY'],
  ['limitProject', 'ESRCH'],
  ['limitProject', 'EPERM'],
  ['makeBackingDevice', 'EPERM'],
  ['limitProjectOnDevice', 'ENOSYS'],
  ['limitProjectOnDevice', 'ENOTBLK'],
] as const) {
  test(`${errno} of ${call} means that there are no quotas`, async (t) => {
    const home = await makeHome(t, ['a']);
    const fake = new FakeQuota({
      ...(call.endsWith('Device') ? { limitProject: 'ENOSYS' } : {}),
      [call]: errno,
    });
    const refusal = await probeQuota(fake, home);
    assert.match(refusal ?? '', new RegExp(errno));
    assert.ok(!existsSync(join(home, 'backingFsBlockDev')));
    await assert.rejects(createQuota(fake, { home, refusal }).limit(join(home, 'a'), 1), {
      code: 'failed_precondition',
      message: /pquota.*mkfs\.ext4 -O quota,project/,
    });
  });
}

test('a fault is not taken for a lack of support', async (t) => {
  const home = await makeHome(t, []);
  await assert.rejects(probeQuota(new FakeQuota({ limitProject: 'EIO' }), home), { code: 'data_loss' });
});

test('after a failed scan the next limit scans again', async (t) => {
  const home = await makeHome(t, ['a']);
  const faults: Record<string, string> = { projectId: 'EIO' };
  const fake = new FakeQuota(faults);
  const quota = createQuota(fake, { home, refusal: null });
  await assert.rejects(quota.limit(join(home, 'a'), 1), { code: 'data_loss' });
  delete faults['projectId'];
  await quota.limit(join(home, 'a'), 1);
  assert.equal(fake.ids.get(join(home, 'a')), 2);
});
