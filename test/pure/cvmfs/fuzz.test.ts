/** The short form of `npm run fuzz`, of what is in JavaScript. */

import { test } from 'node:test';

import { TARGETS, withoutPrograms } from '../../fuzz/targets.js';

const CASES = 300;

for (const [name, { run }] of Object.entries(TARGETS)) {
  test(`whatever is in them, ${name} are taken or refused`, () => {
    withoutPrograms(() => run(CASES, Date.now() % 2 ** 31));
  });
}
