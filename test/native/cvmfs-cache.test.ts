/** The cache under a mounted client: its quota, a full disk, objects of one hash, a manifest that keeps a size back. */

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { deflateSync } from 'node:zlib';

import { MadeRepository } from '../cvmfs/made-repository.js';
import { SourceTree } from '../cvmfs/maker/source-tree.js';
import { MountedClient } from '../cvmfs/mounted-client.js';
import { serverOf } from '../unit/cvmfs/client.js';
import { cannotMount, run } from './cvmfs-fixture.js';

const skip = cannotMount;
const MB = 1 << 20;

/** Bytes of all objects, and of what is on its way. */
function bytesIn(cache: string): number {
  const files = readdirSync(cache, { recursive: true, withFileTypes: true }).filter((entry) =>
    entry.isFile(),
  );
  return files.reduce(
    (sum, { parentPath, name }) =>
      sum + (statSync(join(parentPath, name), { throwIfNoEntry: false })?.size ?? 0),
    0,
  );
}

function treeOf(count: number, bytes: number): SourceTree {
  const tree = new SourceTree();
  for (let n = 0; n < count; ++n)
    tree.file(`/d${n % 4}/f${n}`, randomBytes(bytes), { compressed: n % 8 === 0 });
  for (let n = 0; n < Math.min(count, 4); ++n) tree.nest(`/d${n}`);
  return tree;
}

test('200 MB are read through a quota of 20 MB, which is never exceeded', { skip }, async (t) => {
  const made = await MadeRepository.make(t);
  made.maker.publish(treeOf(100, 2 * MB));
  const client = await made.mount(t, { settings: { CVMFS_QUOTA_LIMIT: '20' } });
  let most = 0;
  for (let from = 0; from < 100; from += 4) {
    const names = [0, 1, 2, 3].map((n) => `d${n}/f${from + n}`).join(' ');
    assert.equal(await client.sh(`for f in ${names}; do cat $f & done | wc -c`), `${8 * MB}\n`);
    most = Math.max(most, bytesIn(client.cache));
  }
  // The journal of checksums is not counted.
  assert.ok(most <= 20 * MB + 20_000, `${most} bytes`);
  const { cache, statistics } = await client.status();
  assert.ok(cache.bytes <= 20 * MB && cache.bytes > 10 * MB, `${cache.bytes} bytes`);
  assert.equal(statistics['failures'], 0);
  // Catalogs in use were never evicted: each was fetched once.
  const catalogs = made.server.requests.filter(({ path }) => path.endsWith('C'));
  assert.equal(catalogs.length, 5);
});

test(
  'a root catalog whose size the manifest does not tell needs no more room than it has',
  { skip },
  async (t) => {
    const made = await MadeRepository.make(t);
    made.maker.publish(treeOf(4, 1000));
    made.maker.writeManifest({ B: undefined });
    const client = await made.mount(t, { settings: { CVMFS_QUOTA_LIMIT: '1' } });
    assert.match(client.log, /CVMFS_QUOTA_LIMIT=1 is less than the 33 \(MB\) that \S+ needs/, 'told at once');
    assert.equal(await client.sh('cat d0/f0 d1/f1 d2/f2 d3/f3 | wc -c'), '4000\n');
  },
);

test('raw bytes never stand in for the object that they are the compressed form of', { skip }, async (t) => {
  const made = await MadeRepository.make(t);
  const content = Buffer.from('what the victim has '.repeat(50));
  const stored = deflateSync(content);
  made.maker.publish(
    new SourceTree().file('/victim', content).file('/hostile', stored, { compressed: false }),
  );
  const client = await made.mount(t);
  assert.doesNotMatch(client.log, /CVMFS_QUOTA_LIMIT/);
  assert.equal(await client.sh('cat hostile | wc -c; cat victim'), `${stored.length}\n${content.toString()}`);
  assert.equal((await client.status()).cache.objects, 4);
});

/** Of this many megabytes, for the cache. */
async function smallDisk(t: TestContext, megabytes: number): Promise<string> {
  const directory = mkdtempSync(join(tmpdir(), 'thinlayer-small-'));
  const cache = join(directory, 'cache');
  mkdirSync(cache);
  // The rest of it is the client's, and goes with that.
  t.after(() => run('umount', '-l', cache));
  await run('mount', '-t', 'tmpfs', '-o', `size=${megabytes}m`, 'tmpfs', cache);
  return directory;
}

async function fill(client: MountedClient): Promise<string> {
  const filler = join(client.directory, 'cache/filler');
  await run('dd', 'if=/dev/zero', `of=${filler}`, 'bs=64k', 'status=none').catch(() => undefined);
  return filler;
}

test(
  'on a full disk what was not used for longest makes room; without any, reads fail, and work again',
  { skip },
  async (t) => {
    const made = await MadeRepository.make(t);
    made.maker.publish(treeOf(11, MB));
    const client = await made.mount(t, { directory: await smallDisk(t, 5) });
    for (let n = 0; n < 8; ++n) assert.equal(await client.sh(`cat d${n % 4}/f${n} | wc -c`), `${MB}\n`);
    const filler = await fill(client);
    for (const { object } of (await client.ask('GET', '/cache/list')) as { object: string }[]) {
      if (!/[CX]$/.test(object))
        await client.ask('POST', `/cache/evict?object=${encodeURIComponent(object)}`);
    }
    await fill(client);
    await assert.rejects(client.sh('cat d0/f8 d1/f9 d2/f10 > /dev/null'), /Input\/output error/);
    assert.equal((await client.status()).revision, 1);
    rmSync(filler);
    assert.equal(await client.sh('cat d1/f9 d2/f10 | wc -c'), `${2 * MB}\n`);
  },
);

test('a cache that was removed to have room is made again', { skip }, async (t) => {
  const server = await serverOf(t, 'thin/rev-1');
  const client = await MountedClient.start(t, { servers: [server.url] });
  rmSync(client.cache, { recursive: true });
  assert.equal(await client.sh('wc -c < README; wc -c < text/lorem.txt'), '48\n30000\n');
  assert.deepEqual(((await client.ask('POST', '/cache/check')) as { damaged: unknown }).damaged, []);
});

test('a client that starts without a server says so', { skip }, async (t) => {
  const server = await serverOf(t, 'thin/rev-1');
  const client = await MountedClient.start(t, { servers: [server.url] });
  await client.end();
  await server.stop();
  client.log = '';
  await client.launch();
  assert.match(client.log, /thin\.example\.org goes on with what it has: /);
});
