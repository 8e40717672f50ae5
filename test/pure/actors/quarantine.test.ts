import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Quarantine } from '../../../actors/quarantine.js';
import type { LayerId } from '../../../src/core/model.js';

const A = 'a' as LayerId;
const B = 'b' as LayerId;

test('three deaths within a minute set one layer apart', () => {
  const quarantine = new Quarantine(() => 1000);
  quarantine.died(A);
  quarantine.died(A);
  quarantine.check(A);
  quarantine.died(A);
  assert.throws(() => quarantine.check(A), { code: 'failed_precondition', layer: 'a', message: /repair a/ });
  quarantine.check(B);
});

test('deaths are forgotten after a minute, and forgiven at once', () => {
  let now = 0;
  const quarantine = new Quarantine(() => now);
  for (const time of [0, 30_000, 59_000]) {
    now = time;
    quarantine.died(A);
  }
  assert.throws(() => quarantine.check(A));
  now = 60_001;
  quarantine.check(A);
  quarantine.died(A);
  assert.throws(() => quarantine.check(A));
  quarantine.forgive(A);
  quarantine.check(A);
});
