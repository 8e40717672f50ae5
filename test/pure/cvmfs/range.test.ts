import assert from 'node:assert/strict';
import { test } from 'node:test';

import { rangeFault, rangeHeader } from '../../../src/cvmfs/embedded/fetch/range.js';

const RANGE = { first: 10, last: 19 };
const FROM_START = { first: 0, last: 9 };

const part = (told?: string) => ({
  statusCode: 206,
  headers: told === undefined ? {} : { 'content-range': told },
});
const whole = (length?: string) => ({
  statusCode: 200,
  headers: length === undefined ? {} : { 'content-length': length },
});

test('a range is asked for as HTTP has it, and only where there is one', () => {
  assert.deepEqual(rangeHeader(RANGE), { range: 'bytes=10-19' });
  assert.deepEqual(rangeHeader(undefined), {});
});

test('the part that was asked for is taken, however large the whole is', () => {
  for (const told of ['bytes 10-19/20', 'bytes 10-19/*', 'Bytes 10-19/99999999999']) {
    assert.equal(rangeFault(part(told), 'x', RANGE), null, told);
  }
});

test('another part is refused, and so is one that does not say which it is', () => {
  for (const told of ['bytes 0-9/20', 'bytes 10-18/20', 'bytes 10-19', 'bytes */20', 'items 10-19/20', '']) {
    assert.match(rangeFault(part(told), 'x', RANGE)?.message ?? '', /^x: bytes 10-19 were asked for/, told);
  }
  assert.match(rangeFault(part(), 'x', RANGE)?.message ?? '', /no Content-Range came$/);
});

test('the whole is refused, unless it is what was asked for', () => {
  assert.equal(rangeFault(whole('10'), 'x', FROM_START), null);
  for (const [length, range] of [
    ['20', FROM_START],
    ['20', RANGE],
    ['10', RANGE],
    [undefined, FROM_START],
  ] as const) {
    assert.match(rangeFault(whole(length), 'x', range)?.message ?? '', /ignores ranges/);
  }
});
