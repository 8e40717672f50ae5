import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Calls } from '../../../actors/calls.js';
import { signalled } from '../../fakes/signalled.js';

test('finished waits for promises, failed ones too, and for what was begun', async () => {
  const calls = new Calls();
  const seen: string[] = [];
  const { promise, signal } = signalled();
  const running = calls.run(() => promise);
  const failing = calls.run(() => Promise.reject(new Error('no')));
  const end = calls.begin();
  const finished = calls.finished().then(() => seen.push('finished'));
  assert.ok(calls.closed);
  await assert.rejects(failing);
  signal();
  await running;
  seen.push('promises done');
  end();
  end();
  await finished;
  assert.deepEqual(seen, ['promises done', 'finished']);
});

test('without calls it is finished at once, however often it is asked', async () => {
  const calls = new Calls();
  await calls.finished();
  await calls.finished();
});

test('a call that throws before it promises is counted out again', async () => {
  const calls = new Calls();
  await assert.rejects(
    calls.run(() => {
      throw new Error('at once');
    }),
  );
  await calls.finished();
});
