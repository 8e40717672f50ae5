import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Holds } from '../../../actors/holds.js';
import type { LayerId } from '../../../src/core/model.js';
import { signalled } from '../../fakes/signalled.js';

const A = 'a' as LayerId;
const B = 'b' as LayerId;

test('a removal waits for all holds, and only for those of its layer', async () => {
  const holds = new Holds();
  const seen: string[] = [];
  const [first, second] = [holds.take(A), holds.take(A)];
  holds.take(B);
  const removal = holds.exclusively(A, async () => void seen.push('removed'));
  seen.push('first given back');
  first();
  first();
  await Promise.resolve();
  seen.push('second given back');
  second();
  await removal;
  assert.deepEqual(seen, ['first given back', 'second given back', 'removed']);
});

test('nobody takes a hold while the layer is being removed; afterwards again', async () => {
  const holds = new Holds();
  const end = signalled();
  const removal = holds.exclusively(A, () => end.promise);
  assert.throws(() => holds.take(A), { code: 'not_found', layer: 'a' });
  end.signal();
  await removal;
  holds.take(A)();
});

test('a failed removal lets the layer be held again', async () => {
  const holds = new Holds();
  await assert.rejects(
    holds.exclusively(A, () => Promise.reject(new Error('busy'))),
    /busy/,
  );
  holds.take(A)();
});

test('removals of one layer exclude each other: the end of one does not let holds into the other', async () => {
  const holds = new Holds();
  const [first, second] = [signalled(), signalled()];
  const inSecond = signalled();
  const failing = holds.exclusively(A, () => first.promise.then(() => Promise.reject(new Error('busy'))));
  const other = holds.exclusively(A, () => (inSecond.signal(), second.promise));
  first.signal();
  await assert.rejects(failing, /busy/);
  await inSecond.promise;
  assert.throws(() => holds.take(A), { code: 'not_found' });
  second.signal();
  await other;
  holds.take(A)();
});
