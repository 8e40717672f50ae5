/** The short form of `npm run fuzz`, of what is native: compiled with sanitizers, nothing is mounted. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { buildDriver, NATIVE_TARGETS, withDriver } from '../fuzz/native.js';

const CASES = 2_000;

test('whatever is in catalogs, it is taken or refused', () => {
  buildDriver();
  withDriver((runTarget) => {
    for (const name of Object.keys(NATIVE_TARGETS)) {
      const printed = runTarget(name, CASES, Date.now());
      // What is only ever refused was not looked into.
      assert.match(printed, /something taken of [1-9]/, name);
    }
  });
});
