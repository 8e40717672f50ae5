import assert from 'node:assert/strict';
import { test } from 'node:test';

import fc from 'fast-check';

import { parseLayerId, toContainerId, toHostId } from '../../../src/core/model.js';
import type { IdMap } from '../../../src/core/model.js';

test('ids of Docker, of BuildKit and of test suites are layer ids', () => {
  const hex = 'f9e7bf37b8855a136fb2a4ff26d4225ee81c8b5cc67cba97ed32e11966ed09e7';
  for (const text of [
    hex,
    `${hex}-init`,
    'xk2wl5ugnv0v9ynkq4j9b8n2e',
    'Base',
    'a.b_c-d',
    '0',
    'x'.repeat(128),
  ]) {
    assert.equal(parseLayerId(text), text);
  }
});

test('what could be a path, a name of the store or no name is refused', () => {
  const bad = [
    '',
    '.',
    '..',
    '.trash',
    'a/b',
    '../a',
    '/a',
    'a\0',
    'a\n',
    'a b',
    '-a',
    '_a',
    'ä',
    'x'.repeat(129),
  ];
  for (const text of [...bad, 'l', 'cvmfs', 'masks']) {
    assert.throws(() => parseLayerId(text), { code: 'invalid_argument' }, JSON.stringify(text));
  }
});

test('a refused id is shown short', () => {
  assert.throws(
    () => parseLayerId('y'.repeat(10_000)),
    (error: Error) => error.message.length < 400 && error.message.includes('(10000 characters)'),
  );
});

const MAPS: IdMap[] = [
  { containerId: 0, hostId: 100_000, size: 1000 },
  { containerId: 5000, hostId: 300_000, size: 10 },
];

test('ids are mapped by their range, and -1 outside of all', () => {
  assert.deepEqual(
    [0, 999, 1000, 4999, 5000, 5009, 5010].map((id) => toHostId(MAPS, id)),
    [100_000, 100_999, -1, -1, 300_000, 300_009, -1],
  );
  assert.deepEqual(
    [99_999, 100_000, 101_000, 300_009].map((id) => toContainerId(MAPS, id)),
    [-1, 0, -1, 5009],
  );
  assert.equal(toHostId([], 7), 7);
  assert.equal(toContainerId([], 7), 7);
});

/** Ranges one behind the other on both sides, so that none overlap. */
const maps = fc
  .array(fc.record({ gap: fc.nat(100), hostGap: fc.nat(100), size: fc.integer({ min: 1, max: 100_000 }) }), {
    maxLength: 5,
  })
  .map((parts) => {
    let [containerId, hostId] = [0, 0];
    return parts.map(({ gap, hostGap, size }): IdMap => {
      const map = { containerId: containerId + gap, hostId: hostId + hostGap, size };
      [containerId, hostId] = [map.containerId + size, map.hostId + size];
      return map;
    });
  });

test('an id that is mapped comes back the same', () => {
  fc.assert(
    fc.property(maps, fc.nat(600_000), (ranges, id) => {
      const host = toHostId(ranges, id);
      assert.ok(host === -1 || toContainerId(ranges, host) === id);
      const container = toContainerId(ranges, id);
      assert.ok(container === -1 || toHostId(ranges, container) === id);
    }),
  );
});
