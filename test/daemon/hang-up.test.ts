/** Callers that go away in the middle of a call: what they asked for ends, and leaves nothing. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { PassThrough } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';

import { manyFiles } from './archives.js';
import { daemonTest } from './daemon.js';
import type { Daemon } from './daemon.js';
import { assertNothingLeft, openDescriptors } from './leaks.js';
import { Random } from './random.js';

const HANG_UPS = 100;

daemonTest('Gets that are given up in the queue count no use', async (daemon) => {
  const before = await openDescriptors(daemon);
  const { client } = daemon;
  const archive = await manyFiles('upper', 20);
  await client.create('base');
  await client.applyDiff('base', '', await manyFiles('base', 3));
  await client.create('upper', 'base');
  // An archive that does not go on: all other calls for its layer wait for its end.
  const stalled = new PassThrough();
  stalled.write(archive.subarray(0, 2000));
  const applied = client.applyDiff('upper', 'base', stalled);

  const gone = Array.from({ length: 20 }, () => new AbortController());
  const given = gone.map(({ signal }) => client.get('upper', signal));
  const waiting = Array.from({ length: 20 }, () => client.get('upper'));
  // An answered call on a connection made after theirs: the daemon has read them.
  await client.put('unknown');
  for (const controller of gone) controller.abort();
  for (const call of given) await assert.rejects(call, { name: 'AbortError' });
  stalled.end(archive.subarray(2000));
  await applied;
  await Promise.all(waiting);

  assert.equal(await usesOf(daemon, 'upper'), 20);
  await Promise.all(waiting.map(() => client.put('upper')));
  assert.deepEqual(await daemon.mounts(), []);
  await client.remove('upper');
  await client.remove('base');
  await assertNothingLeft(daemon, before);
});

async function usesOf(daemon: Daemon, id: string): Promise<number | undefined> {
  return (await daemon.layers()).find((layer) => layer.id === id)?.uses;
}

daemonTest('a hundred callers hang up at any moment of Get, ApplyDiff and Diff', async (daemon) => {
  const before = await openDescriptors(daemon);
  const random = new Random();
  const archive = await manyFiles('base', 400);
  await daemon.client.create('base');
  await daemon.client.applyDiff('base', '', archive);
  await Promise.all(
    Array.from({ length: HANG_UPS }, (_, index) =>
      random.pick([hangUpInGet, hangUpInApply, hangUpInDiff])({
        daemon,
        random,
        archive,
        id: `layer-${index}`,
      }),
    ),
  );
  await daemon.client.remove('base');
  await assertNothingLeft(daemon, before);
});

interface HangUp {
  readonly daemon: Daemon;
  readonly random: Random;
  readonly archive: Buffer;
  readonly id: string;
}

/** The answer may be on its way already, and then the use is counted: removal ends it all the same. */
async function hangUpInGet({ daemon: { client }, random, id }: HangUp): Promise<void> {
  await client.createReadWrite(id, 'base');
  const gone = new AbortController();
  const call = client.get(id, gone.signal).catch(ignoreAbort);
  await delay(random.below(20));
  gone.abort();
  await call;
  await client.remove(id);
}

/** The layer is as before: an archive can be applied. */
async function hangUpInApply({ daemon: { client }, random, archive, id }: HangUp): Promise<void> {
  await client.create(id, 'base');
  const gone = new AbortController();
  const body = new PassThrough();
  body.write(archive.subarray(0, random.below(archive.length)));
  const call = client.applyDiff(id, 'base', body, gone.signal).catch(ignoreAbort);
  await delay(random.below(50));
  gone.abort();
  await call;
  assert.ok((await client.applyDiff(id, 'base', archive)) > 0);
  await client.remove(id);
}

async function hangUpInDiff({ daemon: { client }, random, archive, id }: HangUp): Promise<void> {
  await client.create(id, 'base');
  await client.applyDiff(id, 'base', archive);
  const gone = new AbortController();
  // Against its parent, or against nothing: then the layer is mounted meanwhile.
  const response = await client.diffStream(id, random.pick(['base', '']), gone.signal);
  response.on('error', ignoreAbort);
  for (let chunks = random.below(4); chunks > 0; chunks--) await once(response, 'data');
  gone.abort();
  await client.remove(id);
}

function ignoreAbort(error: unknown): void {
  const { name, code } = error as NodeJS.ErrnoException;
  if (name !== 'AbortError' && code !== 'ECONNRESET') throw error;
}
