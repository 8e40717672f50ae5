/** Probes and quotas on the file systems at hand. */

import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdir, readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';

import { loadAddon } from '../../src/host/addon.js';
import { probeHome } from '../../src/host/probe.js';
import { createQuota } from '../../src/host/quota.js';
import { ScratchHome, cannotMount } from './scratch-home.js';

const addon = loadAddon();
const strict = { overrideKernelCheck: false };

test('a home on the file system of the scratch directory', { skip: cannotMount }, async (t) => {
  const home = await ScratchHome.make(t);
  const probe = await probeHome(addon, home.path, strict);
  assert.notEqual(probe.backingFileSystem, '<unknown>');
  assert.ok(probe.supportsDType && probe.nativeDiff);
  assert.ok(probe.overlay.parameters.has('index'));
  assert.deepEqual(probe.warnings, []);
  assert.deepEqual([await readdir(home.path), await home.mounts()], [['l'], []]);
});

test('what a killed probe left is cleaned up', { skip: cannotMount }, async (t) => {
  const home = await ScratchHome.make(t);
  const plan = await home.plan(await home.lowers(2), { target: join(home.path, '.probe/merged') });
  await mkdir(join(home.path, '.probe'));
  await home.mounter('mount').mount(plan);
  await probeHome(addon, home.path, strict);
  assert.deepEqual(await home.mounts(), []);
  assert.ok(!(await readdir(home.path)).includes('.probe'));
});

test(
  'a home inside an overlay cannot hold upper layers: that is told, and nothing is left',
  { skip: cannotMount },
  async (t) => {
    const home = await ScratchHome.make(t);
    const plan = await home.plan(await home.lowers(2));
    await home.mounter('mount').mount(plan);
    await assert.rejects(probeHome(addon, plan.target, strict), {
      code: 'failed_precondition',
      message: /do not work in .*\(on overlayfs\).*put the directory on ext4/,
    });
    assert.equal((await home.mounts()).length, 1);
    const forced = await probeHome(addon, plan.target, { overrideKernelCheck: true });
    assert.match(forced.warnings[0] ?? '', /do not work/);
    assert.equal(forced.nativeDiff, false);
  },
);

const noUserNamespace =
  spawnSync('unshare', ['-U', '-r', '-m', 'true']).status === 0
    ? false
    : 'NO USER NAMESPACES HERE: not tested';

test(
  'in a user namespace attributes of users are taken',
  { skip: cannotMount || noUserNamespace },
  async (t) => {
    const home = await ScratchHome.make(t);
    const at = (name: string) => JSON.stringify(new URL(`../../src/host/${name}.js`, import.meta.url).href);
    const script = `
    import { loadAddon } from ${at('addon')};
    import { probeHome } from ${at('probe')};
    console.log(JSON.stringify(await probeHome(loadAddon(), ${JSON.stringify(home.path)}, { overrideKernelCheck: false })));`;
    const node = [process.execPath, '--input-type=module', '-e', script];
    const probe = JSON.parse(execFileSync('unshare', ['-U', '-r', '-m', ...node], { encoding: 'utf8' }));
    assert.equal(probe.overlay.userNamespace, true);
    assert.deepEqual([probe.supportsDType, probe.nativeDiff, probe.projectQuota], [true, true, false]);
    assert.equal(probe.quotaRefusal, 'not in a user namespace');
    assert.deepEqual(await readdir(home.path), ['l']);
  },
);

test('a project quota holds', { skip: cannotMount }, async (t) => {
  const home = await ScratchHome.make(t);
  const { projectQuota, quotaRefusal, backingFileSystem } = await probeHome(addon, home.path, strict);
  if (!projectQuota)
    return t.skip(`NO PROJECT QUOTAS HERE (${backingFileSystem}: ${quotaRefusal}): not tested`);
  const layer = join(home.path, 'layer');
  await mkdir(layer);
  await createQuota(addon, { home: home.path, refusal: quotaRefusal }).limit(layer, 1 << 20);
  await mkdir(join(layer, 'diff'));
  await writeFile(join(layer, 'diff/small'), Buffer.alloc(1 << 18));
  await assert.rejects(writeFile(join(layer, 'diff/large'), Buffer.alloc(2 << 20)), /EDQUOT|ENOSPC/);
  assert.equal((await readFile(join(layer, 'diff/small'))).length, 1 << 18);
});
