import assert from 'node:assert/strict';
import { test } from 'node:test';

import fc from 'fast-check';

import { entryPath } from '../../../src/archive/entry-path.js';

test('names are cleaned as Go does it', () => {
  const names: Record<string, string> = {
    '': '.',
    '.': '.',
    './': '.',
    '/': '.',
    'a/b': 'a/b',
    './a/./b//c/': 'a/b/c',
    '/etc/passwd': 'etc/passwd',
    'a/../b': 'b',
    'a/..': '.',
    '/../a': 'a',
    '/a/../../b': 'b',
    '..a/...': '..a/...',
  };
  for (const [name, path] of Object.entries(names)) assert.equal(entryPath(name), path, name);
});

test('names that climb out are refused', () => {
  for (const name of ['..', '../a', './../a', 'a/../../b', 'a/b/../../../c']) {
    assert.throws(() => entryPath(name), { code: 'invalid_argument', path: name });
  }
});

test('whatever the name, the path has only names in it', () => {
  const component = fc.oneof(fc.constantFrom('', '.', '..', 'a', '...'), fc.string());
  fc.assert(
    fc.property(fc.array(component), (components) => {
      const name = components.join('/');
      let path = '.';
      try {
        path = entryPath(name);
      } catch (error) {
        assert.ok(name.includes('..'), String(error));
      }
      if (path === '.') return;
      assert.deepEqual(
        path.split('/').filter((c) => c === '' || c === '.' || c === '..'),
        [],
      );
      assert.equal(entryPath(path), path);
    }),
  );
});
