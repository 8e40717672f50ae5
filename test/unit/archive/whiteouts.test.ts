import assert from 'node:assert/strict';
import { test } from 'node:test';

import { meaningOf } from '../../../src/archive/whiteouts.js';

test('names say what they mean', () => {
  const names: Record<string, [string, string]> = {
    'a/b': ['node', 'a/b'],
    'a.wh.b': ['node', 'a.wh.b'],
    '.wh.a': ['whiteout', 'a'],
    'd/.wh.a': ['whiteout', 'd/a'],
    'd/.wh.a.wh.b': ['whiteout', 'd/a.wh.b'],
    'd/.wh.....': ['whiteout', 'd/....'],
    'd/.wh..a': ['whiteout', 'd/.a'],
    '.wh..wh..opq': ['opaque', '.'],
    'd/e/.wh..wh..opq': ['opaque', 'd/e'],
    '.wh..wh.aufs': ['ignored', '.wh..wh.aufs'],
    '.wh..wh.plnk': ['ignored', '.wh..wh.plnk'],
    '.wh..wh.plnk/123.456': ['ignored', '.wh..wh.plnk/123.456'],
    '.wh..wh.orph': ['ignored', '.wh..wh.orph'],
    'd/.wh..wh.x': ['whiteout', 'd/.wh.x'],
  };
  for (const [name, [kind, path]] of Object.entries(names))
    assert.deepEqual(meaningOf(name), { kind, path }, name);
});

test('whiteouts of nothing, and names inside of a whiteout, are refused', () => {
  for (const name of ['.wh.', '.wh..', '.wh...', 'd/.wh.', 'd/.wh..', 'd/.wh...', '.wh.d/a', 'a/.wh.d/b/c']) {
    assert.throws(() => meaningOf(name), { code: 'invalid_argument', path: name });
  }
});
