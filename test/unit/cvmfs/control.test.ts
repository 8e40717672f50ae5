/** The control socket of `thinlayer-cvmfs`: who may say what of starts. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TestContext } from 'node:test';

import { askClient } from '../../../src/cvmfs/client-socket.js';
import { ClientStarts } from '../../../src/cvmfs/client-starts.js';
import type { Client } from '../../../src/cvmfs/embedded/client.js';
import { createClientControl } from '../../../src/cvmfs/embedded/control.js';
import { listening } from '../../fakes/listening.js';
import { signalled } from '../../fakes/signalled.js';
import { waitFor } from '../../system/process.js';

/** A socket, and what was told to the client behind it. */
async function control(t: TestContext): Promise<{ socket: string; told: unknown[] }> {
  const told: unknown[] = [];
  const client = {
    beginStart: async (holder: string, layers: readonly string[]) =>
      void told.push(['begin', holder, layers]),
    endStart: async (holder: string) => void told.push(['end', holder]),
  } as unknown as Client;
  const { path, close } = await listening(createClientControl({ client, quit: () => undefined }));
  t.after(close);
  return { socket: path, told };
}

test('starts are told in order, with the layers as paths in the repository', async (t) => {
  const { socket, told } = await control(t);
  const failures: string[] = [];
  const starts = new ClientStarts({
    socket: () => socket,
    mountpoint: (repository) => `/home/cvmfs/${repository}`,
    failed: ({ message }) => failures.push(message),
  });
  starts.begin('r.example.org', 'layer x', [
    '/home/cvmfs/r.example.org/layers/b',
    '/home/cvmfs/r.example.org/layers/a',
  ]);
  starts.end('r.example.org', 'layer x');
  await waitFor('both to be told', async () => told.length === 2 || undefined);
  assert.deepEqual(told, [
    ['begin', 'layer x', ['layers/b', 'layers/a']],
    ['end', 'layer x'],
  ]);
  assert.deepEqual(failures, []);
});

test('whatever is asked for, it is answered', async (t) => {
  const { socket } = await control(t);
  for (const path of ['//', '/none', '/start/end?%zz'])
    await assert.rejects(askClient(socket, 'POST', path), { code: /not_found|invalid_argument/ }, path);
});

test('a client that does not answer is told of, and nothing else happens', async () => {
  const failure = signalled<string>();
  const starts = new ClientStarts({
    socket: () => '/nowhere/control.sock',
    mountpoint: () => '/',
    failed: ({ message }) => failure.signal(message),
  });
  starts.end('r.example.org', 'layer x');
  assert.match(await failure.promise, /no answer on \/nowhere\/control\.sock/);
});

test('what is no start is refused with what is wrong', async (t) => {
  const { socket, told } = await control(t);
  const begin = (body: object) => askClient(socket, 'POST', '/start/begin', { body });
  await assert.rejects(begin({}), { code: 'invalid_argument', message: /"holder" is not a text/ });
  for (const layers of ['a', [1], ['/etc'], ['']]) {
    await assert.rejects(begin({ holder: 'x', layers }), /"layers" are not relative paths/);
  }
  await assert.rejects(begin({ holder: 'x'.repeat(300_000) }), /more than 262144 characters/);
  await assert.rejects(askClient(socket, 'POST', '/start/end'), /"holder" is not a text/);
  assert.deepEqual(told, []);
});
