/** Layers whose records name each other as parents. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import type { LayerId } from '../../../src/core/model.js';
import { LayerIndex } from '../../../src/store/layer-index.js';
import { newRecord } from '../../conformance/layer-store.js';

/** By id, its parent. */
function indexOf(parents: Record<string, string | null>): LayerIndex {
  const index = new LayerIndex('/home');
  for (const [id, parent] of Object.entries(parents)) {
    const record = newRecord(id, parent);
    index.set(record, true);
    index.holdParent(record);
  }
  index.assess();
  return index;
}

function parentsIn(index: LayerIndex, ids: string): string {
  return [...ids].filter((id) => index.hasChildren(id as LayerId)).join('');
}

test('the neighbour in a circle is no child, what stands on the circle is', () => {
  const index = indexOf({ a: 'c', b: 'a', c: 'b', d: 'c', e: 'd' });
  assert.equal(parentsIn(index, 'abcde'), 'cd');
  index.takeOut('e' as LayerId);
  index.takeOut('d' as LayerId);
  assert.equal(parentsIn(index, 'abc'), '');
});

test('a circle that is taken apart is a chain without its base', () => {
  const index = indexOf({ a: 'c', b: 'a', c: 'b' });
  const putBack = index.takeOut('c' as LayerId);
  assert.equal(parentsIn(index, 'ab'), 'a');
  assert.match(index.broken().get('b' as LayerId) ?? '', /parent c is missing/);
  putBack();
  assert.equal(parentsIn(index, 'abc'), '');
});

test('its own parent has no child but others', () => {
  assert.equal(parentsIn(indexOf({ a: 'a' }), 'a'), '');
  assert.equal(parentsIn(indexOf({ a: 'a', b: 'a' }), 'ab'), 'a');
});
