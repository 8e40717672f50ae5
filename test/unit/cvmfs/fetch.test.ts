import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { deflateSync } from 'node:zlib';

import { hexDigest, objectPath, parseObjectPath } from '../../../src/cvmfs/embedded/object-id.js';
import type { ObjectId } from '../../../src/cvmfs/embedded/object-id.js';
import { fixture } from '../../pure/cvmfs/fixtures.js';
import { clientOf, serverOf } from './client.js';
import { RepositoryServer } from './server.js';
import type { Fault } from './server.js';

const LOREM = parseObjectPath('a7/c6ba9c43bd648741cc22cdcb494f5eab68d2ed');
const LOREM_URL = `data/${objectPath(LOREM)}`;
const HOW = { compressed: true, size: 30_000 };
/** Objects that may be so large are inflated as they arrive. */
const LARGE = 1 << 20;

function written(client: { objects: { cache: { directory: string } } }): string[] {
  return readdirSync(join(client.objects.cache.directory, 'txn'));
}

function sha1Object(stored: Buffer): ObjectId {
  return { algorithm: 'sha1', hex: hexDigest('sha1', stored), kind: '' };
}

test('an object arrives verified and decompressed, and comes from the cache the next time', async (t) => {
  const server = await serverOf(t, 'thin/rev-1');
  const client = await clientOf(t, 'thin', [server.url]);
  const path = await client.objects.fetch(LOREM, HOW);
  assert.equal(path, join(client.objects.cache.directory, objectPath(LOREM)));
  assert.equal(readFileSync(path).length, 30_000);
  assert.equal(await client.objects.fetch(LOREM, HOW), path);
  assert.equal(server.requests.length, 1);
});

test('every hash algorithm, and an object stored as it is', async (t) => {
  const objects: [string, string, boolean][] = [
    ['shake/repo', '38/63558d3066c512a3f8130102f5c7652c6e0219-shake128P', true],
    ['rmd160/repo', 'd8/df65a6f4d526e308574ce0d66e2a05c864d313-rmd160P', true],
    ['plain/repo', '39/31c8f00a933bad2991b0a40551ca2d73a4b0fdP', false],
    ['thin/rev-1', 'e8/ec3d88b62ebf526e4e5a4ff6162a3aa48a6b78', true],
  ];
  for (const [layer, path, compressed] of objects) {
    const server = await serverOf(t, layer);
    const client = await clientOf(t, 'thin', [server.url]);
    const id = parseObjectPath(path);
    const content = readFileSync(await client.objects.fetch(id, { compressed, size: 1 << 20 }));
    const stored = fixture(`${layer}/data/${path}`);
    if (!compressed) assert.deepEqual(content, stored);
    else assert.equal(hexDigest(id.algorithm, deflateSync(content)), id.hex);
  }
});

test('all who ask for an object at once share one transfer', async (t) => {
  const server = await serverOf(t, 'thin/rev-1');
  const client = await clientOf(t, 'thin', [server.url]);
  const paths = await Promise.all(Array.from({ length: 50 }, () => client.objects.fetch(LOREM, HOW)));
  assert.equal(new Set(paths).size, 1);
  assert.equal(server.requests.length, 1);
});

test('one who gives up leaves the others their transfer; when all did, it ends', async (t) => {
  const server = await serverOf(t, 'thin/rev-1');
  const client = await clientOf(t, 'thin', [server.url]);
  const impatient = new AbortController();
  const gone = client.objects.fetch(LOREM, { ...HOW, signal: impatient.signal });
  const stays = client.objects.fetch(LOREM, HOW);
  impatient.abort();
  await assert.rejects(gone, { code: 'aborted' });
  assert.ok(await stays);

  server.misbehave = () => 'hang in body';
  const other = parseObjectPath('61/d4a5cb50bb5a6473c040cc799ba306c20d9e73');
  const alone = new AbortController();
  const never = client.objects.fetch(other, { ...HOW, signal: alone.signal });
  alone.abort();
  await assert.rejects(never, { code: 'aborted' });
});

const FAULTS: [string, Fault, RegExp][] = [
  ['hangs before it answers', 'hang', /sent 0 bytes within 300 ms/],
  ['hangs in the body', 'hang in body', /sent \d+ bytes within 300 ms|sent 0 bytes/],
  ['breaks off', 'truncate', /other side closed|ECONNRESET|UND_ERR/],
  ['resets the connection', 'reset', /ECONNRESET|other side closed/],
  ['flips a bit', 'flip a bit', /is not a whole zlib stream|its hash is another/],
  ['appends bytes', 'append', /its hash is another/],
  ['redirects', 'redirect', /answered 302: a redirect to \/elsewhere, which is not followed/],
  ['announces a huge body', 'huge length', /has 1125899906842624 bytes, more than the/],
  ['never ends', 'endless', /is not a whole zlib stream|has more than/],
  ['lets a proxy compress', 'gzip', /an encoding that was not asked for: gzip/],
  ['answers 404', { status: 404 }, /answered 404/],
  ['answers 503', { status: 503 }, /answered 503/],
  ['answers 206', { status: 206 }, /answered 206/],
  ['sends another object', { instead: deflateSync('another') }, /its hash is another/],
  [
    'sends what is no zlib',
    { instead: Buffer.from('no zlib') },
    /is not a whole zlib stream|its hash is another/,
  ],
  ['sends nothing', { instead: Buffer.alloc(0) }, /is not a whole zlib stream|its hash is another/],
];

for (const [what, fault, message] of FAULTS) {
  test(`a server that ${what} is left for the next one; alone, its fault is named`, async (t) => {
    const bad = await serverOf(t, 'thin/rev-1');
    bad.misbehave = () => fault;
    const good = await serverOf(t, 'thin/rev-1');
    const both = await clientOf(t, 'thin', [bad.url, good.url]);
    assert.equal(readFileSync(await both.objects.fetch(LOREM, HOW)).length, 30_000);
    assert.deepEqual(written(both), []);

    const alone = await clientOf(t, 'thin', [bad.url], { maxRetries: 0 });
    for (const how of [HOW, { ...HOW, size: LARGE }, { compressed: false, size: 30_000 }]) {
      await assert.rejects(alone.objects.fetch(LOREM, how), { name: 'ThinlayerError', message });
      assert.equal(await alone.objects.cache.find(LOREM), null);
      assert.deepEqual(written(alone), []);
    }
  });
}

test('a server that refuses connections, and a name that does not exist', async (t) => {
  const good = await serverOf(t, 'thin/rev-1');
  const dead = await RepositoryServer.deadUrl();
  const client = await clientOf(t, 'thin', [dead, 'http://nowhere.invalid', good.url], { maxRetries: 0 });
  assert.ok(await client.objects.fetch(LOREM, HOW));
  const alone = await clientOf(t, 'thin', [dead]);
  await assert.rejects(alone.objects.fetch(LOREM, HOW), { code: 'unavailable', message: /ECONNREFUSED/ });
  assert.equal(alone.clock.slept.length, 1);
});

test('a slow server is left when it is slower than the limit', async (t) => {
  const server = await serverOf(t, 'thin/rev-1');
  server.misbehave = () => 'hang in body';
  const client = await clientOf(t, 'thin', [server.url], { lowSpeed: 1_000_000, maxRetries: 0 });
  await assert.rejects(client.objects.fetch(LOREM, HOW), {
    code: 'unavailable',
    message: /bytes within 300 ms/,
  });
});

test('a wrong object is not asked of the same server again, an accident once', async (t) => {
  const server = await serverOf(t, 'thin/rev-1');
  const client = await clientOf(t, 'thin', [server.url], { maxRetries: 3 });
  server.misbehave = () => 'flip a bit';
  await assert.rejects(client.objects.fetch(LOREM, HOW), { code: 'data_loss', op: 'verify' });
  assert.equal(server.count(LOREM_URL), 1);
  server.misbehave = () => (server.count(LOREM_URL) < 4 ? 'reset' : null);
  assert.ok(await client.objects.fetch(LOREM, HOW));
  assert.equal(server.count(LOREM_URL), 4);
});

test('a proxy is asked for whole URLs; a wrong object once more, past its cache', async (t) => {
  const proxy = await serverOf(t, 'thin/rev-1');
  proxy.misbehave = ({ noCache }) => (noCache ? null : 'flip a bit');
  const client = await clientOf(t, 'thin', ['http://far.away.invalid'], { proxies: [[proxy.url]] });
  assert.ok(await client.objects.fetch(LOREM, HOW));
  assert.deepEqual(proxy.requests, [
    { path: LOREM_URL, proxied: true, noCache: false },
    { path: LOREM_URL, proxied: true, noCache: true },
  ]);
});

test('a dead proxy is left for the next group, and for the way without one', async (t) => {
  const server = await serverOf(t, 'thin/rev-1');
  const dead = await RepositoryServer.deadUrl();
  const client = await clientOf(t, 'thin', [server.url], { proxies: [[dead], [null]], maxRetries: 0 });
  assert.ok(await client.objects.fetch(LOREM, HOW));
  assert.equal(server.requests[0]?.proxied, false);
  assert.deepEqual(client.fetcher.route, { host: server.url, proxy: null });
});

test('an object is never larger than its catalog says', async (t) => {
  const server = await serverOf(t);
  const client = await clientOf(t, 'thin', [server.url]);
  for (const size of [1, 1000, 50_000_000]) {
    const stored = deflateSync(Buffer.alloc(size));
    const id = sha1Object(stored);
    server.files.set(`data/${objectPath(id)}`, stored);
    const message = /holds more than the \d+ bytes/;
    const tooSmall = { compressed: true, size: size - 1 };
    await assert.rejects(client.objects.fetch(id, tooSmall), { code: 'data_loss', op: 'verify', message });
    assert.equal(readFileSync(await client.objects.fetch(id, { compressed: true, size })).length, size);
  }
});

test('bytes after the end of the zlib stream are refused even if the hash covers them', async (t) => {
  const server = await serverOf(t);
  const client = await clientOf(t, 'thin', [server.url]);
  for (const size of [1000, 200_000, 5_000_000]) {
    const stored = Buffer.concat([deflateSync(randomBytes(size)), Buffer.alloc(100, 1)]);
    const id = sha1Object(stored);
    server.files.set(`data/${objectPath(id)}`, stored);
    const message = /has 100 bytes after the end of its zlib stream/;
    await assert.rejects(client.objects.fetch(id, { compressed: true, size }), {
      code: 'data_loss',
      message,
    });
  }
});

test('more transfers than connections wait for their turn, and no clock runs against them', async (t) => {
  const server = await serverOf(t);
  const ids = Array.from({ length: 200 }, (_, n) => {
    const stored = deflateSync(Buffer.alloc(10_000, `object ${n}`));
    server.files.set(`data/${objectPath(sha1Object(stored))}`, stored);
    return sha1Object(stored);
  });
  const client = await clientOf(t, 'thin', [server.url], { connections: 2 });
  await Promise.all(ids.map((id) => client.objects.fetch(id, { compressed: true, size: 10_000 })));
  assert.equal(server.requests.length, 200);
  assert.equal(client.objects.cache.facts.objects, 200);
});
