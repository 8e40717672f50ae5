import assert from 'node:assert/strict';
import { test } from 'node:test';

import { ThinlayerError } from '../../../src/core/errors.js';
import { Failures } from '../../../src/cvmfs/embedded/failures.js';

test('a read that fails is told once, and again when it fails otherwise, or later', () => {
  const lines: string[] = [];
  let now = 0;
  const clock = { ticks: () => now };
  const failures = new Failures({ error: (_facts, message) => void lines.push(message) }, clock);
  const fail = (object: string, message: string) =>
    failures.failed({ path: `/${object}`, object }, new ThinlayerError('unavailable', message), 0);
  fail('a', 'refused');
  fail('b', 'refused');
  fail('a', 'refused');
  assert.deepEqual(lines.splice(0), ['/a cannot be read: refused', '/b cannot be read: refused']);
  fail('a', 'timed out');
  now = 10_000;
  fail('a', 'timed out');
  assert.deepEqual(lines, ['/a cannot be read: timed out', '/a cannot be read: timed out']);
});

test('who comes right after is refused for as long as it took to find out, and not for long', () => {
  let now = 0;
  const clock = { ticks: () => now };
  const failures = new Failures({ error: () => undefined }, clock);
  const fail = (object: string, took: number) =>
    failures.failed({ path: '/x', object }, new ThinlayerError('unavailable', 'timed out'), took);
  fail('quick', 3);
  fail('slow', 900);
  fail('slowest', 60_000);
  const refused = () => ['quick', 'slow', 'slowest', 'other'].filter((object) => failures.isRefused(object));
  assert.deepEqual(refused(), ['quick', 'slow', 'slowest']);
  now = 899;
  assert.deepEqual(refused(), ['slow', 'slowest']);
  now = 999;
  assert.deepEqual(refused(), ['slowest']);
  now = 1000;
  assert.deepEqual(refused(), []);
});

test('the last failure explains what fails now, and not for ever', () => {
  let now = 0;
  const clock = { ticks: () => now };
  const failures = new Failures({ error: () => undefined }, clock);
  assert.equal(failures.latest, null);
  failures.failed({ path: '/x', object: 'a' }, new ThinlayerError('unavailable', 'refused'), 0);
  assert.equal(failures.latest, '/x cannot be read: refused');
  now = 60_000;
  assert.equal(failures.latest, null);
});

test('a clock that is set back makes nobody wait', () => {
  let [wall, now] = [Date.UTC(2026, 0, 2), 0];
  const clock = { now: () => wall, ticks: () => now, sleep: () => Promise.resolve() };
  const failures = new Failures({ error: () => undefined }, clock);
  failures.failed({ path: '/x', object: 'a' }, new ThinlayerError('unavailable', 'timed out'), 900);
  wall = Date.UTC(2026, 0, 1);
  now = 899;
  assert.equal(failures.isRefused('a'), true);
  now = 900;
  assert.equal(failures.isRefused('a'), false);
  now = 60_000;
  assert.equal(failures.latest, null);
});
