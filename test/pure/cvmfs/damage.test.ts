import assert from 'node:assert/strict';
import { test } from 'node:test';

import type { Cache } from '../../../src/cvmfs/embedded/cache/cache.js';
import { Damage } from '../../../src/cvmfs/embedded/damage.js';

const OBJECT = `61/${'d4'.repeat(19)}C`;

test('an object that is as it came is read through again after a while, though the clock was set back', async () => {
  let [wall, now, read] = [Date.UTC(2026, 0, 2), 0, 0];
  const clock = { now: () => wall, ticks: () => now, sleep: () => Promise.resolve() };
  const cache = { verify: () => Promise.resolve(++read > 0) } as unknown as Cache;
  const damage = new Damage({ cache, clock, log: { warn: () => undefined } });
  const clear = () => assert.rejects(damage.clear({ object: OBJECT, path: '/x' }), { code: 'data_loss' });
  await clear();
  wall = Date.UTC(2026, 0, 1);
  now = 59_999;
  await clear();
  assert.equal(read, 1);
  now = 60_000;
  await clear();
  assert.equal(read, 2);
});
