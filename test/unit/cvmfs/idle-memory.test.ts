import assert from 'node:assert/strict';
import { test } from 'node:test';

import { IdleMemory } from '../../../src/cvmfs/embedded/idle-memory.js';

/** One whose mount has done so much work, and what it called. */
function memoryOf(statistics: Record<string, number>, calls: string[]): IdleMemory {
  return new IdleMemory({
    statistics: () => statistics,
    trim: () => void calls.push('trim'),
    limit: () => void calls.push('limit'),
    collect: () => void calls.push('collect'),
  });
}

test('what the mount took is given back, and the heap grows less from then on', () => {
  const calls: string[] = [];
  memoryOf({}, calls).begin();
  assert.deepEqual(calls, ['limit', 'trim']);
});

test('garbage is collected once after each time of work, and never in the middle of it', () => {
  const [statistics, calls] = [{ lookups: 5, reads: 0 }, [] as string[]];
  const memory = memoryOf(statistics, calls);
  const look = () => {
    calls.length = 0;
    memory.look();
    return [...calls];
  };
  assert.deepEqual(look(), ['trim']);
  statistics.reads += 1;
  assert.deepEqual(look(), ['trim']);
  assert.deepEqual(look(), ['collect', 'trim']);
  assert.deepEqual(look(), []);
  assert.deepEqual(look(), []);
  statistics.lookups += 1;
  assert.deepEqual(look(), ['trim']);
  assert.deepEqual(look(), ['collect', 'trim']);
});
