/** External files of a mounted client: their bytes come from a server of their own, by their path, and prove themselves. */

import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { deflateSync } from 'node:zlib';

import type { ByteString } from '../../src/core/tree.js';
import { MadeRepository } from '../cvmfs/made-repository.js';
import { SourceTree } from '../cvmfs/maker/source-tree.js';
import type { MountedClient } from '../cvmfs/mounted-client.js';
import { serverOf } from '../unit/cvmfs/client.js';
import type { RepositoryServer } from '../unit/cvmfs/server.js';
import { cannotMount } from './cvmfs-fixture.js';

const skip = cannotMount;
const CHUNK = 64 * 1024;
/** Three chunks and a bit. */
const BIG = randomBytes(3 * CHUNK + 1000);
const SMALL = randomBytes(5000);
const TEXT = Buffer.from('zlib\n'.repeat(1000));
/** A name that a URL cannot have, of which one byte is no UTF-8. */
const STRANGE: ByteString = '/data/a b%2F#?\xff.raw';
const STRANGE_URL = 'data/a%20b%252F%23%3F%FF.raw';

const sha = (content: Buffer): string => createHash('sha256').update(content).digest('hex');

interface Lab {
  readonly made: MadeRepository;
  readonly servers: readonly [RepositoryServer, RepositoryServer];
}

async function lab(t: TestContext): Promise<Lab> {
  const made = await MadeRepository.make(t, { chunkBytes: CHUNK, compressed: false });
  const external = { external: true };
  const tree = new SourceTree()
    .file('/inside.raw', 'an object\n')
    .file('/data/big.raw', BIG, external)
    .file('/data/small.raw', SMALL, external)
    .file('/data/text.z', TEXT, { ...external, compressed: true })
    .file('/data/big.z', Buffer.concat([BIG, TEXT]), { ...external, compressed: true })
    .file(STRANGE, SMALL.subarray(1), external);
  made.maker.publish(tree);
  const servers = [await serverOf(t), await serverOf(t)] as const;
  for (const { files } of servers) {
    files.set('x/data/big.raw', BIG);
    files.set('x/data/small.raw', SMALL);
    files.set('x/data/text.z', deflateSync(TEXT));
    files.set(`x/${STRANGE_URL}`, SMALL.subarray(1));
  }
  return { made, servers };
}

function mount(t: TestContext, { made, servers }: Lab): Promise<MountedClient> {
  const urls = servers.map(({ url }) => `${url}/x`).join(';');
  return made.mount(t, { settings: { CVMFS_EXTERNAL_URL: `"${urls}"` } });
}

async function hashOf(client: MountedClient, path: string): Promise<string> {
  return (await client.sh(`sha256sum < ${path}`)).slice(0, 64);
}

/** A read that failed may be over before its line arrives here. */
function logged(client: MountedClient, line: RegExp): Promise<void> {
  return client.until(async () => {
    await client.status();
    return line.test(client.log);
  });
}

test(
  'contents are those of the external server: whole, compressed, in chunks, of any name',
  { skip },
  async (t) => {
    const made = await lab(t);
    const [first, second] = made.servers;
    const client = await mount(t, made);
    assert.equal(await client.sh('cat inside.raw'), 'an object\n');
    assert.equal(first.requests.length, 0);
    assert.equal(await hashOf(client, 'data/small.raw'), sha(SMALL));
    assert.equal(await hashOf(client, 'data/text.z'), sha(TEXT));
    assert.equal(await hashOf(client, '"$(printf \'data/a b%%2F#?\\377.raw\')"'), sha(SMALL.subarray(1)));
    assert.equal(await hashOf(client, 'data/big.raw'), sha(BIG));
    assert.equal(await hashOf(client, 'data/big.raw'), sha(BIG));
    const asked = first.requests.map(({ path, range }) => [path, range]);
    const ends = [0, 1, 2, 3].map((i) => [i * CHUNK, Math.min((i + 1) * CHUNK, BIG.length) - 1]);
    assert.deepEqual(asked.slice(0, 3).concat(asked.slice(3).sort()), [
      ['x/data/small.raw', undefined],
      ['x/data/text.z', undefined],
      [`x/${STRANGE_URL}`, undefined],
      ...ends.map(([from, to]) => ['x/data/big.raw', `bytes=${from}-${to}`]).sort(),
    ]);
    assert.equal(second.requests.length, 0);
    const metrics = String(await client.ask('GET', '/metrics'));
    assert.match(metrics, new RegExp(`requests_total{[^}]*host="${first.url}/x"} 7\n`));
  },
);

test(
  'wrong bytes are refused: the second server is asked, and without one the read fails',
  { skip },
  async (t) => {
    const made = await lab(t);
    const [first, second] = made.servers;
    const damaged = BIG.map((byte) => byte ^ 1);
    first.files.set('x/data/big.raw', Buffer.from(damaged));
    first.files.set('x/data/small.raw', randomBytes(SMALL.length));
    const client = await mount(t, made);
    assert.equal(await hashOf(client, 'data/small.raw'), sha(SMALL));
    assert.equal(await hashOf(client, 'data/big.raw'), sha(BIG));
    assert.equal(second.count('x/data/small.raw'), 1);
    second.files.set('x/data/text.z', Buffer.from('neither'));
    first.files.set('x/data/text.z', Buffer.from('nor'));
    await assert.rejects(client.sh('cat data/text.z'), /Input\/output error/);
    await logged(client, /\/data\/text\.z cannot be read: .*is wrong on every/);
  },
);

test('a server that ignores ranges, or sends another one, is refused', { skip }, async (t) => {
  const made = await lab(t);
  const [first, second] = made.servers;
  first.knowsRanges = false;
  const client = await mount(t, made);
  assert.equal(await hashOf(client, 'data/big.raw'), sha(BIG));
  assert.ok(second.count('x/data/big.raw') > 0);
  const other = await mount(t, made);
  second.misbehave = () => ({ status: 206, headers: { 'content-range': 'bytes 1-2/3' } });
  await assert.rejects(other.sh('cat data/big.raw'), /Input\/output error/);
  await logged(other, /ignores ranges.*bytes 1-2\/3 came/);
});

test('compressed chunks are refused, since no range is known of them', { skip }, async (t) => {
  const client = await mount(t, await lab(t));
  await assert.rejects(client.sh('cat data/big.z'), /Input\/output error/);
  await logged(client, /\/data\/big\.z cannot be read: .*compressed and in chunks/);
});

test('without a server of external files a read fails, and the log says what to set', { skip }, async (t) => {
  const { made } = await lab(t);
  const client = await made.mount(t, { settings: { CVMFS_EXTERNAL_URL: '' } });
  assert.equal(await client.sh('cat inside.raw; stat -c %s data/small.raw'), 'an object\n5000\n');
  await assert.rejects(client.sh('cat data/small.raw'), /Input\/output error/);
  await logged(client, /\/data\/small\.raw cannot be read: .*set CVMFS_EXTERNAL_URL/);
});
