/** Init again and again, orderly ends, second daemons, sockets: the life of thinlayerd itself. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile, readlink, rm, stat, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';

import { run, waitFor } from '../system/process.js';
import { contentsOf, manyFiles } from './archives.js';
import { GraphDriverClient } from './client.js';
import { daemonTest } from './daemon.js';
import type { Daemon } from './daemon.js';
import { assertReadable, makeContainer, makeImage, times, wholeLife } from './layers.js';
import { assertNothingLeft, openDescriptors } from './leaks.js';

daemonTest('the same home is opened again and again while calls run', async (daemon) => {
  const before = await openDescriptors(daemon);
  const lives = times(20, (index) => wholeLife(daemon, String(index)));
  for (let opening = 0; opening < 10; opening++) await daemon.client.init(daemon.home);
  await lives;
  await assertNothingLeft(daemon, before);
});

daemonTest(
  'another home is opened when the calls on the first have ended; both keep their layers',
  async (daemon) => {
    const { client } = daemon;
    const merged = await mountedContainer(daemon);
    const archive = await manyFiles('slow', 10);
    const slow = new PassThrough();
    slow.write(archive.subarray(0, 1000));
    await client.create('slow');
    const applied = client.applyDiff('slow', '', slow);
    const opened = client.init(daemon.path('other'));
    slow.end(archive.subarray(1000));
    assert.ok((await applied) > 0);
    await opened;
    assert.deepEqual(await daemon.layers(), []);
    await makeImage(daemon, 'of-the-other');
    assert.deepEqual(await daemon.mounts(), [merged]);

    await client.init(daemon.home);
    const states = (await daemon.layers()).map(({ id, state }) => `${id} ${state}`).sort();
    assert.deepEqual(states, ['base-of-container applied', 'container mounted', 'slow applied']);
    await assertReadable(daemon, merged);
    await client.put('container');
    assert.deepEqual(await daemon.mounts(), []);
  },
);

daemonTest('SIGTERM: running calls end whole, new ones find nobody, mounts stay', async (daemon) => {
  const merged = await mountedContainer(daemon);
  // More than the sockets between hold.
  const contents = Buffer.alloc(32 << 20, 'x');
  await writeFile(join(daemon.inside(merged), 'large'), contents);
  const archive = await daemon.client.diffStream('container', 'base-of-container');
  process.kill(daemon.pid, 'SIGTERM');
  await waitFor('the end of the socket', async () => (await connectionError(daemon.socket)) ?? undefined);
  assert.ok(daemon.running);
  const files = await contentsOf(archive);
  assert.ok(files.get('large')?.equals(contents));
  await daemon.stop();
  assert.deepEqual(await daemon.mounts(), [merged]);
  await daemon.launch();
  await daemon.client.put('container');
  assert.deepEqual(await daemon.mounts(), []);
});

daemonTest('SIGTERM: the answer of a call under way comes', async (daemon) => {
  const archive = await manyFiles('slow', 10);
  for (let round = 0; round < 5; round++) {
    const slow = new PassThrough();
    slow.write(archive.subarray(0, 1000));
    await daemon.client.create(`slow-${round}`);
    const applied = daemon.client.applyDiff(`slow-${round}`, '', slow);
    await waitFor(
      'the call',
      async () => (await stateOf(daemon, `slow-${round}`)) === 'applying' || undefined,
    );
    process.kill(daemon.pid, 'SIGTERM');
    await waitFor('the end of the socket', async () => (await connectionError(daemon.socket)) ?? undefined);
    slow.end(archive.subarray(1000));
    assert.ok((await applied) > 0);
    await daemon.restart();
  }
});

daemonTest('the uses that dockerd holds outlive the daemon, and not dockerd', async (daemon) => {
  const merged = await mountedContainer(daemon);
  const { client } = daemon;
  // As docker cp does to a running container.
  await client.get('container');
  await daemon.restart();
  await client.put('container');
  assert.deepEqual(await daemon.mounts(), [merged], 'an orderly end');
  await client.get('container');
  await daemon.kill9();
  await daemon.launch();
  await client.put('container');
  assert.deepEqual(await daemon.mounts(), [merged], 'a kill');
  await client.put('container');
  assert.deepEqual(await daemon.mounts(), []);

  // The number of a former mount is none of this one, however short ago that was.
  for (let use = 0; use < 2; ++use) await client.get('container');
  for (let use = 0; use < 2; ++use) await client.put('container');
  await client.get('container');
  await daemon.kill9();
  await daemon.launch();
  await client.put('container');
  assert.deepEqual(await daemon.mounts(), [], 'a kill just after other uses');

  await client.get('container');
  await client.get('container');
  await client.init(daemon.home);
  await client.put('container');
  assert.deepEqual(await daemon.mounts(), [], 'dockerd that begins holds one use of each');
});

daemonTest(
  'the orderly end of dockerd unmounts what is no container, whatever was counted',
  async (daemon) => {
    const merged = await mountedContainer(daemon);
    await makeContainer(daemon, 'ended');
    for (let use = 0; use < 3; ++use) await daemon.client.get('ended');
    const process = await daemon.jail.start({
      name: 'container',
      // As a runtime does it: a name space of its own, in which the layer is somewhere else.
      command: ['unshare', '--mount', 'sh', '-c', `mount --bind '${merged}' /mnt && exec sleep infinity`],
      log: daemon.path('container.log'),
    });
    await waitFor('the container', async () => {
      const mounts = await readFile(`/proc/${process.pid}/mountinfo`, 'utf8');
      return / \/mnt .* overlay /.test(mounts) || undefined;
    });
    await daemon.client.cleanup();
    assert.deepEqual(await daemon.mounts(), [merged]);
    const other = await daemon.jail.start({
      name: 'other',
      command: ['unshare', '--mount', 'sleep', 'infinity'],
      log: daemon.path('other.log'),
    });
    await waitFor('a name space', async () => {
      const [its, ours] = await Promise.all(
        [other.pid, daemon.pid].map((pid) => readlink(`/proc/${pid}/ns/mnt`)),
      );
      return its !== ours || undefined;
    });
    await process.stop('SIGKILL');
    await daemon.client.cleanup();
    assert.deepEqual(await daemon.mounts(), []);
    await other.stop('SIGKILL');
  },
);

daemonTest('a second daemon on the same home is refused, with the process that has it', async (daemon) => {
  const socket = daemon.path('second.sock');
  const command = daemon.command(
    '--socket',
    socket,
    '--control',
    daemon.path('second-control.sock'),
    '--state',
    daemon.path('second.json'),
  );
  const log = daemon.path('second.log');
  const second = await daemon.jail.start({ name: 'second', command, log });
  const client = new GraphDriverClient(socket);
  await waitFor('the second daemon', async () =>
    (await connectionError(socket)) === null ? true : undefined,
  );
  const refusal = await client.init(daemon.home).then(
    () => '',
    (error: Error) => error.message,
  );
  const holder = await idInJail(daemon.pid);
  assert.match(refusal, new RegExp(`in use by another daemon \\(process ${holder}\\)`));
  await assert.rejects(client.create('layer'), /in use by another daemon/);
  await makeImage(daemon, 'layer');
  client.close();
  await second.stop();
});

daemonTest(
  'a start while the daemon of before still ends waits for the home, and calls and Init with it',
  async (daemon) => {
    const ending = await busyWithAnEnd(daemon);
    await daemon.launch();
    const exists = daemon.client.exists('slow');
    const layers = daemon.layers();
    const opened = daemon.client.init(daemon.home);
    const waiting = `is in use by process ${ending.id};`;
    await waitFor('the wait', async () => (await logOf(daemon)).includes(waiting) || undefined);
    await ending.finish();
    assert.equal(await exists, true);
    assert.equal((await layers).length, 1);
    await opened;
    assert.equal(await stateOf(daemon, 'slow'), 'applied');
    assert.equal((await logOf(daemon)).split(waiting).length, 2);
  },
);

daemonTest('SIGTERM ends a daemon that waits for the home of another', async (daemon) => {
  const ending = await busyWithAnEnd(daemon);
  await daemon.launch();
  const refused = assert.rejects(daemon.client.exists('slow'), /thinlayerd is stopping/);
  await waitFor('the wait', async () => (await logOf(daemon)).includes('is in use by process') || undefined);
  await daemon.stop();
  await refused;
  await ending.finish();
});

daemonTest('a second daemon on the same socket ends at once, and the first serves on', async (daemon) => {
  const [program = '', ...args] = daemon.jail.enter(daemon.command());
  const second = await run(program, args);
  assert.equal(second.code, 1);
  assert.match(second.stderr, /cannot listen on .*another process answers on it/);
  await makeImage(daemon, 'layer');
});

daemonTest('the socket is for root only, and one that a killed daemon left is replaced', async (daemon) => {
  for (const socket of [daemon.socket, daemon.control])
    assert.equal((await stat(socket)).mode & 0o777, 0o600);
  await daemon.kill9();
  assert.ok((await stat(daemon.socket)).isSocket());
  await daemon.launch();
  assert.equal((await stat(daemon.socket)).mode & 0o777, 0o600);
  await makeImage(daemon, 'layer');
});

daemonTest('a home deleted behind the daemon: calls are refused until it is opened again', async (daemon) => {
  await makeImage(daemon, 'before');
  await rm(daemon.home, { recursive: true });
  await assert.rejects(daemon.client.create('after'), /after/);
  await assert.rejects(daemon.client.createReadWrite('child', 'before'), /child/);
  await daemon.client.remove('before');
  await daemon.client.init(daemon.home);
  assert.deepEqual(await daemon.layers(), []);
  await makeImage(daemon, 'after');
});

daemonTest('a remembered home that is gone is not made anew: its disk may come back', async (daemon) => {
  await makeImage(daemon, 'before');
  await daemon.kill9();
  await rm(daemon.home, { recursive: true });
  await daemon.launch();
  await assert.rejects(daemon.client.exists('before'), /dockerd has not named a home/);
  await assert.rejects(stat(daemon.home), { code: 'ENOENT' });
  await daemon.client.init(daemon.home);
  await makeImage(daemon, 'after');
});

/** After SIGTERM to the daemon, which cannot end before its last call has: `finish` lets it. `id`: of its process. */
async function busyWithAnEnd(daemon: Daemon): Promise<{ id: string; finish(): Promise<void> }> {
  const archive = await manyFiles('slow', 10);
  const slow = new PassThrough();
  slow.write(archive.subarray(0, 1000));
  await daemon.client.create('slow');
  const applied = daemon.client.applyDiff('slow', '', slow);
  await waitFor('the call', async () => (await stateOf(daemon, 'slow')) === 'applying' || undefined);
  const id = await idInJail(daemon.pid);
  process.kill(daemon.pid, 'SIGTERM');
  await waitFor('the end of the socket', async () => (await connectionError(daemon.socket)) ?? undefined);
  const { client } = daemon;
  return {
    id,
    async finish() {
      slow.end(archive.subarray(1000));
      assert.ok((await applied) > 0);
      client.close();
    },
  };
}

/** A process's id as it sees it itself. */
async function idInJail(pid: number): Promise<string> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return /^NSpid:.*\t(\d+)$/m.exec(status)?.[1] ?? '';
}

function logOf(daemon: Daemon): Promise<string> {
  return readFile(daemon.path('thinlayerd.log'), 'utf8');
}

async function mountedContainer(daemon: Daemon): Promise<string> {
  await makeContainer(daemon, 'container');
  return daemon.client.get('container');
}

async function stateOf(daemon: Daemon, id: string): Promise<string | undefined> {
  return (await daemon.layers()).find((layer) => layer.id === id)?.state;
}

/** The code of the error of a connection attempt; null if it succeeds. */
async function connectionError(socket: string): Promise<string | null> {
  const connection = connect(socket);
  try {
    await once(connection, 'connect');
    return null;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? 'unknown';
  } finally {
    connection.destroy();
  }
}

daemonTest(
  'killed while an archive is unpacked over merged files: that mount is nobody’s use',
  async (daemon) => {
    const { client } = daemon;
    await makeImage(daemon, 'base');
    await client.create('child', 'base');
    const archive = await manyFiles('naive', 10);
    const slow = new PassThrough();
    slow.write(archive.subarray(0, 1000));
    // Against nothing, though the layer has a parent: Docker's naive differ.
    const applied = client.applyDiff('child', '', slow);
    const mounts = await waitFor('the mount', async () => {
      const points = await daemon.mounts();
      return points.length > 0 ? points : undefined;
    });
    assert.deepEqual(mounts, [join(daemon.home, 'child', 'unpacking')]);
    const failed = assert.rejects(applied);
    await daemon.kill9();
    await failed;
    await daemon.launch();
    assert.equal(await stateOf(daemon, 'child'), 'created');
    assert.deepEqual(await daemon.mounts(), []);
    assert.ok((await client.applyDiff('child', '', archive)) > 0);
    await client.get('child');
    await client.put('child');
    assert.deepEqual(await daemon.mounts(), []);
  },
);

daemonTest('an image whose next layers Docker forgot, killed in a pull, can be removed', async (daemon) => {
  const { client } = daemon;
  await makeImage(daemon, 'image');
  await makeImage(daemon, 'pulled', 'image');
  await client.create('cut', 'image');
  const archive = new PassThrough();
  archive.write((await manyFiles('cut', 10)).subarray(0, 1000));
  const applied = assert.rejects(client.applyDiff('cut', 'image', archive));
  await daemon.kill9();
  archive.destroy();
  await applied;
  await daemon.launch();

  await assert.rejects(
    client.remove('image'),
    /other layers are made on it \(cut, pulled\).*thinlayer remove ID/,
  );
  await makeContainer(daemon, 'used');
  await client.get('used');
  await assert.rejects(daemon.ask('POST', '/remove/used'), /in use/);
  await client.put('used');
  for (const id of ['used', 'base-of-used', 'pulled']) await daemon.ask('POST', `/remove/${id}`);
  await client.remove('image');
  assert.deepEqual(await daemon.layers(), []);
});
