import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  statSync,
  truncateSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';

import { readBreadcrumb, writeBreadcrumb } from '../../../src/cvmfs/embedded/cache/breadcrumb.js';
import { Cache } from '../../../src/cvmfs/embedded/cache/cache.js';
import { Usage } from '../../../src/cvmfs/embedded/cache/usage.js';
import { CatalogPins } from '../../../src/cvmfs/embedded/cache/catalog-pins.js';
import { cachePath, hexDigest, objectPath } from '../../../src/cvmfs/embedded/object-id.js';
import type { ObjectId } from '../../../src/cvmfs/embedded/object-id.js';
import { TestClock, temporaryDirectory } from './client.js';

/** The nth object of a test. */
function nth(n: number): ObjectId {
  return { algorithm: 'sha1', hex: hexDigest('sha1', Buffer.from(String(n))), kind: n % 2 ? 'P' : '' };
}

async function cacheOf(t: TestContext, limit = Infinity, directory = temporaryDirectory(t)) {
  const clock = new TestClock();
  return { cache: await Cache.open({ directory, limit, clock }), clock, directory };
}

async function put(cache: Cache, n: number, size: number): Promise<string> {
  return await cache.add(nth(n), size, (file) => file.write(Buffer.alloc(size, n)));
}

async function held(cache: Cache, count: number): Promise<number[]> {
  const numbers = Array.from({ length: count }, (_, n) => n);
  const here = numbers.filter((n) => existsSync(join(cache.directory, objectPath(nth(n)))));
  assert.deepEqual(here.length, cache.facts.objects);
  return here;
}

test('the least recently used go when the quota is reached, the pinned never', async (t) => {
  const { cache, clock } = await cacheOf(t, 1000);
  for (let n = 0; n < 10; n++) {
    await put(cache, n, 100);
    clock.time += 1000;
  }
  cache.pin(nth(0));
  await cache.used([objectPath(nth(1))]);
  await put(cache, 10, 100);
  // 100 for the new one, an eighth of the quota to spare: 2, 3 and 4.
  assert.deepEqual(await held(cache, 11), [0, 1, 5, 6, 7, 8, 9, 10]);
  assert.equal(cache.facts.bytes, 800);
  cache.unpin(nth(0));
  await cache.setLimit(300);
  assert.deepEqual(await held(cache, 11), [1, 10]);
});

test('a new limit counts what others put into the directory', async (t) => {
  const { cache, directory } = await cacheOf(t);
  const { cache: other } = await cacheOf(t, Infinity, directory);
  for (let n = 0; n < 10; n++) await put(other, n, 100);
  await cache.setLimit(400);
  assert.equal(cache.facts.bytes, 300);
  const here = [...Array(10).keys()].filter((n) => existsSync(join(directory, objectPath(nth(n)))));
  assert.equal(here.length, 3);
});

test('the quota is kept while many objects arrive at once', async (t) => {
  const { cache } = await cacheOf(t, 1000);
  let most = 0;
  const adds = Array.from({ length: 100 }, (_, n) =>
    cache.add(nth(n), 300, async (file) => {
      await file.write(Buffer.alloc(300));
      most = Math.max(most, cache.facts.bytes + 300);
    }),
  );
  await Promise.all(adds);
  assert.ok(most <= 1000, `${most} bytes`);
  assert.ok(cache.facts.bytes <= 1000);
});

test('what can never fit is refused, and says what to do', async (t) => {
  const { cache } = await cacheOf(t, 1000);
  await put(cache, 0, 600);
  cache.pin(nth(0));
  await assert.rejects(put(cache, 1, 500), {
    code: 'resource_exhausted',
    message: /raise CVMFS_QUOTA_LIMIT/,
  });
  await put(cache, 2, 400);
  assert.deepEqual(await held(cache, 3), [0, 2]);
});

test('nothing goes for what can never fit: who reads it again and again would empty the cache for all', async (t) => {
  const { cache } = await cacheOf(t, 1000);
  for (let n = 0; n < 4; n++) await put(cache, n, 200);
  cache.pin(nth(0));
  for (const size of [801, 1001, 2 ** 50]) {
    await assert.rejects(put(cache, 4, size), { code: 'resource_exhausted' });
  }
  assert.deepEqual(await held(cache, 5), [0, 1, 2, 3]);
  assert.equal(cache.facts.evictions, 0);
  // What just fits has all that it needs.
  await put(cache, 4, 800);
  assert.deepEqual(await held(cache, 5), [0, 4]);
});

test('what comes without a size takes room as it grows, and no more', async (t) => {
  const { cache } = await cacheOf(t, 1000);
  for (let n = 0; n < 3; n++) await put(cache, n, 300);
  await cache.add(nth(3), null, async (sink) => {
    for (let piece = 0; piece < 4; piece++) await sink.write(Buffer.alloc(100));
    assert.ok(cache.facts.bytes + 400 <= 1000, `${cache.facts.bytes} bytes beside it`);
  });
  cache.pin(nth(3));
  const tooMuch = cache.add(nth(4), null, async (sink) => {
    for (;;) await sink.write(Buffer.alloc(100));
  });
  await assert.rejects(tooMuch, { code: 'resource_exhausted', message: /raise CVMFS_QUOTA_LIMIT/ });
  await put(cache, 5, 600);
  assert.deepEqual(await held(cache, 6), [3, 5]);
});

test('catalogs in use are pinned until they no longer are, up to half of the quota', async (t) => {
  const { cache } = await cacheOf(t, 1000);
  const catalog = (n: number): ObjectId => ({ ...nth(n), kind: 'C' });
  for (let n = 0; n < 4; n++) await cache.add(catalog(n), 200, (sink) => sink.write(Buffer.alloc(200)));
  const pins = new CatalogPins(cache);
  pins.hold(cachePath(catalog(0)));
  pins.keep([0, 1, 2, 3].map((n) => cachePath(catalog(n))));
  assert.equal(cache.facts.pinnedBytes, 600);
  pins.keep([cachePath(catalog(1)), objectPath(nth(9))]);
  assert.equal(cache.facts.pinnedBytes, 200);
});

test('a write that fails leaves nothing, and gives its room back', async (t) => {
  const { cache } = await cacheOf(t, 1000);
  const broken = cache.add(nth(0), 900, async (file) => {
    await file.write(Buffer.alloc(500));
    throw new Error('broken off');
  });
  await assert.rejects(broken, { message: 'broken off' });
  assert.deepEqual(readdirSync(join(cache.directory, 'txn')), []);
  await put(cache, 1, 900);
  assert.deepEqual(await held(cache, 2), [1]);
});

test('a second process finds what the first one wrote, in the order of its use', async (t) => {
  const { cache, directory, clock } = await cacheOf(t);
  for (let n = 0; n < 4; n++) await put(cache, n, 100);
  clock.time += 24 * 3_600_000;
  utimesSync(join(directory, objectPath(nth(0))), new Date(clock.time - 7_200_000), new Date(0));
  await cache.used([objectPath(nth(1))]);
  const mtime = statSync(join(directory, objectPath(nth(1)))).mtimeMs;
  assert.ok(Math.abs(mtime - Date.now()) < 600_000, 'the time of arrival stays');

  const { cache: second } = await cacheOf(t, 1000, directory);
  assert.equal(second.facts.bytes, 400);
  await second.setLimit(300);
  assert.equal(existsSync(join(directory, objectPath(nth(1)))), true);
  // What is gone for the one is gone for the other.
  const [gone = assert.fail()] = [0, 2, 3].filter((n) => !existsSync(join(directory, objectPath(nth(n)))));
  assert.equal(await cache.find(nth(gone)), null);
});

test('each of several processes keeps the quota of what all of them add', async (t) => {
  const { cache: one, directory } = await cacheOf(t, 16_000);
  const { cache: two } = await cacheOf(t, 16_000, directory);
  for (let n = 0; n < 400; n++) await put(n % 2 ? one : two, n, 100);
  const onDisk = (await cacheOf(t, Infinity, directory)).cache.facts.bytes;
  assert.ok(onDisk <= 16_000 * (1 + 1 / 8), `${onDisk} bytes`);
});

test('check finds what changed, what was cut, what has no checksum; the rest stays', async (t) => {
  const { cache, directory } = await cacheOf(t);
  for (let n = 0; n < 5; n++) await put(cache, n, 1000);
  const file = (n: number) => join(directory, objectPath(nth(n)));
  const bytes = readFileSync(file(0));
  bytes[500] = 255;
  writeFileSync(file(0), bytes);
  truncateSync(file(1), 10);
  const lines = readFileSync(join(directory, 'checksums'), 'latin1');
  writeFileSync(join(directory, 'checksums'), lines.replace(objectPath(nth(2)), '\0'.repeat(41)));
  unlinkSync(file(3));
  const report = await cache.check();
  assert.deepEqual([...report.damaged].sort(), [0, 1, 2].map((n) => objectPath(nth(n))).sort());
  assert.equal(report.objects, 4);
  assert.deepEqual(await held(cache, 5), [4]);
  assert.deepEqual((await cache.check()).damaged, []);
});

test('check names what is in the way of an object', async (t) => {
  const { cache, directory } = await cacheOf(t);
  await put(cache, 0, 1000);
  const path = join(directory, objectPath(nth(0)));
  unlinkSync(path);
  mkdirSync(path);
  await assert.rejects(cache.check(), {
    code: 'failed_precondition',
    message: new RegExp(`${path} is a directory`),
  });
});

test('checksums of objects that went are forgotten when they are most of the file, at the opening and later', async (t) => {
  const { cache, directory } = await cacheOf(t);
  for (let n = 0; n < 5; n++) await put(cache, n, 1000);
  const path = join(directory, 'checksums');
  const kept = readFileSync(path, 'latin1');
  const gone = (n: number) => `${objectPath({ ...nth(n), kind: 'P' })} 1000.00000000\n`;
  writeFileSync(path, kept + Array.from({ length: 30_000 }, (_, n) => gone(n + 10)).join(''));
  const { cache: next } = await cacheOf(t, Infinity, directory);
  // The newest thousand stay as well.
  const lines = () => readFileSync(path, 'latin1').split('\n').length;
  assert.equal(lines(), 5 + 1000 + 1);
  // Objects of others, and objects that went, since it was opened.
  for (let n = 5; n < 8; n++) await put(cache, n, 1000);
  appendFileSync(path, Array.from({ length: 30_000 }, (_, n) => gone(n + 10)).join(''));
  await next.tidy();
  assert.equal(lines(), 8 + 1000 + 1);
  await next.tidy();
  assert.deepEqual((await next.check()).damaged, []);
});

test('an empty object has a checksum as well', async (t) => {
  const { cache } = await cacheOf(t);
  await cache.add(nth(0), 0, () => Promise.resolve());
  assert.deepEqual(await cache.check(), { objects: 1, bytes: 0, damaged: [] });
});

test('what dead processes were writing goes, what others write stays', async (t) => {
  const { cache, directory } = await cacheOf(t);
  const clock = new TestClock();
  for (const [name, age] of [
    ['1.dead', 2],
    ['1.alive', 0],
  ] as const) {
    writeFileSync(join(directory, 'txn', name), 'x');
    const then = new Date(clock.time - age * 3_600_000);
    utimesSync(join(directory, 'txn', name), then, then);
  }
  await cacheOf(t, Infinity, directory);
  assert.deepEqual(readdirSync(join(directory, 'txn')), ['1.alive']);
  assert.equal(cache.facts.objects, 0);
});

test('a directory that can have no entries is refused, not tried for ever', async () => {
  const opening = Cache.open({ directory: '/proc/x/cache', limit: Infinity, clock: new TestClock() });
  await assert.rejects(opening, {
    code: 'not_found',
    message: /\/proc\/x.*the cache is where CVMFS_CACHE_BASE says/,
  });
});

test('a full disk is told, and leaves nothing half written', async (t) => {
  const directory = temporaryDirectory(t);
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'none', directory], { stdio: 'pipe' });
  } catch {
    return t.skip('mounting a small tmpfs needs root');
  }
  try {
    const { cache } = await cacheOf(t, Infinity, directory);
    await assert.rejects(put(cache, 0, 2 << 20), {
      code: 'resource_exhausted',
      message: /ENOSPC.*CVMFS_CACHE_BASE/,
    });
    assert.deepEqual(readdirSync(join(directory, 'txn')), []);
    assert.equal(await cache.find(nth(0)), null);
    // What the disk cannot hold takes nothing else along.
    for (let n = 1; n < 4; n++) await put(cache, n, 200_000);
    assert.equal(await cache.evictBytes(2 << 20), false);
    assert.equal(cache.facts.objects, 3);
    assert.equal(await cache.evictBytes(300_000), true);
    assert.deepEqual(await held(cache, 4), [3]);
  } finally {
    execFileSync('umount', [directory]);
  }
});

test('a breadcrumb is found again, and never goes back', async (t) => {
  const { directory } = await cacheOf(t);
  const root = { ...nth(0), kind: 'C' as const };
  assert.equal(await readBreadcrumb(directory, 'a.example.org'), null);
  await writeBreadcrumb(directory, 'a.example.org', { root, published: 5, revision: 2 });
  await writeBreadcrumb(directory, 'a.example.org', { root, published: 4, revision: 1 });
  assert.deepEqual(await readBreadcrumb(directory, 'a.example.org'), { root, published: 5, revision: 2 });
  assert.equal(readFileSync(join(directory, 'cvmfschecksum.a.example.org'), 'latin1'), `${root.hex}T5R2`);
});

test('what is added while the directory is read counts, whether the reading met it or not', async () => {
  const usage = new Usage();
  const stored = (object: string) => ({ object, size: 10, used: 1 });
  usage.add(stored('gone'));
  await usage.learn(async () => {
    usage.add(stored('passed'));
    usage.add(stored('met'));
    usage.add(stored('evicted'));
    usage.remove('evicted');
    return [stored('met'), stored('of others')];
  });
  const names = () => usage.list().map(({ object }) => object);
  assert.deepEqual([names(), usage.bytes], [['met', 'of others', 'passed'], 30]);
  await usage.learn(async () => []);
  assert.deepEqual([names(), usage.bytes], [[], 0]);
});
