import assert from 'node:assert/strict';
import { test } from 'node:test';

import { parseProxies } from '../../../src/cvmfs/embedded/fetch/proxies.js';

test('groups by semicolon, members by bar', () => {
  assert.deepEqual(parseProxies('http://a:3128|b:3128;http://c:80;DIRECT'), [
    ['http://a:3128', 'http://b:3128'],
    ['http://c:80'],
    [null],
  ]);
  assert.deepEqual(parseProxies(' DIRECT '), [[null]]);
});

test('without a proxy the way is direct', () => {
  assert.deepEqual(parseProxies(''), [[null]]);
  assert.deepEqual(parseProxies(';|;'), [[null]]);
});

test('fallback proxies come last and take the place of DIRECT', () => {
  assert.deepEqual(parseProxies('http://a:1;DIRECT', 'http://f:1;http://g:1'), [
    ['http://a:1'],
    ['http://f:1'],
    ['http://g:1'],
  ]);
});

test('what is no proxy is refused, and the parameter is named', () => {
  for (const text of ['ftp://a:1', 'http://', 'http://a:99999999']) {
    assert.throws(
      () => parseProxies(text),
      { code: 'invalid_argument', message: /^CVMFS_HTTP_PROXY: / },
      text,
    );
  }
  for (const text of ['auto', 'pac+http://wpad/wpad.dat;DIRECT']) {
    assert.throws(() => parseProxies('', text), {
      code: 'unimplemented',
      message: /^CVMFS_FALLBACK_PROXY: /,
    });
  }
});
