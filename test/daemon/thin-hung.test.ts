/** A client that hangs holds up what needs its repository, and no ordinary layer. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';

import { thinDescriptor } from '../cvmfs/thin-repository.js';
import { waitFor } from '../system/process.js';
import { archiveOf } from './archives.js';
import { cannotRun } from './daemon.js';
import type { Daemon } from './daemon.js';
import { startThin } from './thin-daemon.js';

/** As many as there are threads for mounts that ask a repository, and for those that ask none. */
const THREADS = 16;
const CONTAINERS = THREADS + 4;
/** Far more than it takes. */
const LIMIT_MS = 30_000;
/** In the jail, which kills it at its end. */
const CLIENT = "pgrep -f 'bin/thinlayer-cvmfs[.]js'";
/** Threads of thinlayerd for which the kernel waits for an answer of FUSE. */
const WAITING = "cat /proc/$(pgrep -of 'src/main[.]js')/task/*/wchan | grep -o request_wait_answer | wc -l";

function shell(daemon: Daemon, script: string): Promise<string> {
  return daemon.jail.run(['sh', '-c', script]);
}

/** Its directories are in the kernel's cache then: to find them again needs no answer. */
async function startOnce(daemon: Daemon, id: string): Promise<void> {
  await daemon.client.createReadWrite(id, 'image');
  await daemon.client.get(id);
  await daemon.client.put(id);
}

async function useOrdinaryLayers({ client }: Daemon): Promise<void> {
  await client.create('base');
  await client.createReadWrite('ordinary', 'base');
  for (let n = 0; n < THREADS; ++n) {
    await client.get('ordinary');
    await client.put('ordinary');
  }
  await client.remove('ordinary');
  await client.remove('base');
}

test(
  'containers that wait for a client that hangs hold up no ordinary ones',
  { skip: cannotRun },
  async () => {
    await using started = await startThin(['cvmfs.mount=embedded', 'cvmfs.prefetch=off']);
    const { daemon } = started;
    const contents = await thinDescriptor();
    await daemon.client.create('image');
    await daemon.client.applyDiff('image', '', await archiveOf([{ name: 'thin.json', contents }]));
    const ids = Array.from({ length: CONTAINERS }, (_, n) => `c${n}`);
    for (const id of ids) await startOnce(daemon, id);
    await shell(daemon, `kill -STOP $(${CLIENT})`);
    const starts = Promise.allSettled(ids.map((id) => daemon.client.get(id)));
    try {
      await waitFor(
        'all threads to hang',
        async () => Number(await shell(daemon, WAITING)) >= THREADS || undefined,
      );
      const limit = delay(LIMIT_MS, 'held up', { ref: false });
      assert.equal(await Promise.race([useOrdinaryLayers(daemon), limit]), undefined);
    } finally {
      await shell(daemon, `kill -CONT $(${CLIENT})`);
    }
    assert.deepEqual([...new Set((await starts).map(({ status }) => status))], ['fulfilled']);
  },
);
