import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { Cache } from '../../../src/cvmfs/embedded/cache/cache.js';
import { TestClock, temporaryDirectory } from './client.js';

const WRITER = fileURLToPath(new URL('cache-writer.js', import.meta.url));
const ROUNDS = 25;
const WRITERS = 4;

/** Killed after so many steps, somewhere in the one that follows. */
async function writeUntilKilled(directory: string, steps: number): Promise<void> {
  const writer = spawn(process.execPath, [WRITER, directory], { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = once(writer, 'exit');
  let seen = 0;
  for await (const line of createInterface(writer.stdout)) {
    assert.equal(line, '.');
    seen += 1;
    if (seen === steps) writer.kill('SIGKILL');
  }
  assert.deepEqual(await ended, [null, 'SIGKILL']);
}

test(`writers of one cache killed ${ROUNDS * WRITERS} times: what is there is whole, and within the quota`, async (t) => {
  const directory = temporaryDirectory(t);
  for (let round = 0; round < ROUNDS; round++) {
    const steps = Array.from({ length: WRITERS }, () => 1 + Math.floor(Math.random() * 60));
    await Promise.all(steps.map((count) => writeUntilKilled(directory, count)));
  }
  const cache = await Cache.open({ directory, limit: Infinity, clock: new TestClock() });
  const { objects, bytes, damaged } = await cache.check();
  assert.deepEqual(damaged, []);
  assert.ok(objects > 0);
  // Each writer may be a sixteenth of the quota ahead of what it last saw of the others.
  assert.ok(bytes <= 2_000_000 * (1 + WRITERS / 16) + WRITERS * 100_000, `${bytes} bytes`);
});
