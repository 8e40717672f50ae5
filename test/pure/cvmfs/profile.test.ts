/** Profiles: what is written is read again, and nothing else is. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import fc from 'fast-check';

import { ThinlayerError } from '../../../src/core/errors.js';
import {
  boundProfile,
  formatProfile,
  MAX_BYTES,
  MAX_OBJECTS,
  parseProfile,
} from '../../../src/cvmfs/embedded/prefetch/profile.js';
import type { ProfiledObject } from '../../../src/cvmfs/embedded/prefetch/profile.js';
import { Recording } from '../../../src/cvmfs/embedded/prefetch/recording.js';

const hex = (length: number) =>
  fc.string({ unit: fc.constantFrom(...'0123456789abcdef'), minLength: length, maxLength: length });
const anObject = fc.record(
  {
    object: fc
      .tuple(hex(2), hex(38), fc.constantFrom('', '-rmd160', '-shake128'), fc.constantFrom('', 'C', 'P'))
      .map(([prefix, rest, tail, kind]) => `${prefix}/${rest}${tail}${kind}`),
    size: fc.integer({ min: 1, max: 100_000 }),
    compressed: fc.boolean(),
  },
  { noNullPrototype: true },
);

function numbered(number: number, size = 1): ProfiledObject {
  return { object: `00/${number.toString(16).padStart(38, '0')}`, size, compressed: true };
}

test('what is written is read again', () => {
  fc.assert(
    fc.property(fc.array(anObject), (objects) => {
      assert.deepEqual(parseProfile(formatProfile(objects)), objects);
    }),
  );
});

test('any text is a profile or refused with what is wrong', () => {
  const damaged = fc
    .tuple(fc.array(anObject, { maxLength: 4 }), fc.nat(), fc.string({ maxLength: 3 }), fc.nat(5))
    .map(([objects, at, inserted, deleted]) => {
      const text = formatProfile(objects);
      const cut = at % text.length;
      return text.slice(0, cut) + inserted + text.slice(cut + deleted);
    });
  fc.assert(
    fc.property(fc.oneof(fc.string(), damaged), (text) => {
      try {
        assert.equal(formatProfile(parseProfile(text)), text);
      } catch (error) {
        assert.ok(error instanceof ThinlayerError && error.code === 'data_loss', String(error));
        assert.match(error.message, /^not a profile: line \d+: /);
      }
    }),
    { numRuns: 5000 },
  );
});

test('names that are not those of objects, and sizes that are none, are refused', () => {
  const object = numbered(1).object;
  for (const line of [
    '../../etc/passwd 1 plain',
    `${object.toUpperCase()}F 1 zlib`,
    `/${object} 1 zlib`,
    `${object} 0 zlib`,
    `${object} -1 zlib`,
    `${object} 99999999999 zlib`,
    `${object} 1 gzip`,
    `${object} 1 zlib `,
    `${object} ${MAX_BYTES + 1} zlib`,
  ]) {
    assert.throws(() => parseProfile(`thinlayer-profile 1\n${line}\n`), { code: 'data_loss' }, line);
  }
});

test('a profile is bounded in objects and bytes, and names each object once', () => {
  const many = Array.from({ length: MAX_OBJECTS + 9 }, (_, index) => numbered(index));
  assert.equal(boundProfile(many).length, MAX_OBJECTS);
  assert.throws(() => parseProfile(formatProfile(many)), /more than 4096 objects/);
  const large = [numbered(1, MAX_BYTES - 1), numbered(2, 2), numbered(3), numbered(3)];
  assert.deepEqual(boundProfile(large), [numbered(1, MAX_BYTES - 1), numbered(3)]);
  assert.deepEqual(boundProfile([numbered(1, 0)]), [], 'no room can be kept for a size that nobody knows');
});

test('a start is what was read of its own layers, behind what was read before', () => {
  const recording = new Recording(['layers/b', '.layers/aa/a/layerfs']);
  const asked = (number: number, path: string) => recording.see({ ...numbered(number), path });
  asked(1, '/layers/b/bin/sh');
  asked(2, '/layers/bb/bin/sh');
  asked(3, '/layers/b');
  asked(4, '/.layers/aa/a/.metadata');
  asked(5, '/.layers/aa/a/layerfs/etc/passwd');
  assert.deepEqual(recording.changed, [numbered(1), numbered(3), numbered(5)]);
  recording.know([numbered(9), numbered(3)]);
  assert.deepEqual(recording.changed, [numbered(9), numbered(3), numbered(1), numbered(5)]);
  recording.know([numbered(1), numbered(3), numbered(5)]);
  assert.equal(recording.changed, null);
  recording.drop(numbered(3).object);
  assert.deepEqual(recording.changed, [numbered(1), numbered(5)]);
});
