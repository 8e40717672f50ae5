import assert from 'node:assert/strict';
import { test } from 'node:test';

import type { FeedEvent } from '../../../actors/feed.js';
import { fakeEngine } from '../../fakes/engine.js';
import { id, makePair, openedOn, supervisorWith, tarOf } from './harness.js';

test('nothing is recorded while nobody reads', async () => {
  const { supervisor } = await openedOn(fakeEngine());
  await makePair(supervisor);
  assert.deepEqual(supervisor.feed.since(0), []);
  const stop = supervisor.feed.read(() => undefined);
  stop();
  await supervisor.attach(id('top'), null);
  assert.deepEqual(supervisor.feed.since(0), []);
});

test('a reader sees each event once: who, what, and the state after it, without bodies', async () => {
  const opened = await openedOn(fakeEngine());
  const { supervisor } = opened;
  const seen: FeedEvent[] = [];
  supervisor.feed.read((event) => seen.push(event));
  await supervisor.create(id('a'), null, 'image', {});
  await supervisor.applyDiff(id('a'), null, tarOf('f'));
  assert.deepEqual(supervisor.feed.since(0), seen);
  const event = (sequence: number, name: string, state: string) => {
    return { sequence, time: opened.time, actor: 'a', event: name, state };
  };
  assert.deepEqual(seen, [
    event(1, 'xstate.init', 'absent'),
    event(2, 'layer.create', 'creating'),
    event(3, 'xstate.done.actor.0.layer.creating', 'created'),
    event(4, 'layer.apply', 'applying'),
    event(5, 'xstate.done.actor.0.layer.applying', 'applied'),
  ]);
});

test('actors that live when the first reader comes are seen, and once even if readers come and go', async () => {
  const { supervisor } = await openedOn(fakeEngine());
  await makePair(supervisor);
  await supervisor.attach(id('top'), null);
  supervisor.feed.read(() => undefined)();
  const seen: string[] = [];
  supervisor.feed.read((event) => seen.push(event.event));
  await supervisor.attach(id('top'), null);
  assert.deepEqual(seen, ['layer.attach']);
});

test('the ring is bounded, and its sequence has no gaps', async () => {
  const { supervisor } = await openedOn(fakeEngine());
  await makePair(supervisor);
  await supervisor.attach(id('top'), null);
  supervisor.feed.read(() => undefined);
  for (let i = 0; i < 1100; i++) await supervisor.attach(id('top'), null);
  const sequences = supervisor.feed.since(0).map((e) => e.sequence);
  assert.deepEqual(
    sequences,
    Array.from({ length: 1000 }, (_, i) => 101 + i),
  );
  assert.deepEqual(
    supervisor.feed.since(1099).map((e) => e.sequence),
    [1100],
  );
});

test('readers keep seeing after another home is opened', async () => {
  const { supervisor } = supervisorWith(() => Promise.resolve(fakeEngine()));
  await supervisor.open(fakeEngine().config);
  const seen: string[] = [];
  supervisor.feed.read((event) => seen.push(event.actor));
  await supervisor.open({ ...fakeEngine().config, home: '/other' });
  await supervisor.create(id('b'), null, 'image', {});
  assert.ok(seen.includes('b'));
});
