import assert from 'node:assert/strict';
import { test } from 'node:test';

import * as fc from 'fast-check';

import {
  hashText,
  hexDigest,
  objectPath,
  parseObjectPath,
  readHash,
} from '../../../src/cvmfs/embedded/object-id.js';
import type { HashAlgorithm, ObjectKind } from '../../../src/cvmfs/embedded/object-id.js';

const HEX = 'b6c19e0123456789abcdef0123456789abcdef01';

test('paths carry tail and letter, texts the tail alone', () => {
  const id = { algorithm: 'rmd160', hex: HEX, kind: 'P' } as const;
  assert.equal(objectPath(id), `b6/${HEX.slice(2)}-rmd160P`);
  assert.equal(hashText(id), `${HEX}-rmd160`);
  assert.equal(objectPath({ algorithm: 'sha1', hex: HEX, kind: '' }), `b6/${HEX.slice(2)}`);
});

test('every object is found again by its path and by its text', () => {
  const ids = fc.record({
    algorithm: fc.constantFrom<HashAlgorithm>('sha1', 'rmd160', 'shake128'),
    hex: fc.stringMatching(/^[0-9a-f]{40}$/),
    kind: fc.constantFrom<ObjectKind>('', 'C', 'P', 'X', 'H', 'M'),
  });
  fc.assert(
    fc.property(ids, (id) => {
      assert.deepEqual(parseObjectPath(objectPath(id)), { ...id });
      assert.deepEqual(readHash(hashText(id), id.kind), { ...id });
    }),
  );
});

test('what is no path of an object is refused', () => {
  const bad = [
    '',
    'b6',
    `B6/${HEX.slice(2)}`,
    `b6/${HEX.slice(2)}T`,
    `b6/../${HEX}`,
    `b6/${HEX.slice(2)}-md5`,
  ];
  for (const path of [...bad, `b6/${HEX.slice(2)}\n`, `/b6/${HEX.slice(2)}`]) {
    assert.throws(() => parseObjectPath(path), { code: 'invalid_argument' }, path);
  }
});

test('MD5, upper case and unknown tails are no hashes of objects', () => {
  for (const text of [
    'd41d8cd98f00b204e9800998ecf8427e',
    HEX.toUpperCase(),
    `${HEX}-sha256`,
    `${HEX} `,
    '',
  ]) {
    assert.equal(readHash(text, 'C'), null, text);
  }
});

test('the three algorithms, on nothing', () => {
  const empty = Buffer.alloc(0);
  assert.equal(hexDigest('sha1', empty), 'da39a3ee5e6b4b0d3255bfef95601890afd80709');
  assert.equal(hexDigest('rmd160', empty), '9c1185a5c5e9fc54612808977ee8f548b2258d31');
  assert.equal(hexDigest('shake128', empty), '7f9c2ba4e88f827d616045507605853ed73b8093');
});
