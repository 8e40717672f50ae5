/** What `thinlayer-cvmfs` refuses before it mounts anything: then nothing is made, and nothing left. */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

import { writeClientConfig } from '../cvmfs/client-config.js';
import { MountedClient } from '../cvmfs/mounted-client.js';
import { signalled } from '../fakes/signalled.js';
import { check, run } from '../system/process.js';
import { CVMFS_CLIENT } from '../system/project.js';
import { serverOf } from '../unit/cvmfs/client.js';
import { cannotMount } from './cvmfs-fixture.js';
import { mountsBelow } from './scratch-home.js';

const skip = cannotMount;
const FQRN = 'thin.example.org';

/** In a directory of its own, with a repository that is configured, and whose server nobody needs. */
async function inScratch(body: (directory: string) => Promise<void>): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'thinlayer-start-'));
  try {
    const key = await check('openssl', ['genrsa', '2048']);
    const pem = await check('openssl', ['rsa', '-pubout'], { input: key });
    await writeClientConfig(join(directory, 'etc'), FQRN, { url: 'http://127.0.0.1:1', key: pem });
    await mkdir(join(directory, 'empty'));
    await body(directory);
    assert.deepEqual(await mountsBelow(directory), []);
    assert.deepEqual(await readdir(join(directory, 'empty')), []);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function refused(directory: string, args: readonly string[], text: RegExp): Promise<void> {
  const { code, stderr } = await run(process.execPath, [
    ...[CVMFS_CLIENT, FQRN, ...args],
    ...['--config-dir', join(directory, 'etc')],
  ]);
  assert.match(stderr, text);
  assert.equal(code, 1);
}

test('a mountpoint is a directory, and an empty one unless it may hide what it holds', { skip }, async () => {
  await inScratch(async (directory) => {
    const at = (...names: string[]) => join(directory, ...names);
    await writeFile(at('file'), '');
    await mkdir(at('full/of/things'), { recursive: true });
    await refused(directory, [at('file')], /MOUNTPOINT: there is no directory \S+\/file; make it/);
    await refused(directory, [at('nothing')], /MOUNTPOINT: there is no directory \S+\/nothing; make it/);
    await refused(directory, [at('full')], /MOUNTPOINT \S+\/full is not empty.*-o nonempty$/m);
    await refused(directory, [at('full'), '-o', 'nonempty'], /127\.0\.0\.1:1: ECONNREFUSED/);
  });
});

test('a directory that may hide what it holds shows it again afterwards', { skip }, async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'thinlayer-client-'));
  await mkdir(join(directory, 'mnt'));
  await writeFile(join(directory, 'mnt/hidden'), '');
  const server = await serverOf(t, 'thin/rev-1');
  const options = { servers: [server.url], directory, arguments: ['-o', 'nonempty'] };
  const client = await MountedClient.start(t, options);
  assert.ok(!(await readdir(client.mountpoint)).includes('hidden'));
  assert.equal(await client.end(), 0);
  assert.deepEqual(await readdir(client.mountpoint), ['hidden']);
});

test('what holds for each mount may be said; setuid bits count no more with nosuid', { skip }, async (t) => {
  const server = await serverOf(t, 'thin/rev-1');
  const said =
    'ro,nodev,nosuid,noexec,noatime,allow_other,default_permissions,fsname=cvmfs2,subtype=x,_netdev';
  const client = await MountedClient.start(t, {
    servers: [server.url],
    settings: { CVMFS_SUID: 'yes' },
    arguments: ['-o', said],
  });
  const [mount] = await mountsBelow(client.directory);
  assert.deepEqual([mount?.type, mount?.source], ['fuse.cvmfs', FQRN]);
  const options = await check('findmnt', ['-no', 'OPTIONS', client.mountpoint]);
  for (const option of ['ro', 'nosuid', 'nodev', 'noexec', 'noatime', 'allow_other', 'default_permissions'])
    assert.ok(options.trim().split(',').includes(option), `${option} in ${options}`);
});

test('a root is let in who is alone with the user who mounts', { skip }, async (t) => {
  const server = await serverOf(t, 'thin/rev-1');
  const client = await MountedClient.start(t, { servers: [server.url], arguments: ['-o', 'allow_root'] });
  assert.ok((await readdir(client.mountpoint)).length > 0);
  const other = await run('setpriv', ['--reuid=65534', '--clear-groups', 'ls', client.mountpoint]);
  assert.match(other.stderr, /Permission denied/);
});

test('the descriptor for the report is open', { skip }, async () => {
  await inScratch((directory) =>
    refused(
      directory,
      [join(directory, 'empty'), '--report-fd', '77'],
      /--report-fd: descriptor 77 is not open in this process; open it/,
    ),
  );
});

test(
  'the directory of the control socket is there, and the socket nobody else answers on',
  { skip },
  async (t) => {
    await inScratch(async (directory) => {
      const socket = join(directory, 'none/control');
      const none = /--control: there is no directory \S+\/none; make it/;
      await refused(directory, [join(directory, 'empty'), '--control', socket], none);
      assert.ok(!existsSync(join(directory, 'none')));
    });
    const server = await serverOf(t, 'thin/rev-1');
    const client = await MountedClient.start(t, { servers: [server.url] });
    const second = await mkdtemp(join(tmpdir(), 'thinlayer-client-'));
    const sameSocket = { servers: [server.url], directory: second, arguments: ['--control', client.socket] };
    await assert.rejects(MountedClient.start(t, sameSocket), /another process answers on it/);
    assert.deepEqual(await mountsBelow(second), []);
    assert.equal((await client.status()).mountpoint, client.mountpoint);
  },
);

for (const [how, end] of [
  ['SIGTERM', (client: MountedClient) => client.end()],
  ['an unmount by somebody else', (client: MountedClient) => unmounted(client)],
] as const) {
  test(`the control socket is gone after ${how}`, { skip }, async (t) => {
    const server = await serverOf(t, 'thin/rev-1');
    const client = await MountedClient.start(t, { servers: [server.url] });
    assert.ok(existsSync(client.socket));
    assert.equal(await end(client), 0);
    assert.ok(!existsSync(client.socket));
  });
}

async function unmounted(client: MountedClient): Promise<number | null> {
  const ended = once(client.process, 'exit');
  await check('umount', [client.mountpoint]);
  return ((await ended) as [number | null])[0];
}

test('SIGHUP does not end one that still waits for a server', { skip }, async (t) => {
  const asked = signalled();
  const server = createServer(() => asked.signal());
  await once(server.listen(0, '127.0.0.1'), 'listening');
  t.after(() => server.closeAllConnections());
  t.after(() => server.close());
  await inScratch(async (directory) => {
    const { port } = server.address() as AddressInfo;
    const key = await readFile(join(directory, 'etc/keys', `${FQRN}.pub`), 'utf8');
    await writeClientConfig(join(directory, 'etc'), FQRN, { url: `http://127.0.0.1:${port}`, key });
    const words = [CVMFS_CLIENT, FQRN, join(directory, 'empty'), '--config-dir', join(directory, 'etc')];
    const child = spawn(process.execPath, words, { stdio: 'ignore' });
    const ended = once(child, 'close');
    await asked.promise;
    child.kill('SIGHUP');
    child.kill('SIGTERM');
    assert.deepEqual(await ended, [1, null]);
  });
});
