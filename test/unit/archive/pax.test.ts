import assert from 'node:assert/strict';
import { test } from 'node:test';

import fc from 'fast-check';

import { decodePax, decodePaxTime } from '../../../src/archive/tar/pax.js';
import { paxRecord } from '../../fakes/tar-bytes.js';

const key = fc.stringMatching(/^[A-Za-z.]{1,120}$/);
const value = fc.uint8Array({ maxLength: 1100 }).map((bytes) => Buffer.from(bytes).toString('latin1'));

test('records come back byte for byte, repeated keys in order', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(key, value)), (records) => {
      const text = records.map(([k, v]) => paxRecord(k, v)).join('');
      assert.deepEqual(decodePax(Buffer.from(text, 'latin1')), records);
    }),
  );
});

test('anything else is refused, never misread', () => {
  const bad = [
    'x',
    '5',
    '5 a=b',
    '6 a=b ',
    '7 a=b\n',
    '05a=b\n',
    '-6 a=b\n',
    '6 =\n\n',
    '8 noeq\n\n',
    '99999999999999 a=b\n',
  ];
  for (const text of bad) {
    assert.throws(() => decodePax(Buffer.from(text)), { code: 'invalid_argument' }, JSON.stringify(text));
  }
});

test('random bytes give records or a clear error', () => {
  fc.assert(
    fc.property(fc.uint8Array(), (bytes) => {
      try {
        decodePax(bytes);
      } catch (error) {
        assert.equal(Reflect.get(error as object, 'code'), 'invalid_argument');
      }
    }),
  );
});

test('times have nanoseconds that count forward, before 1970 too', () => {
  assert.deepEqual(decodePaxTime('12'), { seconds: 12, nanoseconds: 0 });
  assert.deepEqual(decodePaxTime('12.5'), { seconds: 12, nanoseconds: 500_000_000 });
  assert.deepEqual(decodePaxTime('1.0000000019'), { seconds: 1, nanoseconds: 1 });
  assert.deepEqual(decodePaxTime('-1.25'), { seconds: -2, nanoseconds: 750_000_000 });
  assert.deepEqual(decodePaxTime('-3'), { seconds: -3, nanoseconds: 0 });
  assert.deepEqual(decodePaxTime('-0'), { seconds: 0, nanoseconds: 0 });
  for (const text of ['', 'x', '1e3', '1.2.3', ' 1', '1'.repeat(30)]) {
    assert.throws(() => decodePaxTime(text), { code: 'invalid_argument' });
  }
});
