/** Probes over a fake kernel: what they conclude from its answers. The real one is asked in test/native. */

import assert from 'node:assert/strict';
import { cp, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';

import { fileSystemName } from '../../../src/host/file-systems.js';
import { isUserNamespace, probeHome } from '../../../src/host/probe.js';
import type { HostAddon } from '../../../src/host/addon.js';
import { systemError } from './system-error.js';

async function makeHome(t: TestContext): Promise<string> {
  const home = await mkdtemp(join(tmpdir(), 'thinlayer-probe-'));
  t.after(() => rm(home, { recursive: true }));
  return home;
}

/** A kernel without faults, whose mounts are copies of the lowest layer. */
function kernel(change: Partial<HostAddon> = {}): HostAddon {
  const nothing = () => Promise.resolve();
  return {
    mountOverlay: ({ lowers, target }) => cp(lowers.split('\0').at(-2) ?? '', target, { recursive: true }),
    locateDirectory: () => Promise.resolve(null),
    unmount: (path) => rm(path, { recursive: true, force: true }),
    supportsDType: () => Promise.resolve(true),
    lockFile: () => Promise.reject(systemError('ENOSYS')),
    syncfs: nothing,
    setXattr: nothing,
    getXattr: () => Promise.resolve(null),
    projectId: () => Promise.reject(systemError('ENOTTY')),
    setProjectId: nothing,
    limitProject: nothing,
    limitProjectOnDevice: nothing,
    makeBackingDevice: nothing,
    ...change,
  };
}

const strict = { overrideKernelCheck: false };

test('all is well, and nothing is left in the home', async (t) => {
  const home = await makeHome(t);
  const probe = await probeHome(kernel(), home, strict);
  assert.deepEqual(
    [
      probe.mountApi,
      probe.supportsDType,
      probe.nativeDiff,
      probe.projectQuota,
      probe.quotaRefusal,
      probe.warnings,
    ],
    ['fsopen', true, true, false, 'call: ENOTTY', []],
  );
  assert.deepEqual(await readdir(home), []);
});

test('mount(2) is taken where the newer interface does not work', async (t) => {
  const { mountOverlay } = kernel();
  const old = kernel({
    mountOverlay: (mount) =>
      mount.api === 'fsopen' ? Promise.reject(systemError('ENOSYS')) : mountOverlay(mount),
  });
  const probe = await probeHome(old, await makeHome(t), strict);
  assert.deepEqual([probe.mountApi, probe.overlay.api], ['mount', 'mount']);
});

for (const [errno, advice] of [
  ['ENODEV', /modprobe overlay/],
  ['EINVAL', /ext4, or on xfs made with ftype=1/],
  ['EPERM', /CAP_SYS_ADMIN/],
] as const) {
  test(`${errno} of every mount says what to do; overridden it is a warning`, async (t) => {
    const home = await makeHome(t);
    const broken = kernel({ mountOverlay: () => Promise.reject(systemError(errno)) });
    await assert.rejects(probeHome(broken, home, strict), { code: 'failed_precondition', message: advice });
    assert.deepEqual(await readdir(home), []);
    const probe = await probeHome(broken, home, { overrideKernelCheck: true });
    assert.match(probe.warnings[0] ?? '', advice);
    assert.deepEqual([probe.nativeDiff, probe.supportsDType], [false, false]);
  });
}

test('no d_type is refused; overridden it is a warning', async (t) => {
  const blind = kernel({ supportsDType: () => Promise.resolve(false) });
  const home = await makeHome(t);
  await assert.rejects(probeHome(blind, home, strict), { code: 'failed_precondition', message: /ftype=1/ });
  const probe = await probeHome(blind, home, { overrideKernelCheck: true });
  assert.deepEqual([probe.supportsDType, probe.nativeDiff, probe.warnings.length], [false, true, 1]);
});

for (const [attribute, value, told] of [
  ['opaque', 'y', /opaque/],
  ['redirect', 'moved', /redirect_dir/],
  ['metacopy', '', /metacopy/],
] as const) {
  test(`the attribute ${attribute} on a copied-up file rules native diffs out`, async (t) => {
    const faulty = kernel({
      getXattr: (path, name) =>
        Promise.resolve(name.endsWith(`.${attribute}`) && basename(path) !== 'lower2' ? value : null),
    });
    const probe = await probeHome(faulty, await makeHome(t), strict);
    assert.equal(probe.nativeDiff, false);
    assert.match(probe.warnings[0] ?? '', told);
  });
}

test('a full home is not refused: the kernel is asked elsewhere, with a warning', async (t) => {
  const home = await makeHome(t);
  const { mountOverlay } = kernel();
  const full = kernel({
    mountOverlay: (mount) =>
      mount.target.startsWith(home) ? Promise.reject(systemError('ENOSPC')) : mountOverlay(mount),
  });
  const probe = await probeHome(full, home, strict, await makeHome(t));
  assert.deepEqual([probe.mountApi, probe.nativeDiff, probe.supportsDType], ['fsopen', true, true]);
  assert.match(probe.warnings.join(), /^\S+ was not probed, as it is full/);
  assert.deepEqual(await readdir(home), []);
});

test('a home that is not there', async () => {
  await assert.rejects(probeHome(kernel(), '/nonexistent/home', strict), { code: 'not_found', op: 'probe' });
});

test('the first user namespace maps everything to itself', () => {
  assert.ok(!isUserNamespace('         0          0 4294967295\n'));
  assert.ok(isUserNamespace('         0     100000      65536\n'));
});

test('file systems have the names that Docker shows', () => {
  assert.deepEqual(
    [0xef53, 0x58465342, 0x9123683e, 0x01021994, 0x794c7630, 0x9123683e | 0, 7].map(fileSystemName),
    ['extfs', 'xfs', 'btrfs', 'tmpfs', 'overlayfs', 'btrfs', '<unknown>'],
  );
});
