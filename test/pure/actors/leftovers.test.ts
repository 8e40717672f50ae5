/** Layers that dockerd began to make and forgot. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { ThinlayerError } from '../../../src/core/errors.js';
import type { EngineOverrides } from '../../fakes/engine.js';
import { fakeEngine } from '../../fakes/engine.js';
import { id, openedOn, tarOf } from './harness.js';

async function withImage(overrides: EngineOverrides = {}) {
  const opened = await openedOn(fakeEngine(overrides));
  const { supervisor } = opened;
  await supervisor.create(id('image'), null, 'image', {});
  const container = (name: string, parent: string) =>
    supervisor.create(id(name), id(parent), 'container', {});
  const layers = () => [...supervisor.report()].map((report) => report.id as string);
  return { ...opened, container, layers };
}

test('a container whose first mount fails leaves no layer, and the error stays', async () => {
  const mount = () => Promise.reject(new ThinlayerError('unavailable', 'no server answers'));
  const { supervisor, container, layers } = await withImage({ mounter: { mount } });
  for (let attempt = 0; attempt < 2; ++attempt) {
    await container('c-init', 'image');
    await assert.rejects(supervisor.attach(id('c-init'), null), /no server answers/);
    assert.deepEqual(layers(), ['image']);
  }
  await supervisor.remove(id('image'));
});

test('a container that was made keeps its layers when a mount fails', async () => {
  const mount = () => Promise.reject(new ThinlayerError('unavailable', 'no server answers'));
  const { supervisor, container, layers } = await withImage({ mounter: { mount } });
  await container('c-init', 'image');
  await container('c', 'c-init');
  for (const name of ['c-init', 'c']) await assert.rejects(supervisor.attach(id(name), null));
  assert.deepEqual(layers(), ['image', 'c-init', 'c']);
});

test('what nobody can reach any more goes with its image', async () => {
  const { supervisor, container, layers, leftovers } = await withImage();
  await container('a-init', 'image');
  await container('b-init', 'image');
  await container('b', 'b-init');
  await container('c-init', 'image');
  await supervisor.attach(id('c-init'), null);
  await supervisor.remove(id('image'));
  assert.deepEqual(layers(), []);
  assert.deepEqual(leftovers.sort(), ['a-init', 'b', 'b-init', 'c-init']);
});

test('what somebody wrote or uses, and what is no container’s, is not taken with its image', async () => {
  const { supervisor, container, layers, leftovers } = await withImage();
  for (const name of ['written', 'used']) {
    await container(`${name}-init`, 'image');
    await container(name, `${name}-init`);
  }
  await supervisor.applyDiff(id('written'), id('written-init'), tarOf('file'));
  await supervisor.attach(id('used'), null);
  await container('snapshot', 'image');
  await assert.rejects(supervisor.remove(id('image')), /other layers are made on it/);
  assert.deepEqual(layers(), ['image', 'written-init', 'written', 'used-init', 'used', 'snapshot']);
  assert.deepEqual(leftovers, []);
});

test('if one layer on it has to stay, nothing on it goes', async () => {
  const { supervisor, container, layers, leftovers } = await withImage();
  await container('c-init', 'image');
  await container('c', 'c-init');
  await supervisor.create(id('next'), id('image'), 'image', {});
  await assert.rejects(supervisor.remove(id('image')), /made on it \(c-init, next\)/);
  assert.deepEqual(layers(), ['image', 'c-init', 'c', 'next']);
  await supervisor.remove(id('next'));
  await assert.rejects(supervisor.remove(id('image'), 'alone'), /made on it \(c-init\)/);
  assert.deepEqual(leftovers, []);
  await supervisor.remove(id('image'));
  assert.deepEqual(leftovers, ['c', 'c-init']);
});

test('a layer of an image that was never filled before the home was opened goes with what it stands on', async () => {
  const engine = fakeEngine();
  const record = { version: 1, kind: 'image', size: null, quota: null, link: '', mountLabel: null } as const;
  const stored = (name: string, parent: string | null, state: 'created' | 'applied') =>
    engine.store.create({ ...record, id: id(name), parent: parent === null ? null : id(parent), state });
  await stored('image', null, 'applied');
  await stored('cut', 'image', 'created');
  await stored('filled', 'image', 'applied');
  const { supervisor, leftovers } = await openedOn(engine);
  await assert.rejects(supervisor.remove(id('image')), /made on it \(cut, filled\).*thinlayer remove ID/);
  await supervisor.remove(id('filled'));
  await supervisor.create(id('new'), id('image'), 'image', {});
  await assert.rejects(supervisor.remove(id('image')), /made on it \(cut, new\)/);
  await supervisor.remove(id('new'));
  await supervisor.remove(id('image'));
  assert.deepEqual(leftovers, ['cut']);
  assert.deepEqual([...supervisor.report()], []);
});

// A removal waits for all who read the layer: one that a reader waits for would never come, and with it no new Init, and no end.
test('who reads a layer that cannot be mounted hears why, and forgets no layer', async () => {
  const mount = () => Promise.reject(new ThinlayerError('unavailable', 'no server answers'));
  const { supervisor, container, layers } = await withImage({ mounter: { mount } });
  await container('c-init', 'image');
  await assert.rejects(supervisor.size(id('c-init'), null), /no server answers/);
  await assert.rejects(supervisor.diff(id('c-init'), null), /no server answers/);
  assert.deepEqual(layers(), ['image', 'c-init']);
  await supervisor.remove(id('c-init'));
});
