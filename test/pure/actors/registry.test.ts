/** The life of actors: made at need, dropped when at rest, replaced when they die. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Feed } from '../../../actors/feed.js';
import { LayerRegistry } from '../../../actors/registry.js';
import { Repositories } from '../../../actors/repositories.js';
import type { CreateOptions, LayerId } from '../../../src/core/model.js';
import { fakeEngine } from '../../fakes/engine.js';
import type { FakeEngine } from '../../fakes/engine.js';
import { faulty } from '../../fakes/faulty.js';
import { id } from './harness.js';

const A = id('a');
const B = id('b');

function registryOn(engine: FakeEngine) {
  const deaths: LayerId[] = [];
  const clock = { now: 0 };
  const feed = new Feed(() => clock.now);
  const options = {
    feed,
    now: () => clock.now,
    died: (dead: LayerId) => void deaths.push(dead),
    usesUnkept: () => undefined,
  };
  const repositories = new Repositories(engine.repositories, {
    feed,
    graceMs: 0,
    died: () => undefined,
    lost: () => undefined,
    late: () => undefined,
    unprepared: () => undefined,
  });
  const registry = new LayerRegistry({ engine, repositories }, options);
  const create = (layer: LayerId, parent: LayerId | null = null, options: CreateOptions = {}) =>
    registry.ask(layer, { type: 'layer.create', parent, kind: 'container', options });
  const attach = (layer: LayerId) => registry.ask(layer, { type: 'layer.attach', label: null });
  const detach = (layer: LayerId) => registry.ask(layer, { type: 'layer.detach' });
  return {
    registry,
    feed,
    deaths,
    clock,
    create,
    attach,
    detach,
    kill: (layer: LayerId) => create(layer, A, POISON),
  };
}

/** An action that reads these throws, and so its actor dies. */
const POISON: CreateOptions = {
  get mountLabel(): string {
    throw new Error('poison');
  },
};

async function withMountedB() {
  const made = registryOn(fakeEngine());
  await made.create(A);
  await made.create(B, A);
  await made.attach(B);
  return made;
}

test('a layer is reported while it is mounted or worked on, and not longer', async () => {
  const { registry, create, attach, detach } = registryOn(fakeEngine());
  const states = () => [...registry.states()];
  const creating = create(A);
  assert.deepEqual(states(), [{ id: A, state: 'creating', uses: 0, mounted: false }]);
  await creating;
  await create(B, A);
  assert.deepEqual(states(), []);
  await attach(B);
  assert.deepEqual(states(), [{ id: B, state: 'mounted', uses: 1, mounted: true }]);
  await attach(A);
  assert.deepEqual(registry.mountedLayers(), [B]);
  await detach(B);
  assert.deepEqual(states(), []);
});

test('an actor rests between requests, until many others have come to rest after it', async () => {
  const { feed, create, detach } = registryOn(fakeEngine());
  const seen: string[] = [];
  feed.read(({ actor, event }) => seen.push(`${actor} ${event}`));
  const starts = () => seen.filter((line) => line === 'a xstate.init').length;
  await create(A);
  await detach(A);
  assert.equal(starts(), 1);
  for (let i = 0; i < 128; i++) await create(id(`other${i}`));
  assert.equal(seen.filter((line) => line === 'a xstate.stop').length, 1);
  await detach(A);
  assert.equal(starts(), 2);
});

test('a resting actor does not forget that its layer broke, or was mended, meanwhile', async () => {
  const engine = fakeEngine();
  const { create, attach } = registryOn(engine);
  await create(A);
  await create(B, A);
  engine.store.breakLayer(A, 'gone');
  await assert.rejects(attach(B), { code: 'data_loss' });
  await engine.store.reload(A);
  assert.equal(await attach(B), '/home/b/merged');
});

test('a refused request leaves no actor behind', async () => {
  const { registry, attach } = registryOn(fakeEngine());
  await assert.rejects(attach(A), { code: 'not_found' });
  assert.deepEqual([...registry.states()], []);
});

test('an actor that dies answers its waiter with unavailable; the layer comes back with its mount known', async () => {
  const { registry, deaths, attach, detach, kill } = await withMountedB();
  await assert.rejects(kill(B), { code: 'unavailable', layer: 'b' });
  assert.deepEqual(deaths, [B]);
  assert.deepEqual(registry.mountedLayers(), [B]);
  assert.equal(await attach(B), '/home/b/merged');
  await detach(B);
  await detach(B);
  assert.deepEqual(registry.mountedLayers(), []);
});

test('who waits behind a death in the queue is served by the next actor', async () => {
  const { attach, kill, detach } = await withMountedB();
  const [killed, attached, detached] = await Promise.allSettled([kill(B), attach(B), detach(B)]);
  assert.equal(killed.status, 'rejected');
  assert.deepEqual(attached, { status: 'fulfilled', value: '/home/b/merged' });
  assert.equal(detached.status, 'fulfilled');
});

test('three deaths set that one layer apart; repair forgives it', async () => {
  const { registry, deaths, attach, create, kill } = await withMountedB();
  for (let i = 0; i < 3; i++) await assert.rejects(kill(B), { code: 'unavailable' });
  assert.deepEqual(deaths, [B, B, B]);
  await assert.rejects(attach(B), { code: 'failed_precondition', message: /set apart/ });
  await create(id('c'), A);
  await attach(id('c'));
  registry.forgive(B);
  assert.equal(await attach(B), '/home/b/merged');
});

test('deaths long ago do not count', async () => {
  const { clock, attach, kill } = await withMountedB();
  for (const time of [0, 40_000, 80_000]) {
    clock.now = time;
    await assert.rejects(kill(B));
  }
  await attach(B);
});

test('a layer found mounted at the opening has one use', async () => {
  const engine = fakeEngine({ mounted: ['b'] });
  const { registry, create, attach, detach } = registryOn(engine);
  await create(A);
  assert.deepEqual(registry.mountedLayers(), [B]);
  await engine.store.create(recordOf(B, A));
  assert.equal(await attach(B), '/home/b/merged');
  await detach(B);
  assert.deepEqual([...engine.mounts], ['/home/b/merged']);
  await detach(B);
  assert.deepEqual([...engine.mounts], []);
});

test('uses beyond the first are kept for the next daemon, more and fewer, before they are answered', async () => {
  const engine = fakeEngine();
  const { create, attach, detach } = registryOn(engine);
  await create(A);
  await create(B, A);
  const kept = () => engine.calls.splice(0).filter((call) => call.startsWith('keep'));
  await attach(B);
  assert.deepEqual(kept(), []);
  await attach(B);
  assert.deepEqual(kept(), ['keep b 2']);
  await detach(B);
  assert.deepEqual(kept(), ['keep b 1']);
  await detach(B);
  assert.deepEqual(kept(), []);
});

test('a crowd that comes and goes is not kept one by one, and never as fewer than it is', async () => {
  const engine = fakeEngine();
  const { registry, create, attach, detach } = registryOn(engine);
  await create(A);
  await create(B, A);
  const kept = () => engine.calls.splice(0).filter((call) => call.startsWith('keep'));
  for (let n = 0; n < 20; ++n) await attach(B);
  assert.deepEqual(kept(), ['keep b 2', 'keep b 3', 'keep b 4', 'keep b 8', 'keep b 16', 'keep b 32']);
  for (let n = 0; n < 12; ++n) await detach(B);
  for (let n = 0; n < 9; ++n) await attach(B);
  assert.deepEqual(kept(), []);
  await registry.usesKept();
  assert.deepEqual(kept(), ['keep b 17']);
  for (let n = 0; n < 17; ++n) await detach(B);
  assert.deepEqual(kept(), ['keep b 4', 'keep b 3', 'keep b 2', 'keep b 1']);
  await registry.usesKept();
  assert.deepEqual(kept(), []);
});

test('a layer met mounted has the uses that were kept, and after its actor died those that it had', async () => {
  const engine = fakeEngine({ mounted: ['b'], uses: { b: 2 } });
  const { create, attach, detach, kill, deaths } = registryOn(engine);
  await create(A);
  await engine.store.create(recordOf(B, A));
  await attach(B);
  await assert.rejects(kill(B), { code: 'unavailable' });
  assert.deepEqual(deaths, [B]);
  await detach(B);
  await detach(B);
  assert.deepEqual([...engine.mounts], ['/home/b/merged']);
  await detach(B);
  assert.deepEqual([...engine.mounts], []);
});

test('a failed unmount keeps the actor, which tries again', async () => {
  const engine = fakeEngine();
  const { port } = faulty(engine.mounter, { unmount: '1*error(EBUSY)' });
  const { registry, create, attach, detach } = registryOn({ ...engine, mounter: port });
  await create(A);
  await create(B, A);
  await attach(B);
  await assert.rejects(detach(B), { message: /EBUSY/ });
  assert.deepEqual([...registry.states()], [{ id: B, state: 'mounted', uses: 0, mounted: true }]);
  await detach(B);
  assert.deepEqual([...registry.states()], []);
});

test('a stopped registry answers who still waits', async () => {
  const engine = fakeEngine();
  const { port, hanging } = faulty(engine.mounter, { mount: 'hang' });
  const { registry, create, attach } = registryOn({ ...engine, mounter: port });
  await create(A);
  await create(B, A);
  const attached = attach(B);
  await hanging;
  registry.stop();
  await assert.rejects(attached, { code: 'unavailable' });
});

function recordOf(layer: LayerId, parent: LayerId) {
  return {
    version: 1,
    id: layer,
    parent,
    kind: 'container',
    state: 'created',
    link: 'B'.repeat(26),
    size: null,
    quota: null,
    mountLabel: null,
  } as const;
}
