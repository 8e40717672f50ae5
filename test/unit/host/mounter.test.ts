import assert from 'node:assert/strict';
import { test } from 'node:test';

import { createMounter, fixedOptions } from '../../../src/host/mounter.js';
import type { OverlayMount } from '../../../src/core/mount-plan.js';
import type { MountFunctions, NativeMount } from '../../../src/host/addon.js';
import { systemError } from './system-error.js';

const parameters = new Set(['index', 'redirect_dir', 'metacopy', 'xino_auto']);
const config = { api: 'fsopen', home: '/home', parameters, userNamespace: false, uid: 1, gid: 2 } as const;

const PLAN: OverlayMount = {
  type: 'overlay',
  target: '/home/a/merged',
  lowers: ['/home/l/B', '/home/l/C'],
  writable: { upper: '/home/a/diff', work: '/home/a/work' },
  options: ['nodev'],
  context: null,
  remote: false,
};

function addon(fault?: Error): MountFunctions & { readonly mounts: NativeMount[] } {
  const mounts: NativeMount[] = [];
  const fail = () => (fault ? Promise.reject(fault) : Promise.resolve());
  const locateDirectory = () => fail().then(() => null);
  return { mounts, mountOverlay: (mount) => (mounts.push(mount), fail()), locateDirectory, unmount: fail };
}

test('the plan, and what every mount of ours has', async () => {
  const native = addon();
  await createMounter(native, config).mount(PLAN);
  assert.deepEqual(native.mounts, [
    {
      target: '/home/a/merged',
      lowers: '/home/l/B\0/home/l/C\0',
      upper: '/home/a/diff',
      work: '/home/a/work',
      options: 'index=off\0redirect_dir=off\0metacopy=off\0nodev\0',
      context: null,
      home: '/home',
      api: 'fsopen',
      uid: 1,
      gid: 2,
      remote: false,
    },
  ]);
});

test('options that a kernel does not know are left out; a user namespace has its own', () => {
  assert.deepEqual(fixedOptions({ ...config, parameters: new Set() }), []);
  assert.deepEqual(fixedOptions({ ...config, userNamespace: true }), ['index=off', 'userxattr']);
});

test('labels with characters that would end them are refused unseen', async () => {
  const native = addon();
  for (const context of ['', 'a"b', 'a\\', 'a\0b', 'a\nb', 'x'.repeat(256)]) {
    await assert.rejects(createMounter(native, config).mount({ ...PLAN, context }), {
      code: 'invalid_argument',
    });
  }
  assert.deepEqual(native.mounts, []);
  await createMounter(native, config).mount({
    ...PLAN,
    context: 'system_u:object_r:container_file_t:s0:c1,c2',
  });
});

test('errno becomes a code; EINVAL with a label speaks of SELinux', async () => {
  await assert.rejects(createMounter(addon(systemError('EBUSY')), config).mount(PLAN), {
    code: 'failed_precondition',
    op: 'mount',
    path: '/home/a/merged',
  });
  const labelled = { ...PLAN, context: 'a:b:c:s0' };
  await assert.rejects(
    createMounter(addon(systemError('EINVAL')), config).mount(labelled),
    /SELinux label a:b:c:s0/,
  );
  await assert.rejects(createMounter(addon(systemError('ENOENT')), config).mount(PLAN), {
    code: 'data_loss',
    message: /is gone: bring it back, or remove the image and pull it again/,
  });
  await assert.rejects(createMounter(addon(systemError('EIO')), config).unmount('/home/a/merged'), {
    code: 'data_loss',
    op: 'unmount',
  });
});
