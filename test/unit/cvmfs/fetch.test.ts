import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync, readdirSync } from 'node:fs';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { deflateSync } from 'node:zlib';

import { hexDigest, objectPath, parseObjectPath } from '../../../src/cvmfs/embedded/object-id.js';
import type { ObjectId } from '../../../src/cvmfs/embedded/object-id.js';
import { collect } from '../../../src/cvmfs/embedded/fetch/receive.js';
import { fixture } from '../../pure/cvmfs/fixtures.js';
import { bareServer } from './bare-server.js';
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
  ['redirects to itself', 'redirect loop', /answered 302: a redirect to \/data.*, which is not followed/],
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

/** Some turns of the event loop: whatever arrived is seen meanwhile. */
async function pause(): Promise<void> {
  for (let turn = 0; turn < 20; ++turn) await new Promise((resolve) => setImmediate(resolve));
}

/** The body, of which nothing is read before the server has sent all that it can, and the connection's end. */
async function readLate(
  t: TestContext,
  head: string,
  size: number,
  end: (socket: Socket) => void,
): Promise<number> {
  const sent = new AbortController();
  const url = await bareServer(t, (socket) => {
    socket.write(`HTTP/1.1 200 OK\r\nconnection: close\r\n${head}\r\n`);
    socket.write(Buffer.alloc(size), () => {
      end(socket);
      sent.abort();
    });
  });
  const { fetcher } = await clientOf(t, 'thin', [url], { maxRetries: 0 });
  return await fetcher.get({
    path: 'anything',
    bound: size,
    receive: async (arriving) => {
      if (!sent.signal.aborted) await once(sent.signal, 'abort');
      await pause();
      return (await collect(arriving)).length;
    },
    accept: (total) => Promise.resolve(total),
  });
}

/** What may arrive ahead of a reader, and what undici itself would let. The kernel takes some more. */
const AHEAD = [4 << 20, 64 << 10];

for (const [what, head, end] of [
  ['with its connection', () => '', (socket: Socket) => socket.end()],
  ['of announced length', (size: number) => `content-length: ${size}\r\n`, (socket: Socket) => socket.end()],
  ['with a reset', () => '', (socket: Socket) => socket.resetAndDestroy()],
] as const) {
  test(`a server ends a body ${what} while its reader lags: at most that transfer fails`, async (t) => {
    for (const size of AHEAD.flatMap((ahead) => [-40_000, -1, 0, 1, 40_000].map((more) => ahead + more))) {
      const total = await readLate(t, head(size), size, end).catch((error: unknown) => {
        assert.equal((error as { code: string }).code, 'unavailable');
        return null;
      });
      if (what !== 'with a reset') assert.equal(total, size);
    }
  });
}

test('what a slow reader has not asked for stays on the other side of the connection', async (t) => {
  const megabytes = 64;
  let sent = 0;
  const url = await bareServer(t, (socket) => {
    socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${megabytes << 20}\r\n\r\n`);
    const more = () => void (++sent <= megabytes && socket.write(Buffer.alloc(1 << 20), more));
    more();
  });
  const { fetcher } = await clientOf(t, 'thin', [url], { maxRetries: 0 });
  let read = 0;
  let ahead = 0;
  await fetcher.get({
    path: 'anything',
    bound: megabytes << 20,
    receive: async (arriving) => {
      for await (const chunk of arriving) {
        read += chunk.length;
        await pause();
        ahead = Math.max(ahead, (sent << 20) - read);
      }
    },
    accept: () => Promise.resolve(),
  });
  assert.equal(read, megabytes << 20);
  // What the kernel takes for itself is in it.
  assert.ok(ahead < 24 << 20, `${ahead} bytes ahead`);
});

test('a server that sends byte by byte costs its reader neither memory nor jobs', async (t) => {
  const size = 512 << 10;
  const url = await bareServer(t, (socket) => {
    const bytes = Buffer.from('1\r\nx\r\n'.repeat(size));
    socket.end(
      Buffer.concat([
        Buffer.from('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n'),
        bytes,
        Buffer.from('0\r\n\r\n'),
      ]),
    );
  });
  const { fetcher } = await clientOf(t, 'thin', [url], { maxRetries: 0 });
  let pieces = 0;
  let read = 0;
  await fetcher.get({
    path: 'anything',
    bound: size,
    receive: async (arriving) => {
      for await (const piece of arriving) {
        pieces++;
        read += piece.length;
      }
    },
    accept: () => Promise.resolve(),
  });
  assert.equal(read, size);
  assert.ok(pieces < 1000, `${pieces} pieces`);
});

for (const [what, answer] of [
  ['is no HTTP', 'SSH-2.0-OpenSSH_9.6\r\n'],
  ['switches protocols', 'HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n'],
  ['goes on and on', 'HTTP/1.1 100 Continue\r\n\r\n'.repeat(500)],
  ['has endless headers', `HTTP/1.1 200 OK\r\n${'x: y\r\n'.repeat(20_000)}`],
  ['has two lengths', 'HTTP/1.1 200 OK\r\ncontent-length: 3\r\ncontent-length: 5\r\n\r\nabc'],
  ['has chunks of no size', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nabc'],
  [
    'says more than was asked',
    `HTTP/1.1 404 No\r\ncontent-length: 2\r\n\r\nno${'HTTP/1.1 200 OK\r\n\r\n'.repeat(3)}`,
  ],
] as const) {
  test(`an answer that ${what} fails that transfer, and nothing else`, async (t) => {
    for (const end of [true, false]) {
      const url = await bareServer(t, (socket) => void (end ? socket.end(answer) : socket.write(answer)));
      const client = await clientOf(t, 'thin', [url], { maxRetries: 0 });
      await assert.rejects(client.objects.fetch(LOREM, HOW), { name: 'ThinlayerError', code: 'unavailable' });
    }
  });
}

test('a body that nobody has room for ends its connection: more of them would take all descriptors', async (t) => {
  const closed: Promise<unknown>[] = [];
  // More than is read ahead of anybody.
  const stored = randomBytes(24 << 20);
  const url = await bareServer(t, (socket) => {
    closed.push(new Promise((resolve) => socket.on('close', resolve)));
    socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${stored.length}\r\n\r\n`);
    socket.write(stored);
  });
  const client = await clientOf(t, 'thin', [url], { limit: 1 << 20 });
  const how = { compressed: false, size: stored.length };
  for (let n = 0; n < 3; n++) {
    await assert.rejects(client.objects.fetch(sha1Object(stored), how), { code: 'resource_exhausted' });
  }
  assert.equal(closed.length, 3);
  await Promise.all(closed);
});

test('who is wrong about the size of an object fails alone, not with those who ask for it at the same time', async (t) => {
  const server = await serverOf(t, 'thin/rev-1');
  const client = await clientOf(t, 'thin', [server.url]);
  const wrong = client.objects.fetch(LOREM, { ...HOW, size: 10 });
  const right = client.objects.fetch(LOREM, HOW);
  await assert.rejects(wrong, { code: 'data_loss' });
  assert.equal(readFileSync(await right).length, 30_000);
});
