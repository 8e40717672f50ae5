import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Gate } from '../../../actors/gate.js';
import { signalled } from '../../fakes/signalled.js';

/** Occupies the gate until `signal`. */
function occupied(gate: Gate): { leave: () => void; left: Promise<void> } {
  const { promise, signal } = signalled();
  return { leave: signal, left: gate.pass(() => promise) };
}

test('callers pass one at a time, first come first served', async () => {
  const gate = new Gate('layer a', { layer: 'a' });
  const seen: string[] = [];
  const turn = (name: string) => async () => {
    seen.push(`${name} in`);
    await Promise.resolve();
    seen.push(`${name} out`);
  };
  await Promise.all(['1', '2', '3'].map((name) => gate.pass(turn(name))));
  assert.deepEqual(seen, ['1 in', '1 out', '2 in', '2 out', '3 in', '3 out']);
  assert.ok(gate.idle);
});

test('a caller whose work fails lets the next one in', async () => {
  const gate = new Gate('layer a', { layer: 'a' });
  const failing = gate.pass(() => Promise.reject(new Error('no')));
  const next = gate.pass(() => Promise.resolve('yes'));
  await assert.rejects(failing, /no/);
  assert.equal(await next, 'yes');
});

test('who gives up while waiting leaves the queue, and nobody else loses a turn', async () => {
  const gate = new Gate('layer a', { layer: 'a' });
  const { leave, left } = occupied(gate);
  const caller = new AbortController();
  let ran = false;
  const gaveUp = gate.pass(async () => void (ran = true), caller.signal);
  const next = gate.pass(() => Promise.resolve('next'));
  caller.abort();
  await assert.rejects(gaveUp, { code: 'aborted', layer: 'a' });
  leave();
  await left;
  assert.equal(await next, 'next');
  assert.equal(ran, false);
  assert.ok(gate.idle);
});

test('who comes with an aborted signal does not wait', async () => {
  const gate = new Gate('layer a', { layer: 'a' });
  const { leave, left } = occupied(gate);
  await assert.rejects(
    gate.pass(() => Promise.resolve(), AbortSignal.abort()),
    { code: 'aborted' },
  );
  leave();
  await left;
});

test('an abort after the entry changes nothing: the work ends as it does', async () => {
  const gate = new Gate('layer a', { layer: 'a' });
  const { leave, left } = occupied(gate);
  const caller = new AbortController();
  const entered = signalled();
  const work = signalled<string>();
  const passed = gate.pass(() => (entered.signal(), work.promise), caller.signal);
  leave();
  await left;
  await entered.promise;
  caller.abort();
  work.signal('done');
  assert.equal(await passed, 'done');
  assert.ok(gate.idle);
});

test('the queue is bounded, and serves on after a refusal', async () => {
  const gate = new Gate('layer a', { layer: 'a' });
  const { leave, left } = occupied(gate);
  const waiting = Array.from({ length: 1024 }, () => gate.pass(() => Promise.resolve(1)));
  await assert.rejects(
    gate.pass(() => Promise.resolve(1)),
    { code: 'resource_exhausted' },
  );
  leave();
  await left;
  assert.equal((await Promise.all(waiting)).length, 1024);
});
