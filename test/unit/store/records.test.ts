import assert from 'node:assert/strict';
import { test } from 'node:test';

import fc from 'fast-check';

import { parseLayerId } from '../../../src/core/model.js';
import type { LayerRecord } from '../../../src/core/model.js';
import { ThinlayerError } from '../../../src/core/errors.js';
import { newLink } from '../../../src/store/paths.js';
import { formatRecord, parseRecord } from '../../../src/store/records.js';
import { newRecord, refusal } from '../../conformance/layer-store.js';

const A = parseLayerId('a');
const RECORD = newRecord('a', 'p', { link: newLink(), size: 3, mountLabel: 'x "y"' });

test('a record comes back from its text', () => {
  assert.deepEqual(parseRecord(formatRecord(RECORD), A), RECORD);
});

test('a record that was cut off anywhere is damaged', () => {
  const text = formatRecord(RECORD).trimEnd();
  for (let length = 0; length < text.length; length += 1) {
    assert.throws(
      () => parseRecord(text.slice(0, length), A),
      refusal('data_loss', /a\/layer\.json is damaged/),
    );
  }
});

const WRONG: [keyof LayerRecord, unknown, RegExp][] = [
  ['id', 'b', /id is "b", not the name/],
  ['parent', '../x', /parent/],
  ['parent', 7, /parent/],
  ['kind', 'thin', /kind is "thin", not image or container/],
  ['state', undefined, /state is missing/],
  ['link', 'ABC', /link/],
  ['size', -1, /size/],
  ['size', 1.5, /size/],
  ['quota', '1G', /quota/],
  ['mountLabel', 5, /mountLabel/],
];

for (const [field, value, text] of WRONG) {
  test(`${field} ${JSON.stringify(value)} is refused`, () => {
    const wrong = JSON.stringify({ ...RECORD, [field]: value });
    assert.throws(() => parseRecord(wrong, A), refusal('data_loss', text));
  });
}

test('a later version is told from damage: nobody may guess what it means', () => {
  const later = JSON.stringify({ ...RECORD, version: 2 });
  assert.throws(() => parseRecord(later, A), refusal('failed_precondition', /version 2/));
  assert.throws(() => parseRecord('{}', A), refusal('data_loss', /no version/));
  assert.throws(() => parseRecord('[1]', A), refusal('data_loss', /not a JSON object/));
});

test('whatever a file holds, it is a record or an explained error', () => {
  const json = fc.oneof(
    fc.json(),
    fc.string(),
    fc.object().map((value) => JSON.stringify({ ...RECORD, ...value })),
  );
  fc.assert(
    fc.property(json, (text) => {
      try {
        assert.deepEqual(Object.keys(parseRecord(text, A)).sort(), Object.keys(RECORD).sort());
      } catch (error) {
        assert.ok(error instanceof ThinlayerError);
      }
    }),
  );
});
