import assert from 'node:assert/strict';
import { test } from 'node:test';

import { ThinlayerError } from '../../../src/core/errors.js';
import type { CreateOptions } from '../../../src/core/model.js';
import { infoOf, LayerLife, PARENT, REQUESTS } from './layer-life.js';
import type { RequestName } from './layer-life.js';

/** A request, with `!` behind it if its (first) work fails, and what is answered. */
type Story = readonly (readonly [request: `${RequestName}${'' | '!'}`, reply: string])[];

async function follow(life: LayerLife, story: Story): Promise<string[]> {
  for (const [request, reply] of story) {
    const name = request.replace('!', '') as RequestName;
    assert.equal(await life.ask(name, request.endsWith('!') ? 'fail' : 'ok'), reply, request);
  }
  return life.states;
}

const MERGED = 'ok /home/child/merged';

test('an image layer lives from its creation to its removal', async () => {
  const states = await follow(new LayerLife(), [
    ['create', 'ok'],
    ['apply', 'ok 7'],
    ['attach', MERGED],
    ['attach', MERGED],
    ['detach', 'ok'],
    ['detach', 'ok'],
    ['remove', 'ok'],
  ]);
  assert.deepEqual(states, [
    'absent',
    'creating',
    'created',
    'applying',
    'applied',
    'mounting',
    'mounted',
    'unmounting',
    'applied',
    'removing',
    'absent',
  ]);
});

test('a container layer is mounted as it was created', async () => {
  const states = await follow(new LayerLife({ info: infoOf({ kind: 'container' }) }), [
    ['attach', MERGED],
    ['detach', 'ok'],
    ['remove', 'ok'],
  ]);
  assert.deepEqual(states, ['created', 'mounting', 'mounted', 'unmounting', 'created', 'removing', 'absent']);
});

test('an absent layer can only be created; what would take it away is a success', async () => {
  const states = await follow(new LayerLife(), [
    ['attach', 'not_found'],
    ['apply', 'not_found'],
    ['repair', 'not_found'],
    ['detach', 'ok'],
    ['remove', 'ok'],
  ]);
  assert.deepEqual(states, ['absent']);
});

test('after a failed work the layer rests where it was', async () => {
  const states = await follow(new LayerLife(), [
    ['create!', 'unavailable'],
    ['create', 'ok'],
    ['apply!', 'unavailable'],
    ['attach!', 'unavailable'],
    ['remove!', 'unavailable'],
    ['apply', 'ok 7'],
    ['remove!', 'unavailable'],
  ]);
  assert.deepEqual(states, [
    'absent',
    'creating',
    'absent',
    'creating',
    'created',
    'applying',
    'created',
    'mounting',
    'created',
    'removing',
    'created',
    'applying',
    'applied',
    'removing',
    'applied',
  ]);
});

test('a failed detach ends the use and keeps the mount; the next attach uses it, the next detach tries again', async () => {
  const life = new LayerLife({ info: infoOf() });
  const states = await follow(life, [
    ['attach', MERGED],
    ['detach!', 'unavailable'],
    ['attach', MERGED],
    ['detach!', 'unavailable'],
    ['detach', 'ok'],
  ]);
  assert.deepEqual(states, [
    'created',
    'mounting',
    'mounted',
    'unmounting',
    'mounted',
    'unmounting',
    'mounted',
    'unmounting',
    'created',
  ]);
});

test('a stray detach is a success and counts nothing', async () => {
  const life = new LayerLife({ info: infoOf() });
  const states = await follow(life, [
    ['detach', 'ok'],
    ['detach', 'ok'],
    ['attach', MERGED],
    ['detach', 'ok'],
  ]);
  assert.deepEqual(states, ['created', 'mounting', 'mounted', 'unmounting', 'created']);
  assert.equal(life.leastUses, 0);
});

test('a layer met mounted has one use: a live-restored container (attach, detach, detach)', async () => {
  const states = await follow(new LayerLife({ info: infoOf(), uses: 1 }), [
    ['attach', MERGED],
    ['detach', 'ok'],
    ['detach', 'ok'],
  ]);
  assert.deepEqual(states, ['mounted', 'unmounting', 'created']);
});

test('a layer met mounted is unmounted by the one detach that follows a crash of dockerd', async () => {
  const states = await follow(new LayerLife({ info: infoOf(), uses: 1 }), [['detach', 'ok']]);
  assert.deepEqual(states, ['mounted', 'unmounting', 'created']);
});

test('on a mount that is no more an attach mounts anew, and the uses of before go on', async () => {
  const life = new LayerLife({ info: infoOf(), uses: 2, stranded: true });
  const states = await follow(life, [['attach', MERGED]]);
  assert.deepEqual(states, ['mounted', 'renewing', 'mounting', 'mounted']);
  assert.equal(life.actor.getSnapshot().context.uses, 3);
});

test('a renewal that cannot unmount leaves all as it was; one that cannot mount leaves no mount', async () => {
  const life = new LayerLife({ info: infoOf(), uses: 2, stranded: true });
  assert.equal(await life.ask('attach', 'fail'), 'unavailable');
  const { mounted, uses } = life.actor.getSnapshot().context;
  assert.deepEqual([mounted, uses], [true, 2]);
  assert.equal(await life.ask('attach', 'ok', 'fail'), 'unavailable');
  assert.equal(life.actor.getSnapshot().value, 'created');
  assert.equal(await life.ask('detach'), 'ok');
});

test('removal of a mounted layer unmounts first, whatever its uses', async () => {
  const states = await follow(new LayerLife({ info: infoOf(), uses: 1 }), [
    ['attach', MERGED],
    ['remove', 'ok'],
  ]);
  assert.deepEqual(states, ['mounted', 'unmounting', 'removing', 'absent']);
});

test('removal whose unmounting fails leaves the mount without uses, and can be repeated', async () => {
  const states = await follow(new LayerLife({ info: infoOf(), uses: 1 }), [
    ['remove!', 'unavailable'],
    ['remove', 'ok'],
  ]);
  assert.deepEqual(states, ['mounted', 'unmounting', 'mounted', 'unmounting', 'removing', 'absent']);
});

test('a layer without lower layers answers its own directory and is not mounted', async () => {
  const states = await follow(new LayerLife({ info: infoOf({ parent: null }, []) }), [
    ['attach', 'ok /home/child/diff'],
    ['detach', 'ok'],
  ]);
  assert.deepEqual(states, ['created']);
});

test('a second archive is refused, also while mounted', async () => {
  const life = new LayerLife({ info: infoOf({ state: 'applied' }) });
  const states = await follow(life, [
    ['apply', 'failed_precondition'],
    ['attach', MERGED],
    ['apply', 'failed_precondition'],
  ]);
  assert.deepEqual(states, ['applied', 'mounting', 'mounted']);
});

test('a broken layer refuses with its cause until it is repaired', async () => {
  const life = new LayerLife({ broken: 'link is empty' });
  const states = await follow(life, [
    ['attach', 'data_loss'],
    ['create', 'data_loss'],
    ['apply', 'data_loss'],
    ['detach', 'ok'],
    ['repair!', 'unavailable'],
    ['repair', 'ok'],
    ['attach', MERGED],
  ]);
  assert.deepEqual(states, ['failed', 'repairing', 'failed', 'repairing', 'created', 'mounting', 'mounted']);
});

test('a broken layer can be removed', async () => {
  const life = new LayerLife({ broken: 'link is empty' });
  const states = await follow(life, [
    ['remove!', 'unavailable'],
    ['remove', 'ok'],
  ]);
  assert.deepEqual(states, ['failed', 'removing', 'failed', 'removing', 'absent']);
});

test('a broken layer that the kernel has mounted is unmounted before it is removed, and then starts anew', async () => {
  const life = new LayerLife({ broken: 'link is empty', uses: 1 });
  const states = await follow(life, [
    ['remove', 'ok'],
    ['create', 'ok'],
  ]);
  assert.deepEqual(states, ['failed', 'unmounting', 'removing', 'absent', 'creating', 'created']);
});

test('the last detach of a broken layer unmounts it', async () => {
  const life = new LayerLife({ broken: 'link is empty', uses: 1 });
  const states = await follow(life, [
    ['detach', 'ok'],
    ['detach', 'ok'],
  ]);
  assert.deepEqual(states, ['failed', 'unmounting', 'failed']);
});

test('while it works a layer refuses further requests, and names its state', async () => {
  const life = new LayerLife({ info: infoOf() });
  const attached = life.mailbox.ask(REQUESTS.attach);
  await life.started();
  for (const name of ['create', 'apply', 'attach', 'detach', 'remove'] as const) {
    await assert.rejects(life.mailbox.ask(REQUESTS[name]), {
      code: 'failed_precondition',
      message: /is busy/,
    });
  }
  await life.mailbox.ask(REQUESTS.repair);
  life.end('ok');
  assert.equal(await attached, '/home/child/merged');
});

test('creation is repeated with success for the same layer only', async () => {
  const life = new LayerLife({ info: infoOf({ quota: 1024 ** 3, kind: 'container', mountLabel: 'a:b' }) });
  const ask = (options: CreateOptions, parent: typeof PARENT | null = PARENT) =>
    life.mailbox.ask({ type: 'layer.create', parent, kind: 'container', options });
  await ask({ mountLabel: 'a:b', storageOptions: { size: '1G' } });
  await ask({ mountLabel: 'a:b' });
  await ask({ mountLabel: 'a:b', storageOptions: {} });
  await assert.rejects(ask({ mountLabel: 'a:b', storageOptions: { size: '2G' } }), {
    code: 'already_exists',
  });
  await assert.rejects(ask({}), { code: 'already_exists' });
  await assert.rejects(ask({ mountLabel: 'a:b' }, null), { code: 'already_exists' });
  assert.deepEqual(life.states, ['created']);
});

test('creation again with options that make no sense is refused, and the actor lives on', async () => {
  const life = new LayerLife({ info: infoOf({ kind: 'container' }) });
  const ask = (storageOptions: Record<string, string>) =>
    life.mailbox.ask({
      type: 'layer.create',
      parent: PARENT,
      kind: 'container',
      options: { storageOptions },
    });
  await assert.rejects(ask({ size: 'huge' }), { code: 'invalid_argument' });
  await assert.rejects(ask({ color: 'red' }), { code: 'invalid_argument' });
  assert.equal(life.actor.getSnapshot().status, 'active');
});

test('a work that rejects with a foreign error is answered as internal', async () => {
  const life = new LayerLife({ info: infoOf() });
  const attached = life.mailbox.ask(REQUESTS.attach);
  await life.started();
  life.endWith(new TypeError('a bug'));
  await assert.rejects(attached, (error) => error instanceof ThinlayerError && error.code === 'internal');
});
