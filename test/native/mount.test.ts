/** Overlay mounts by both interfaces of the kernel. */

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdir, open, readFile, readdir, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';

import type { ThinlayerError } from '../../src/core/errors.js';
import { readHomeMounts } from '../../src/host/mountinfo.js';
import { ScratchHome, cannotMount } from './scratch-home.js';
import type { MountApi } from '../../src/host/addon.js';

const APIS: readonly MountApi[] = ['fsopen', 'mount'];
const options = { skip: cannotMount };

const NAMES: Readonly<Record<string, string>> = {
  'a path of more than 255 bytes': Array.from({ length: 12 }, (_, i) => `directory-number-${i}-of-many`).join(
    '/',
  ),
  'colons, as managed plugins have': 'plugins/sha256:abc/rootfs',
  'commas and equal signs': 'a,upperdir=b,c',
  backslashes: 'a\\b\\\\c\\:d',
  'blanks and other letters': 'my  häuschen #1',
};

for (const api of APIS) {
  for (const count of [1, 2, 128]) {
    test(`${api}: ${count} lower layers`, options, async (t) => {
      const home = await ScratchHome.make(t);
      const plan = await home.plan(await home.lowers(count));
      await home.mounter(api).mount(plan);
      assert.equal((await readdir(plan.target)).length, count);
      await writeFile(join(plan.target, 'new'), 'written');
      assert.equal(await readFile(join(home.path, 'top/diff/new'), 'utf8'), 'written');
      await home.mounter(api).unmount(plan.target);
      assert.ok(!existsSync(plan.target));
      assert.deepEqual(await home.mounts(), []);
    });
  }

  test(`${api}: the uppermost lower is first`, options, async (t) => {
    const home = await ScratchHome.make(t);
    const lowers = await home.lowers(3);
    for (const i of [0, 1, 2]) await writeFile(join(home.path, `lower${i}/diff/same`), `from ${i}`);
    const plan = await home.plan(lowers);
    await home.mounter(api).mount(plan);
    assert.equal(await readFile(join(plan.target, 'same'), 'utf8'), 'from 0');
  });

  for (const [what, name] of Object.entries(NAMES)) {
    test(`${api}: a home with ${what}`, options, async (t) => {
      const home = await ScratchHome.make(t, name);
      const plan = await home.plan(await home.lowers(2));
      await home.mounter(api).mount(plan);
      assert.deepEqual((await readdir(plan.target)).sort(), ['lower0', 'lower1']);
      await writeFile(join(plan.target, 'new'), 'written');
      assert.ok(existsSync(join(home.path, 'top/diff/new')));
      assert.deepEqual((await readHomeMounts(home.path)).layers, [
        { id: 'top', kind: 'merged', target: plan.target },
      ]);
      await home.mounter(api).unmount(plan.target);
      assert.deepEqual(await home.mounts(), []);
    });
  }

  test(`${api}: 128 lower layers in a home with a long path`, options, async (t) => {
    const home = await ScratchHome.make(t, 'x'.repeat(120));
    const plan = await home.plan(await home.lowers(128));
    await home.mounter(api).mount(plan);
    assert.equal((await readdir(plan.target)).length, 128);
  });

  test(`${api}: lowers outside the home, with characters that need an escape`, options, async (t) => {
    const home = await ScratchHome.make(t);
    const other = await ScratchHome.make(t, 'a:b,c\\d');
    const plan = await home.plan([...(await home.lowers(1)), await other.lower('foreign')]);
    await home.mounter(api).mount(plan);
    assert.deepEqual((await readdir(plan.target)).sort(), ['foreign', 'lower0']);
  });

  test(`${api}: without an upper directory the mount is read-only`, options, async (t) => {
    const home = await ScratchHome.make(t);
    const plan = await home.plan(await home.lowers(2), { writable: null });
    await home.mounter(api).mount(plan);
    await assert.rejects(writeFile(join(plan.target, 'new'), ''), { code: 'EROFS' });
  });

  test(`${api}: flags and options reach the kernel`, options, async (t) => {
    const home = await ScratchHome.make(t);
    const flags = ['nodev', 'nosuid', 'noexec', 'noatime', 'nodiratime', 'sync', 'dirsync'];
    const plan = await home.plan(await home.lowers(1), { options: [...flags, 'volatile'] });
    await home.mounter(api).mount(plan);
    const [entry] = await home.mounts();
    assert.equal(entry?.source, 'overlay');
    const shown = new Set([...(entry?.options ?? []), ...(entry?.superOptions ?? [])]);
    for (const option of flags) assert.ok(shown.has(option), option);
    assert.ok(shown.has('volatile') || shown.has('fsync=volatile'), [...shown].join(' '));
    // Options that are the kernel's default, as index=off here, are not shown.
    for (const option of ['index=on', 'metacopy=on', 'redirect_dir=on'])
      assert.ok(!shown.has(option), option);
  });

  test(`${api}: what is no directory in the mount's place is told, and stays`, options, async (t) => {
    const home = await ScratchHome.make(t);
    const plan = await home.plan(await home.lowers(1));
    const refusal = {
      code: 'failed_precondition',
      message: new RegExp(`${plan.target}: ENOTDIR .*: something else is in the mount's place; move it away`),
    };
    await writeFile(plan.target, 'of somebody');
    await assert.rejects(home.mounter(api).mount(plan), refusal);
    assert.equal(await readFile(plan.target, 'utf8'), 'of somebody');
    await rm(plan.target);
    await mkdir(join(home.path, 'elsewhere'));
    await symlink('../elsewhere', plan.target);
    await assert.rejects(home.mounter(api).mount(plan), refusal);
    await rm(plan.target);
    await home.mounter(api).mount(plan);
  });

  test(`${api}: a volatile mount can be made again`, options, async (t) => {
    const home = await ScratchHome.make(t);
    const plan = await home.plan(await home.lowers(1), { options: ['volatile'] });
    await home.mounter(api).mount(plan);
    await home.mounter(api).unmount(plan.target);
    await home.mounter(api).mount(plan);
  });

  test(`${api}: the mapped root owns work/work`, options, async (t) => {
    const home = await ScratchHome.make(t);
    const plan = await home.plan(await home.lowers(1));
    const mounter = home.mounter(api, { uid: 100000, gid: 100001 });
    await mounter.mount(plan);
    const work = await stat(join(home.path, 'top/work/work'));
    assert.deepEqual([work.uid, work.gid], [100000, 100001]);
  });

  test(`${api}: stacked mounts are all taken away`, options, async (t) => {
    const home = await ScratchHome.make(t);
    const plan = await home.plan(await home.lowers(2), { writable: null });
    await home.mounter(api).mount(plan);
    await home.mounter(api).mount(plan);
    assert.equal((await home.mounts()).length, 2);
    assert.deepEqual((await readHomeMounts(home.path)).layers, [
      { id: 'top', kind: 'merged', target: plan.target },
    ]);
    await home.mounter(api).unmount(plan.target);
    assert.deepEqual(await home.mounts(), []);
    assert.ok(!existsSync(plan.target));
  });

  test(`${api}: a failed mount leaves nothing`, options, async (t) => {
    const home = await ScratchHome.make(t);
    const plan = await home.plan([join(home.path, 'l/MISSING')]);
    await assert.rejects(home.mounter(api).mount(plan), (error: ThinlayerError) => {
      assert.equal(error.code, 'data_loss');
      assert.equal(error.op, 'mount');
      return true;
    });
    assert.ok(!existsSync(plan.target));
    assert.deepEqual(await home.mounts(), []);
  });

  test(
    `${api}: a label without SELinux is refused, and the error says so`,
    {
      skip: cannotMount || (existsSync('/sys/fs/selinux/enforce') && 'this kernel has SELinux'),
    },
    async (t) => {
      const home = await ScratchHome.make(t);
      const plan = await home.plan(await home.lowers(1), {
        context: 'system_u:object_r:container_file_t:s0:c1,c2',
      });
      await assert.rejects(home.mounter(api).mount(plan), (error: ThinlayerError) => {
        assert.equal(error.code, 'failed_precondition');
        assert.match(error.message, /SELinux label system_u:object_r:container_file_t:s0:c1,c2/);
        return true;
      });
      assert.ok(!existsSync(plan.target));
    },
  );

  test(`${api}: many mounts at once`, options, async (t) => {
    const home = await ScratchHome.make(t);
    const plan = await home.plan(await home.lowers(2), { writable: null });
    const targets = Array.from({ length: 40 }, (_, i) => join(home.path, `layer${i}/merged`));
    for (const target of targets) await mkdir(join(target, '..'));
    const mounter = home.mounter(api);
    await Promise.all(targets.map((target) => mounter.mount({ ...plan, target })));
    assert.equal((await home.mounts()).length, 40);
    await Promise.all(targets.map((target) => mounter.unmount(target)));
    assert.deepEqual(await home.mounts(), []);
  });
}

test('fsopen: 500 lower layers, the most that the kernel takes; one more is an error', options, async (t) => {
  const home = await ScratchHome.make(t);
  const lowers = await home.lowers(501);
  const plan = await home.plan(lowers.slice(0, 500));
  await home.mounter('fsopen').mount(plan);
  assert.equal((await readdir(plan.target)).length, 500);
  await home.mounter('fsopen').unmount(plan.target);
  await assert.rejects(home.mounter('fsopen').mount({ ...plan, lowers }), /limit 500|too many/);
});

test('mount: what does not fit into a page is an error that tells the length', options, async (t) => {
  const home = await ScratchHome.make(t);
  const plan = await home.plan(await home.lowers(200));
  await assert.rejects(home.mounter('mount').mount(plan), /E2BIG.*200 lower layers take \d+ bytes/);
  assert.ok(!existsSync(plan.target));
});

test('fsopen: the error has what the kernel says about it', options, async (t) => {
  const home = await ScratchHome.make(t);
  const plan = await home.plan(await home.lowers(1), { options: ['colour=red'] });
  await assert.rejects(home.mounter('fsopen').mount(plan), /overlay: Unknown parameter 'colour'/);
});

test('unmounting what is not mounted, or not there, succeeds', options, async (t) => {
  const home = await ScratchHome.make(t);
  const mounter = home.mounter('fsopen');
  await mounter.unmount(join(home.path, 'nowhere/merged'));
  await mkdir(join(home.path, 'left/merged'), { recursive: true });
  await mounter.unmount(join(home.path, 'left/merged'));
  assert.ok(!existsSync(join(home.path, 'left/merged')));
});

test('a directory that holds something under the mount stays, and the mount goes', options, async (t) => {
  const home = await ScratchHome.make(t);
  const plan = await home.plan(await home.lowers(1));
  await mkdir(plan.target, { recursive: true });
  await writeFile(join(plan.target, 'stray'), 'kept');
  const mounter = home.mounter('fsopen');
  for (let round = 0; round < 2; ++round) {
    await mounter.mount(plan);
    assert.deepEqual(await readdir(plan.target), ['lower0']);
    await mounter.unmount(plan.target);
    assert.deepEqual(await home.mounts(), []);
    assert.equal(await readFile(join(plan.target, 'stray'), 'utf8'), 'kept');
  }
  await mounter.unmount(plan.target);
});

test('a mount in use is taken away', options, async (t) => {
  const home = await ScratchHome.make(t);
  const plan = await home.plan(await home.lowers(1));
  const mounter = home.mounter('fsopen');
  await mounter.mount(plan);
  const file = await open(join(plan.target, 'lower0'));
  t.after(() => file.close());
  await mounter.unmount(plan.target);
  assert.equal((await file.readFile()).toString(), 'lower0');
  assert.deepEqual(await home.mounts(), []);
});

test('a label that would end its quotes is refused before the kernel sees it', async (t) => {
  const home = await ScratchHome.make(t);
  const plan = await home.plan([], { context: 'a",upperdir=/etc' });
  await assert.rejects(home.mounter('mount').mount(plan), { code: 'invalid_argument' });
});
