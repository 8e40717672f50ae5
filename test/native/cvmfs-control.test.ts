/** What an administrator asks a running client, by its command and by its socket. */

import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

import { MountedClient } from '../cvmfs/mounted-client.js';
import { CVMFS_CLIENT } from '../system/project.js';
import { serverOf } from '../unit/cvmfs/client.js';
import { cannotMount, run } from './cvmfs-fixture.js';

const skip = cannotMount;
const LOREM = 'a7/c6ba9c43bd648741cc22cdcb494f5eab68d2ed';

function ctl(client: MountedClient, ...words: string[]): Promise<string> {
  return run(process.execPath, CVMFS_CLIENT, 'ctl', client.socket, ...words);
}

test('the cache is listed, limited, evicted, pinned and checked', { skip }, async (t) => {
  const server = await serverOf(t, 'thin/rev-1');
  const client = await MountedClient.start(t, { servers: [server.url] });
  await client.sh('cat text/lorem.txt > /dev/null');
  assert.match(await ctl(client, 'cache', 'list'), new RegExp(`^ +30000  \\S+Z  ${LOREM}$`, 'm'));
  const facts = async (...words: string[]) =>
    JSON.parse(await ctl(client, 'cache', ...words)) as Record<string, unknown>;
  assert.equal((await facts())['limit'], 1024 << 20);
  assert.equal((await facts('limit', '50'))['limit'], 50 << 20);

  const { pinnedBytes: before } = await facts();
  assert.equal((await facts('pin', LOREM))['pinnedBytes'], Number(before) + 30_000);
  assert.equal((await facts('pin', LOREM))['pinnedBytes'], Number(before) + 30_000);
  assert.equal((await facts('limit', '0'))['limit'], null, 'none, as CVMFS_QUOTA_LIMIT=0 has it');
  assert.equal((await facts('unpin', LOREM))['pinnedBytes'], before);

  await facts('evict', LOREM.replace('/', ''));
  assert.ok(!existsSync(join(client.cache, LOREM)));
  await assert.rejects(ctl(client, 'cache', 'evict', LOREM), /is not in the cache/);
  await assert.rejects(ctl(client, 'cache', 'evict', '../../etc/passwd'), /is not the path of an object/);

  await client.sh('cat text/nonl > /dev/null');
  const [, nonl = ''] = /^ +17  \S+Z  (\S+)$/m.exec(await ctl(client, 'cache', 'list')) ?? [];
  const content = readFileSync(join(client.cache, nonl));
  content[0] = (content[0] ?? 0) ^ 1;
  writeFileSync(join(client.cache, nonl), content);
  assert.deepEqual((await facts('check'))['damaged'], [nonl]);
});

test(
  'revision, servers, proxies and counters are told; a refresh is asked for, by signal too',
  { skip },
  async (t) => {
    const server = await serverOf(t, 'thin/rev-1');
    const client = await MountedClient.start(t, { servers: [server.url, 'http://127.0.0.1:1'] });
    const json = async (...words: string[]) => JSON.parse(await ctl(client, ...words)) as unknown;
    assert.deepEqual(await json('hosts'), [
      { host: server.url, next: true },
      { host: 'http://127.0.0.1:1', next: false },
    ]);
    assert.deepEqual(await json('proxies'), { next: 'DIRECT', groups: [['DIRECT']] });
    assert.match(await ctl(client, 'revision'), /"revision": 7,/);
    await client.sh('ls text; cat text/lorem.txt > /dev/null');
    server.misbehave = ({ path }) => (path.startsWith('data/') ? { status: 404 } : null);
    await assert.rejects(client.sh('cat text/empty text/nonl text/crlf > /dev/null'));
    const metrics = await ctl(client, 'metrics');
    const value = (name: string) =>
      Number(new RegExp(`^thinlayer_cvmfs_${name}\\{[^}]*\\} (\\d+)$`, 'm').exec(metrics)?.[1]);
    assert.ok(value('opens_total') >= 1 && value('reads_total') >= 1 && value('misses_total') >= 1, metrics);
    assert.ok(value('lookups_total') >= 1 && value('listings_total') >= 1, metrics);
    assert.ok(value('fetched_bytes_total') > 5_000 && value('fetch_errors_total') >= 1, metrics);
    assert.deepEqual(
      [value('revision'), value('catalogs'), value('offline'), value('prefetch_hits_total')],
      [7, 1, 0, 0],
    );
    for (const line of metrics.trim().split('\n'))
      assert.match(line, /^(# (HELP|TYPE) \w+ .+|\w+\{.*\} \d+)$/);

    server.misbehave = () => null;
    server.layers = ['thin/rev-2-delta', 'thin/rev-1'];
    client.process.kill('SIGHUP');
    await client.until(async () => (await client.status()).revision === 10);
    assert.match(await ctl(client, 'remount'), /"revision": 10,/);
    await assert.rejects(
      ctl(client, 'nonsense'),
      /there is no command nonsense; see thinlayer-cvmfs ctl --help/,
    );
    await assert.rejects(ctl(client, 'cache', 'limit', 'much'), /"much" is not a number of megabytes/);
    const byMountpoint = run(process.execPath, CVMFS_CLIENT, 'ctl', client.mountpoint, 'status');
    await assert.rejects(byMountpoint, /started alone, give the SOCKET that it was given by --control/);
    await ctl(client, 'quit');
    assert.equal(await client.end(), 0);
    await assert.rejects(ctl(client, 'status'), /no answer on/);
  },
);

class Gate {
  open: () => void = () => undefined;
  readonly opened = new Promise<void>((resolve) => (this.open = resolve));
}

/** Of /nested in revision 10. */
const NEW_NESTED = 'data/59/01c21a75b3ddaeb301d745519c65598b21272bC';

test('a refresh is answered when the kernel was told of all that changed', { skip }, async (t) => {
  const server = await serverOf(t, 'thin/rev-1');
  const settings = { CVMFS_KCACHE_TIMEOUT: '3600', CVMFS_TIMEOUT: '60', CVMFS_TIMEOUT_DIRECT: '60' };
  const client = await MountedClient.start(t, { servers: [server.url], settings });
  await assert.rejects(client.sh('stat nested/brandnew'), /No such file/);
  server.layers = ['thin/rev-2-delta', 'thin/rev-1'];
  const release = new Gate();
  const asked = new Gate();
  server.misbehave = ({ path }) => {
    if (path !== NEW_NESTED) return null;
    asked.open();
    return { until: release.opened };
  };
  let answered = false;
  const refreshed = client.ask('POST', '/refresh').finally(() => (answered = true));
  await Promise.race([asked.opened, refreshed]);
  // An answer that does not wait would have come by then.
  for (let n = 0; n < 100; ++n) await client.ask('GET', '/revision');
  assert.equal(answered, false);
  release.open();
  await refreshed;
  await client.sh('stat nested/brandnew');
});

test('who asks a client that hangs is told so soon, and how it is ended', { skip }, async (t) => {
  const server = await serverOf(t, 'thin/rev-1');
  const client = await MountedClient.start(t, { servers: [server.url] });
  client.process.kill('SIGSTOP');
  try {
    await assert.rejects(ctl(client, 'status'), (error: Error) => {
      assert.match(error.message, /no answer within 5 s; if the client hangs, end its process \(kill -9\)/);
      assert.ok(error.message.includes(`\`pgrep -f ${client.socket}\` names it`), error.message);
      return true;
    });
    assert.equal((await run('pgrep', '-f', client.socket)).trim(), String(client.process.pid));
  } finally {
    client.process.kill('SIGCONT');
  }
});
