/** Files in chunks: a read asks at once for all that it lacks, and who reads on has the next ones before he comes to them. */

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import type { TestContext } from 'node:test';

import { MadeRepository } from '../cvmfs/made-repository.js';
import { SourceTree } from '../cvmfs/maker/source-tree.js';
import { signalled } from '../fakes/signalled.js';
import { waitFor } from '../system/process.js';
import { EIO, MountedFixture, cannotMount } from './cvmfs-fixture.js';

const skip = cannotMount;
const CHUNK = 64 * 1024;
const CHUNKS = 40;

/** No two chunks are alike: each is an object of its own. */
function content(chunks: number): Buffer {
  return Buffer.concat(Array.from({ length: chunks }, (_, index) => Buffer.alloc(CHUNK, `chunk ${index}`)));
}

async function publish(t: TestContext): Promise<MadeRepository> {
  const made = await MadeRepository.make(t, { chunkBytes: CHUNK });
  made.maker.publish(new SourceTree().file('/two', content(2)).file('/many', content(CHUNKS)));
  return made;
}

test('a read that lacks two chunks asks for both before it has one', { skip }, async (t) => {
  const fixture = await MountedFixture.make(t, [(await publish(t)).maker.directory]);
  const both = signalled();
  fixture.answer = ({ object, compressed }) =>
    both.promise.then(() => (fixture.provide(object, compressed) ? 0 : EIO));
  const read = fixture.sh('dd if=two bs=128k status=none | sha256sum');
  try {
    await waitFor('both to be asked for', async () => fixture.misses.length === 2 || undefined);
  } finally {
    both.signal();
  }
  assert.deepEqual(
    fixture.misses.map(({ offset }) => offset),
    [0, CHUNK],
  );
  assert.equal((await read).slice(0, 64), createHash('sha256').update(content(2)).digest('hex'));
});

test(
  'a chunk that cannot be had fails the read that needs it, and the next one asks again',
  { skip },
  async (t) => {
    const fixture = await MountedFixture.make(t, [(await publish(t)).maker.directory]);
    fixture.answer = ({ offset }) => (offset === CHUNK ? EIO : null);
    await assert.rejects(fixture.sh('cat two > /dev/null'), /Input\/output error/);
    fixture.answer = () => null;
    assert.equal(await fixture.sh('cat two | wc -c'), `${2 * CHUNK}\n`);
  },
);

test('chunks come before they are read on end, each once, and all are right', { skip }, async (t) => {
  const made = await publish(t);
  const client = await made.mount(t);
  const before = made.server.requests.length;
  const seen = await client.sh('sha256sum < many');
  assert.equal(seen.slice(0, 64), createHash('sha256').update(content(CHUNKS)).digest('hex'));
  const paths = made.server.requests.slice(before).map(({ path }) => path);
  assert.equal(new Set(paths).size, CHUNKS, paths.join('\n'));
  assert.equal(paths.length, CHUNKS);
  const { prefetch } = await client.status();
  assert.ok((prefetch?.objects ?? 0) >= CHUNKS / 4, JSON.stringify(prefetch));
});

test('who has read little more than a MiB on end has at least 8 MiB ahead of him', { skip }, async (t) => {
  const chunks = (12 << 20) / CHUNK;
  const made = await MadeRepository.make(t, { chunkBytes: CHUNK });
  made.maker.publish(new SourceTree().file('/large', content(chunks)));
  const client = await made.mount(t);
  await client.sh('dd if=large bs=64k count=20 status=none > /dev/null');
  await waitFor('8 MiB ahead', async () => {
    const objects = (await client.status()).prefetch?.objects ?? 0;
    return objects >= (8 << 20) / CHUNK || undefined;
  });
});

test('nothing comes ahead of who reads here and there', { skip }, async (t) => {
  const made = await publish(t);
  const client = await made.mount(t);
  await client.sh(
    'for at in 30 4 22 12 36 8 17; do dd if=many bs=64k skip=$at count=1 status=none; done > /dev/null',
  );
  assert.equal((await client.status()).prefetch?.objects, 0);
});
