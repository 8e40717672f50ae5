import assert from 'node:assert/strict';
import { test } from 'node:test';

import { ThinlayerError } from '../../../src/core/errors.js';
import { FailureLog } from '../../../src/cvmfs/embedded/failure-log.js';

test('a read that fails is told once, and again when it fails otherwise, or later', () => {
  const lines: string[] = [];
  let now = 0;
  const clock = { now: () => now, sleep: () => Promise.resolve() };
  const failures = new FailureLog({ error: (_facts, message) => void lines.push(message) }, clock);
  const fail = (object: string, message: string) =>
    failures.failed({ path: `/${object}`, object }, new ThinlayerError('unavailable', message));
  fail('a', 'refused');
  fail('b', 'refused');
  fail('a', 'refused');
  assert.deepEqual(lines.splice(0), ['/a cannot be read: refused', '/b cannot be read: refused']);
  fail('a', 'timed out');
  now = 10_000;
  fail('a', 'timed out');
  assert.deepEqual(lines, ['/a cannot be read: timed out', '/a cannot be read: timed out']);
});
