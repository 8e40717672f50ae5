/** A mount, its options, and its end: nothing is left. */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readlinkSync } from 'node:fs';
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';

import { isErrno } from '../../src/core/errno.js';
import { mountRepository } from '../../src/cvmfs/embedded/mount.js';
import type { MountOptions } from '../../src/cvmfs/embedded/mount.js';
import { checkMountpoint } from '../../src/host/mountpoint.js';
import { MountedFixture, cannotMount, run } from './cvmfs-fixture.js';
import { mountsBelow } from './scratch-home.js';

const skip = cannotMount;

const threads = (): number => readdirSync('/proc/self/task').length;

/** What this process has open of the device and of a cache. */
function descriptors(cache: string): string[] {
  const open = readdirSync('/proc/self/fd').map((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`);
    } catch (error) {
      if (isErrno(error, 'ENOENT')) return ''; // that of the directory itself
      throw error;
    }
  });
  return open.filter((path) => path === '/dev/fuse' || path.startsWith(cache));
}

test('mounts that ended leave no threads', { skip }, async (t) => {
  await (await MountedFixture.make(t, ['alt/repo'])).mount.unmount();
  const before = threads();
  for (let i = 0; i < 10; ++i) {
    const fixture = await MountedFixture.make(t, ['alt/repo']);
    await fixture.list();
    assert.ok(threads() >= before + 4);
    await fixture.mount.unmount();
  }
  // Threads for jobs are shared and stay: some may have come.
  assert.ok(threads() < before + 16, `${threads()} threads, ${before} before`);
});

test('unmount ends the mount under open files, its threads and its descriptors', { skip }, async (t) => {
  const fixture = await MountedFixture.make(t, ['thin/rev-1']);
  const script = 'exec 5<text/lorem.txt; echo open; read line; cat <&5; stat nested/sub';
  const user = spawn('bash', ['-c', script], { cwd: fixture.mountpoint, stdio: ['pipe', 'pipe', 'pipe'] });
  const errors: Buffer[] = [];
  user.stderr.on('data', (data: Buffer) => errors.push(data));
  await once(user.stdout, 'data');
  assert.ok(descriptors(fixture.cache).length > 2);

  await fixture.mount.unmount();

  assert.deepEqual(await mountsBelow(fixture.base), []);
  assert.deepEqual(await readdir(fixture.mountpoint), []);
  const closed = once(user, 'close');
  user.stdin.end('go\n');
  await closed;
  assert.match(Buffer.concat(errors).toString(), /cat: .*endpoint is not connected\n.*stat: .*not connected/);
  assert.deepEqual(descriptors(fixture.cache), []);
  assert.deepEqual(fixture.ends, []);
  await fixture.mount.unmount();
  await assert.rejects(fixture.mount.setRoot(`00/${'0'.repeat(38)}C`, 1), { code: 'unavailable' });
});

test('requests that wait for an object fail when their mount ends', { skip }, async (t) => {
  const fixture = await MountedFixture.make(t, ['thin/rev-1']);
  const asked = new Promise<void>((resolve) => {
    fixture.answer = () => {
      resolve();
      return new Promise<number>(() => undefined);
    };
  });
  const reader = fixture.sh('cat text/lorem.txt');
  const failed = assert.rejects(reader, /not connected|abort|Input\/output/);
  await asked;
  await fixture.mount.unmount();
  await failed;
});

test('a mount that the kernel ends is told of, and leaves nothing', { skip }, async (t) => {
  const fixture = await MountedFixture.make(t, ['thin/rev-1']);
  const ended = new Promise<Error | undefined>((resolve) => (fixture.onEnd = resolve));
  await run('umount', fixture.mountpoint);
  assert.equal(await ended, undefined);
  assert.deepEqual(await mountsBelow(fixture.base), []);
});

test(
  'something else mounted on the mountpoint is not unmounted, and that a dead mount stays beneath is said',
  { skip },
  async (t) => {
    const fixture = await MountedFixture.make(t, ['alt/repo']);
    await run('mount', '-t', 'tmpfs', 'other', fixture.mountpoint);
    await assert.rejects(fixture.mount.unmount(), {
      code: 'failed_precondition',
      message: /it stays there, and nobody serves it any more; unmount it by hand/,
    });
    const left = await mountsBelow(fixture.base);
    assert.deepEqual(
      left.map(({ type }) => type),
      ['fuse.cvmfs', 'tmpfs'],
    );
    assert.deepEqual(descriptors(fixture.cache), []);
    await fixture.mount.unmount();
    await run('umount', fixture.mountpoint);
    await run('umount', fixture.mountpoint);
  },
);

test('a mount is read-only, without devices, and as the options say', { skip }, async (t) => {
  const flags = async (change: Partial<MountOptions>): Promise<Set<string>> => {
    const fixture = await MountedFixture.make(t, ['alt/repo'], change);
    const [mount] = await mountsBelow(fixture.base);
    assert.equal(mount?.type, 'fuse.cvmfs');
    await assert.rejects(fixture.sh('touch new'), /Read-only file system/);
    assert.equal((await fixture.sh("stat -f -c '%l' .")).trim(), '255');
    const text = await run('findmnt', '-n', '-o', 'OPTIONS', fixture.mountpoint);
    return new Set(text.trim().split(','));
  };
  const trusted = await flags({ suid: true, mountOptions: ['noatime'] });
  const careful = await flags({ suid: false, mountOptions: ['noexec'] });
  for (const both of [trusted, careful]) {
    for (const flag of ['ro', 'nodev', 'allow_other', 'default_permissions']) assert.ok(both.has(flag), flag);
  }
  assert.deepEqual(
    [trusted.has('nosuid'), trusted.has('noatime'), trusted.has('noexec')],
    [false, true, false],
  );
  assert.deepEqual([careful.has('nosuid'), careful.has('noexec')], [true, true]);
});

test('a name may have all that names of repositories have', { skip }, async (t) => {
  const fixture = await MountedFixture.make(t, ['alt/repo'], { fqrn: '_under_score.example.org' });
  const [mount] = await mountsBelow(fixture.base);
  assert.equal(mount?.source, '_under_score.example.org');
  assert.ok((await fixture.list()).length > 0);
});

test('owners are as the options say', { skip }, async (t) => {
  const owners = async (change: Partial<MountOptions>): Promise<string> => {
    const fixture = await MountedFixture.make(t, ['thin/rev-1'], change);
    return fixture.sh('stat -c %u:%g owner/u1000 text');
  };
  assert.equal(await owners({}), '1000:1000\n0:0\n');
  assert.equal(await owners({ owner: { uid: 7, gid: 8 } }), '7:8\n7:8\n');
  const uidMap = { entries: new Map([[1000, 5000]]), others: 4294967294 };
  assert.equal(await owners({ uidMap }), '5000:1000\n4294967294:0\n');
});

test('bad arguments, and a mountpoint that is none, are refused', { skip }, async (t) => {
  const fixture = await MountedFixture.make(t, ['alt/repo']);
  const ignore = (): void => undefined;
  const attempt = (change: Partial<MountOptions>): Promise<unknown> =>
    mountRepository(fixture.options({ mountpoint: join(fixture.base, 'other'), ...change }), ignore, ignore);
  const bad: Partial<MountOptions>[] = [
    { mountpoint: 'relative' },
    { cache: 'relative' },
    { fqrn: 'a/b' },
    { kernelCacheSeconds: Number.NaN },
    { owner: { uid: -1, gid: 0 } },
    { mountOptions: ['suid'] },
    { mountOptions: [''] },
    { mountOptions: ['fsname=other'] },
    { mountOptions: ['max_read=4096'] },
  ];
  for (const change of bad)
    await assert.rejects(attempt(change), { code: 'invalid_argument' }, JSON.stringify(change));
  await assert.rejects(attempt({}), { code: 'not_found' });
  await mkdir(join(fixture.base, 'other'));
  await assert.rejects(attempt({ mountOptions: ['no-such-option,suid'] }), { code: 'invalid_argument' });
  assert.equal((await mountsBelow(fixture.base)).length, 1);
});

test('nothing is mounted over a repository that is mounted already', { skip }, async (t) => {
  const fixture = await MountedFixture.make(t, ['alt/repo']);
  await assert.rejects(checkMountpoint(fixture.mountpoint, true), {
    code: 'failed_precondition',
    message: /is mounted on .* already; .*umount -l/,
  });
  await checkMountpoint(fixture.base, true);
});
