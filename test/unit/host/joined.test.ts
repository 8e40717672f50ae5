import assert from 'node:assert/strict';
import { test } from 'node:test';

import { joined } from '../../../src/host/joined.js';

test('texts are joined, each with its end; one that would be taken for two is refused', () => {
  assert.equal(joined([]), '');
  assert.equal(joined(['a', '', 'b c']), 'a\0\0b c\0');
  assert.throws(() => joined(['a', 'upper\0index=on']), { code: 'invalid_argument' });
});
