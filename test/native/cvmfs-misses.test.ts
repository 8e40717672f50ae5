/** What is not in the cache: asked for once, waited for without a thread, and an error where it cannot be had. */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { truncateSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

import type { Miss } from '../../src/cvmfs/embedded/mount.js';
import { EIO, MountedFixture, cannotMount } from './cvmfs-fixture.js';

const skip = cannotMount;
const EAGAIN = 11;

/** Past the kernel's cache, in which all readers of a page would wait for one request, which is nobody's to interrupt. */
const DIRECT_READ = 'dd if=text/lorem.txt bs=64k iflag=direct status=none';

/** Answers no miss before `release`; `first` is the first one. */
function holdBack(fixture: MountedFixture): { first: Promise<Miss>; release: () => void } {
  let release = (): void => undefined;
  const released = new Promise<void>((resolve) => (release = resolve));
  const first = new Promise<Miss>((resolve) => {
    fixture.answer = async (miss) => {
      resolve(miss);
      await released;
      return fixture.provide(miss.object, miss.compressed) ? 0 : EIO;
    };
  });
  return { first, release };
}

/** Requests parked; each look is preceded by a request that is answered, as proof that a thread is free for it. */
async function untilWaiting(fixture: MountedFixture, enough: (waiting: number) => boolean): Promise<void> {
  for (let look = 0; !enough(fixture.mount.statistics()['waiting'] ?? 0); ++look) {
    assert.ok(look < 2000, `${fixture.mount.statistics()['waiting']} wait`);
    await fixture.sh('stat text/nonl');
  }
}

test('64 readers of one missing object cause one miss, and no thread waits for it', { skip }, async (t) => {
  const fixture = await MountedFixture.make(t, ['thin/rev-1'], { kernelCacheSeconds: 0 });
  const { first, release } = holdBack(fixture);
  const readers = fixture.sh(
    `for i in $(seq 64); do ${DIRECT_READ} & done | sha256sum; cat text/lorem.txt | wc -c`,
  );
  const miss = await first;
  await untilWaiting(fixture, (waiting) => waiting === 64);
  assert.deepEqual(
    [miss.path, miss.size, miss.compressed, miss.external],
    ['/text/lorem.txt', 30000, true, false],
  );
  release();
  assert.match(await readers, /^[0-9a-f]{64} {2}-\n30000\n$/);
  assert.equal(fixture.misses.length, 1);
});

test(
  'files that are here are read while more wait for theirs than the kernel reads in the background',
  { skip },
  async (t) => {
    const fixture = await MountedFixture.make(t, ['thin/rev-1']);
    await fixture.sh('find . > /dev/null; cat text/nonl');
    const { first, release } = holdBack(fixture);
    const readers = fixture.sh('find . -type f -size -9k | head -200 | xargs -P 200 -n 1 cat | wc -c');
    await first;
    await untilWaiting(fixture, (waiting) => waiting >= 100);
    await fixture.sh('dd if=text/nonl iflag=nocache count=0 status=none && cat text/nonl');
    release();
    await readers;
  },
);

test('an object that cannot be had is EIO, and is asked for anew by the next reader', { skip }, async (t) => {
  const fixture = await MountedFixture.make(t, ['thin/rev-1']);
  fixture.answer = () => EIO;
  await assert.rejects(fixture.sh('cat text/nonl'), /Input\/output error/);
  fixture.answer = () => EAGAIN;
  await assert.rejects(fixture.sh('cat text/nonl'), /Resource temporarily unavailable/);
  fixture.answer = () => null;
  assert.equal(await fixture.sh('wc -c < text/nonl'), '17\n');
  assert.equal(fixture.misses.length, 3);
});

test('a nested catalog that cannot be had is EIO below its mountpoint only', { skip }, async (t) => {
  const fixture = await MountedFixture.make(t, ['thin/rev-1']);
  fixture.answer = ({ object }) => (object.endsWith('C') ? EIO : null);
  assert.equal(await fixture.sh('stat -c %F nested'), 'directory\n');
  await assert.rejects(fixture.sh('ls nested'), /Input\/output error/);
  await assert.rejects(fixture.sh('stat nested/sub'), /Input\/output error/);
  assert.equal(await fixture.sh('wc -c < text/nonl'), '17\n');
  const [miss] = fixture.misses;
  assert.deepEqual([miss?.path, miss?.size, miss?.compressed], ['/nested', 57344, true]);
});

test('a reader that is killed while it waits ends at once', { skip }, async (t) => {
  const fixture = await MountedFixture.make(t, ['thin/rev-1']);
  const { first, release } = holdBack(fixture);
  const [dd = '', ...words] = DIRECT_READ.split(' ');
  const reader = spawn(dd, words, { cwd: fixture.mountpoint, stdio: 'ignore' });
  const ended = once(reader, 'close');
  await first;
  await untilWaiting(fixture, (waiting) => waiting === 1);
  reader.kill('SIGKILL');
  assert.deepEqual(await ended, [null, 'SIGKILL']);
  await untilWaiting(fixture, (waiting) => waiting === 0);
  release();
  assert.equal(await fixture.sh('wc -c < text/lorem.txt'), '30000\n');
});

test('an object of another size than the catalog says is EIO', { skip }, async (t) => {
  const fixture = await MountedFixture.make(t, ['thin/rev-1']);
  await fixture.sh('cat text/lorem.txt > /dev/null');
  const [miss] = fixture.misses;
  assert.ok(miss);
  truncateSync(join(fixture.cache, miss.object), 29999);
  // In a mount that has the file's object not open yet.
  const other = await MountedFixture.make(t, ['thin/rev-1'], { cache: fixture.cache });
  await assert.rejects(other.sh('cat text/lorem.txt'), /Input\/output error/);
});

test('an object that is never there although it was fetched is EIO, not a loop', { skip }, async (t) => {
  const fixture = await MountedFixture.make(t, ['thin/rev-1']);
  fixture.answer = () => 0;
  await assert.rejects(fixture.sh('cat text/nonl'), /Input\/output error/);
  // The kernel tries a page of its own once more when it could not be read ahead.
  assert.equal(fixture.misses.length, 2 * 5);
});

test('an object that was evicted before it was opened is fetched anew', { skip }, async (t) => {
  const fixture = await MountedFixture.make(t, ['thin/rev-1']);
  fixture.answer = () => (fixture.misses.length < 4 ? 0 : null);
  assert.equal(await fixture.sh('cat text/nonl | wc -c'), '17\n');
  assert.equal(fixture.misses.length, 4);
});

test('a read touches only the chunks that it needs', { skip }, async (t) => {
  const fixture = await MountedFixture.make(t, ['shake/repo']);
  await fixture.sh('dd if=big/chunked.bin of=/dev/null bs=4096 skip=128 count=1 iflag=direct status=none');
  assert.deepEqual(
    fixture.misses.map(({ object, path }) => [/P$/.test(object), path]),
    [[true, '/big/chunked.bin']],
  );
  assert.ok((fixture.misses[0]?.size ?? 0) <= 262144);
});

test('what is opened is told once, for eviction; catalogs in use always', { skip }, async (t) => {
  const fixture = await MountedFixture.make(t, ['thin/rev-1']);
  await fixture.sh('cat text/nonl');
  const [file] = fixture.misses.map(({ object }) => object);
  const isCatalog = (object: string): boolean => object.endsWith('C');
  const first = fixture.mount.takeUsed();
  assert.deepEqual(
    first.filter((object) => !isCatalog(object)),
    [file],
  );
  const second = fixture.mount.takeUsed();
  assert.ok(second.length > 0 && second.every(isCatalog));
});
