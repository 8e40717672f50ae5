import assert from 'node:assert/strict';
import { test } from 'node:test';

import * as fc from 'fast-check';

import { parseBreadcrumb } from '../../../src/cvmfs/embedded/cache/breadcrumb.js';

const HEX = '0e452694aa29a822e75652930254c42a728af184';

test('hash, time and revision, as the CVMFS client writes them', () => {
  assert.deepEqual(parseBreadcrumb(`${HEX}-shake128T1795488775R7`), {
    root: { algorithm: 'shake128', hex: HEX, kind: 'C' },
    published: 1795488775,
    revision: 7,
  });
});

test('anything else is none', () => {
  for (const text of ['', HEX, `${HEX}T1`, `${HEX}T1R`, `${HEX}T-1R1`, `x${HEX}T1R1`, `${HEX}T1R1R2`]) {
    assert.equal(parseBreadcrumb(text), null, text);
  }
  fc.assert(fc.property(fc.string(), (text) => assert.equal(parseBreadcrumb(text), null)));
});
