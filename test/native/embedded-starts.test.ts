/** Clients that still mount, when the daemon that started them is gone, or has waited long enough. */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';

import type { RepositorySource } from '../../src/core/repository.js';
import { embeddedSource } from '../../src/cvmfs/embedded-source.js';
import { lockOf } from '../../src/cvmfs/client-socket.js';
import { loadAddon } from '../../src/host/addon.js';
import { tryLock } from '../../src/host/lock.js';
import { FQRN } from '../cvmfs/thin-repository.js';
import { signalled } from '../fakes/signalled.js';
import { check } from '../system/process.js';
import { CVMFS_CLIENT } from '../system/project.js';
import { cannotMount } from './cvmfs-fixture.js';
import { mountsBelow } from './scratch-home.js';
import { placesOf, serverOf } from './source-lab.js';
import type { Places } from './source-lab.js';

const skip = cannotMount;

function sourceOn(places: Places, patienceMs?: number): RepositorySource {
  return embeddedSource({
    ...places,
    command: [process.execPath, CVMFS_CLIENT],
    lock: (path) => tryLock(loadAddon(), path, ''),
    ...(patienceMs !== undefined && { patienceMs }),
  });
}

interface Held {
  readonly places: Places;
  readonly mountpoint: string;
  /** Resolves when a client has asked the server for something. */
  readonly asked: Promise<void>;
  /** The server answers from then on. */
  readonly answer: () => void;
}

/** A server that lets its first client wait. */
async function held(t: TestContext): Promise<Held> {
  const [asked, answer] = [signalled(), signalled()];
  let release = (): Promise<void> => Promise.resolve();
  // Before the server and the files are gone.
  t.after(() => {
    answer.signal();
    return release();
  });
  const { places, server } = await placesOf(t, { settings: { CVMFS_TIMEOUT_DIRECT: '600' } });
  server.misbehave = () => {
    asked.signal();
    return { until: answer.promise };
  };
  await sourceOn(places).resolve(FQRN);
  release = () => sourceOn(places).release(FQRN);
  const mountpoint = join(places.directory, FQRN);
  return { places, mountpoint, asked: asked.promise, answer: () => answer.signal() };
}

test('who waited long enough for a client is told so; the next one finds it mounted', { skip }, async (t) => {
  const { places, mountpoint, answer } = await held(t);
  const late = { code: 'unavailable', message: /thin\.example\.org has not mounted it within 0\.2 s.*log/ };
  await assert.rejects(sourceOn(places, 200).acquire(FQRN, {}), late);
  await assert.rejects(sourceOn(places, 200).acquire(FQRN, {}), late);
  const pid = await serverOf(mountpoint);
  const acquired = sourceOn(places).acquire(FQRN, {});
  answer();
  const { revision, anew } = await acquired;
  assert.deepEqual({ revision, anew }, { revision: 7, anew: true });
  assert.equal(await serverOf(mountpoint), pid);
  assert.equal((await mountsBelow(places.directory)).length, 1);
});

test('a client that still mounts is ended when nobody needs it any more', { skip }, async (t) => {
  const { places, asked, answer } = await held(t);
  const acquired = sourceOn(places).acquire(FQRN, {});
  await asked;
  const released = sourceOn(places).release(FQRN);
  answer();
  await released;
  assert.equal((await acquired).revision, 7);
  assert.deepEqual(await readdir(places.directory), []);
});

test(
  'a client that fails while another daemon waits for it is started again by that one',
  { skip },
  async (t) => {
    const { places, mountpoint, asked, answer } = await held(t);
    const first = assert.rejects(
      sourceOn(places).acquire(FQRN, {}),
      /its client ended before it had mounted/,
    );
    await asked;
    const second = sourceOn(places).acquire(FQRN, {});
    process.kill(await serverOf(mountpoint), 'SIGKILL');
    answer();
    await first;
    assert.equal((await second).revision, 7);
  },
);

test('nothing is unmounted as long as a client is there, though it does not answer', { skip }, async (t) => {
  const { places } = await placesOf(t);
  const [source, mountpoint] = [sourceOn(places, 200), join(places.directory, FQRN)];
  await source.resolve(FQRN);
  const tree = join(places.base, 'tree');
  await Promise.all([mkdir(tree), mkdir(mountpoint)]);
  await writeFile(join(tree, 'file'), 'there');
  await check('mount', ['--bind', tree, mountpoint]);
  const holder = spawn('flock', [lockOf(mountpoint, places.runDirectory), 'sh', '-c', 'echo; read line']);
  t.after(() => holder.kill());
  await once(holder.stdout, 'data');
  await assert.rejects(source.acquire(FQRN, {}), /has not mounted it within/);
  await assert.rejects(source.release(FQRN), /has not mounted it within/);
  assert.equal(await readFile(join(mountpoint, 'file'), 'utf8'), 'there');
  holder.stdin.end('\n');
  await once(holder, 'close');
  await source.release(FQRN);
  assert.deepEqual(await readdir(places.directory), []);
});
