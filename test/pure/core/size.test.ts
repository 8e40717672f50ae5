import assert from 'node:assert/strict';
import { test } from 'node:test';

import { parseSize } from '../../../src/core/size.js';

test('sizes as Docker reads them: powers of 1024, in any case', () => {
  const sizes: [string, number][] = [
    ['0', 0],
    ['4096', 4096],
    ['4096b', 4096],
    ['1k', 1024],
    ['1K', 1024],
    ['1kb', 1024],
    ['1KiB', 1024],
    ['10G', 10 * 1024 ** 3],
    ['512 MB', 512 * 1024 ** 2],
    ['1.5 TiB', 1.5 * 1024 ** 4],
    ['0.5', 0],
    ['2p', 2 * 1024 ** 5],
    [' 3m ', 3 * 1024 ** 2],
  ];
  for (const [text, bytes] of sizes) assert.equal(parseSize(text, 'key'), bytes, text);
});

test('what is no size is refused, and the key is named', () => {
  for (const text of [
    '',
    'G',
    '-1',
    '1x',
    '1gg',
    '1..5G',
    '1,5G',
    '0x10',
    '1e3',
    '10  G',
    '9999999p',
    'NaN',
  ]) {
    assert.throws(
      () => parseSize(text, 'overlay2.size'),
      { code: 'invalid_argument', message: /^overlay2\.size: / },
      text,
    );
  }
});
