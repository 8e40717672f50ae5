/** A mounted client and servers that misbehave: another server is asked, or a read fails in time; nothing else suffers. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { deflateSync } from 'node:zlib';

import { MountedClient } from '../cvmfs/mounted-client.js';
import { serverOf } from '../unit/cvmfs/client.js';
import { RepositoryServer } from '../unit/cvmfs/server.js';
import type { Fault } from '../unit/cvmfs/server.js';
import { cannotMount } from './cvmfs-fixture.js';

const skip = cannotMount;
const LOREM = 'a7/c6ba9c43bd648741cc22cdcb494f5eab68d2ed';
/** The catalog of /nested. */
const NESTED = 'd5/efcc1c06912e2eae8e090109b227566d07069eC';
/** The kernel asks twice (ahead, and then for what it needs): two attempts each, given up after a second or two. */
const IN_TIME_MS = 16_000;
/** What could not be had is not tried again for so long. */
const REFUSED_MS = 1_000;
/** Nothing that is here already waits for a server. */
const AT_ONCE_MS = 1_000;

const FAULTS: Readonly<Record<string, Fault>> = {
  'hangs before it answers': 'hang',
  'hangs within a body': 'hang in body',
  'sends 1 kB/s': 'slow',
  'answers 404': { status: 404 },
  'answers 503': { status: 503 },
  'breaks off': 'truncate',
  'resets the connection': 'reset',
  'flips a bit': 'flip a bit',
  'sends another object': { instead: deflateSync('another') },
  'redirects in a circle': 'redirect loop',
  'announces a huge body': 'huge length',
  'never ends': 'endless',
  'lets a proxy compress': 'gzip',
};

async function timed<T>(work: Promise<T>, milliseconds: number): Promise<T> {
  const from = performance.now();
  try {
    return await work;
  } finally {
    const took = performance.now() - from;
    assert.ok(took < milliseconds, `took ${took} ms`);
  }
}

test(
  'one server that misbehaves: the read fails in time, what is cached is read meanwhile, and it recovers',
  { skip },
  async (t) => {
    const server = await serverOf(t, 'thin/rev-1');
    const client = await MountedClient.start(t, { servers: [server.url] });
    assert.equal(await client.sh('cat text/nonl | wc -c'), '17\n');
    for (const [name, fault] of Object.entries(FAULTS)) {
      await t.test(name, async () => {
        await client.forget('text/lorem.txt', LOREM);
        const asked = new Promise<void>((resolve) => {
          server.misbehave = ({ path }) => (path.endsWith(LOREM) ? (resolve(), fault) : null);
        });
        const failed = assert.rejects(
          timed(client.sh('cat text/lorem.txt > /dev/null'), IN_TIME_MS),
          /Input\/output error/,
        );
        await asked;
        assert.equal(
          await timed(
            client.sh('dd if=text/nonl iflag=nocache count=0 status=none; cat text/nonl | wc -c'),
            AT_ONCE_MS,
          ),
          '17\n',
        );
        assert.equal((await timed(client.status(), AT_ONCE_MS)).revision, 7);
        await failed;
        server.misbehave = () => null;
        const reads = async () => (await client.sh('cat text/lorem.txt 2>/dev/null | wc -c')) === '30000\n';
        await timed(client.until(reads), REFUSED_MS + AT_ONCE_MS);
      });
    }
  },
);

test('whichever of three servers misbehaves, one of them dead: the read succeeds', { skip }, async (t) => {
  const servers = [await serverOf(t, 'thin/rev-1'), await serverOf(t, 'thin/rev-1')];
  const dead = await RepositoryServer.deadUrl();
  const urls = [servers[0]?.url ?? '', dead, servers[1]?.url ?? ''];
  const client = await MountedClient.start(t, { servers: urls });
  for (const [name, fault] of Object.entries(FAULTS)) {
    await t.test(name, async () => {
      await client.forget('text/lorem.txt', LOREM);
      const { host } = await client.status();
      for (const server of servers) {
        server.misbehave = ({ path }) => (server.url === host && path.endsWith(LOREM) ? fault : null);
      }
      assert.equal(await timed(client.sh('cat text/lorem.txt | wc -c'), 2 * IN_TIME_MS), '30000\n');
      if (host !== dead) assert.notEqual((await client.status()).host, host);
    });
  }
});

test(
  'all servers dead and back: what is cached is read, the rest fails in time and works again',
  { skip },
  async (t) => {
    const servers = [await serverOf(t, 'thin/rev-1'), await serverOf(t, 'thin/rev-1')];
    const client = await MountedClient.start(t, { servers: servers.map(({ url }) => url) });
    assert.equal(await client.sh('cat text/nonl | wc -c'), '17\n');
    for (const server of servers) await server.stop();
    await assert.rejects(
      timed(client.sh('cat text/lorem.txt > /dev/null'), IN_TIME_MS),
      /Input\/output error/,
    );
    await assert.rejects(timed(client.ask('POST', '/refresh'), IN_TIME_MS), {
      code: 'unavailable',
      message: /ECONNREFUSED/,
    });
    assert.match((await client.status()).offline ?? '', /ECONNREFUSED/);
    client.process.kill('SIGHUP');
    const lines = (text: string) => client.log.split('\n').filter((line) => line.includes(text)).length;
    await client.until(async () => (await client.status()) && lines('goes on with what it has') === 2);
    await client.status();
    assert.equal(lines('manifest of thin.example.org'), 2, 'one for each time it was looked for');
    assert.equal(lines('/text/lorem.txt cannot be read'), 1, 'the kernel asked for it twice');
    assert.equal(
      await client.sh('dd if=text/nonl iflag=nocache count=0 status=none; cat text/nonl | wc -c'),
      '17\n',
    );
    for (const server of servers) await server.restart();
    assert.equal(await timed(client.sh('cat text/lorem.txt | wc -c'), AT_ONCE_MS), '30000\n');
    await client.ask('POST', '/refresh');
    assert.equal((await client.status()).offline, null);
  },
);

test(
  'who waits for what cannot be had is not made to wait once more for each who waited before',
  { skip },
  async (t) => {
    const server = await serverOf(t, 'thin/rev-1');
    const client = await MountedClient.start(t, { servers: [server.url] });
    server.misbehave = ({ path }) => (path.endsWith(NESTED) ? 'hang' : null);
    const readers = 'for i in $(seq 8); do stat nested/file 2>&1 | grep -c "Input/output error" & done; wait';
    assert.equal(await client.sh(readers), '1\n'.repeat(8));
    // Of one fetch, and its repetition.
    assert.ok(server.count(`data/${NESTED}`) <= 4, `${server.count(`data/${NESTED}`)} requests`);
  },
);
