/** Calls of many callers at once on layers: queues, holds, aborts, failures of the ports. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { ThinlayerError } from '../../../src/core/errors.js';
import type { Archive } from '../../../src/core/ports.js';
import { fakeEngine } from '../../fakes/engine.js';
import { faulty } from '../../fakes/faulty.js';
import { signalled } from '../../fakes/signalled.js';
import { id, makePair, openedOn, tarOf, textOf } from './harness.js';

test('64 callers attach and detach one layer at once: one mount, and none left', async () => {
  const engine = fakeEngine();
  const { supervisor } = await openedOn(engine);
  await makePair(supervisor);
  const caller = async () => {
    assert.equal(await supervisor.attach(id('top'), null), '/home/top/merged');
    assert.ok(engine.mounts.has('/home/top/merged'));
    await supervisor.detach(id('top'));
  };
  await Promise.all(Array.from({ length: 64 }, caller));
  assert.deepEqual([...engine.mounts], []);
  assert.deepEqual([...supervisor.report()][1]?.uses, 0);
});

test('no attach is answered before the mount stands', async () => {
  const engine = fakeEngine();
  const { port, hanging, release } = faulty(engine.mounter, { mount: 'hang' });
  const { supervisor } = await openedOn({ ...engine, mounter: port });
  await makePair(supervisor);
  const seen: string[] = [];
  const attach = (name: string) => supervisor.attach(id('top'), null).then(() => seen.push(name));
  const both = [attach('first'), attach('second')];
  await hanging;
  seen.push('mounting');
  release();
  await Promise.all(both);
  assert.deepEqual(seen, ['mounting', 'first', 'second']);
  assert.deepEqual(engine.calls, ['mount /home/top/merged', 'keep top 2']);
});

test('200 chains of calls at once leave nothing behind', async () => {
  const engine = fakeEngine();
  const { supervisor } = await openedOn(engine);
  await supervisor.create(id('base'), null, 'image', {});
  const chain = async (name: string) => {
    await supervisor.create(id(name), id('base'), 'image', {});
    await supervisor.applyDiff(id(name), id('base'), tarOf(name));
    await supervisor.attach(id(name), null);
    assert.equal(await textOf(await supervisor.diff(id(name), id('base'))), `+/${name}\n.\n`);
    await supervisor.detach(id(name));
    await supervisor.remove(id(name));
  };
  await Promise.all(Array.from({ length: 200 }, (_, i) => chain(`l${i}`)));
  assert.deepEqual(
    [...supervisor.report()].map((r) => r.id),
    ['base'],
  );
  assert.deepEqual([...engine.mounts], []);
});

test('an attach whose caller went away meanwhile is taken back', async () => {
  const engine = fakeEngine();
  const { port, hanging, release } = faulty(engine.mounter, { mount: 'hang' });
  const { supervisor } = await openedOn({ ...engine, mounter: port });
  await makePair(supervisor);
  const caller = new AbortController();
  const attached = supervisor.attach(id('top'), null, { signal: caller.signal });
  await hanging;
  caller.abort();
  release();
  await assert.rejects(attached, { code: 'aborted' });
  assert.deepEqual([...engine.mounts], []);
});

test('a diff streams on while removal waits for it', async () => {
  const engine = fakeEngine();
  const { supervisor } = await openedOn(engine);
  await supervisor.create(id('a'), null, 'image', {});
  await supervisor.applyDiff(id('a'), null, tarOf('x', 'y'));
  const stream = await supervisor.diff(id('a'), null);
  const seen: string[] = [];
  const removed = supervisor.remove(id('a')).then(() => seen.push('removed'));
  seen.push(await textOf(stream));
  await removed;
  assert.deepEqual(seen, ['+/x\n+/y\n.\n', 'removed']);
});

test('a diff may be fed into an apply while the layer is attached and detached (COPY of a build)', async () => {
  const { supervisor } = await openedOn(fakeEngine());
  await makePair(supervisor);
  await supervisor.create(id('copy'), id('base'), 'image', {});
  await supervisor.attach(id('top'), null);
  const stream = await supervisor.diff(id('top'), id('base'));
  const applied = supervisor.applyDiff(id('copy'), id('base'), stream);
  await supervisor.attach(id('top'), null);
  await supervisor.detach(id('top'));
  await applied;
  await supervisor.detach(id('top'));
  await supervisor.remove(id('top'));
});

test('a failed apply leaves the layer as it was; it can be applied again', async () => {
  const engine = fakeEngine();
  const { supervisor } = await openedOn(engine);
  await supervisor.create(id('a'), null, 'image', {});
  const cut = async function* () {
    yield Buffer.from('+/file\n+/cu');
  };
  await assert.rejects(supervisor.applyDiff(id('a'), null, cut()), { code: 'invalid_argument' });
  assert.equal(supervisor.stat(id('a'))?.record.state, 'created');
  assert.equal(await supervisor.applyDiff(id('a'), null, tarOf('file')), 6);
});

test('an apply whose caller went away in the middle ends as aborted', async () => {
  const { supervisor } = await openedOn(fakeEngine());
  await supervisor.create(id('a'), null, 'image', {});
  const caller = new AbortController();
  const reading = signalled();
  const tar = async function* () {
    yield Buffer.from('+/a\n');
    reading.signal();
    caller.abort();
    yield Buffer.from('.\n');
  };
  const applied = supervisor.applyDiff(id('a'), null, tar(), { signal: caller.signal });
  await reading.promise;
  await assert.rejects(applied, { code: 'aborted' });
  assert.equal(supervisor.stat(id('a'))?.record.state, 'created');
});

test('against another layer than the parent the two merged trees are compared, mounted for that long', async () => {
  const engine = fakeEngine();
  const { supervisor } = await openedOn(engine);
  await makePair(supervisor);
  await supervisor.create(id('other'), id('base'), 'container', {});
  const stream = await supervisor.diff(id('top'), id('other'));
  assert.deepEqual([...engine.mounts], ['/home/top/merged', '/home/other/merged']);
  await textOf(stream);
  assert.deepEqual([...engine.mounts], []);
  await supervisor.changes(id('top'), null);
  assert.deepEqual([...engine.mounts], []);
  assert.deepEqual(engine.calls.slice(-3), [
    'mount /home/top/merged',
    'changesBetween /home/top/merged',
    'unmount /home/top/merged',
  ]);
});

// It was unpacked as if nothing were below: without a trace of what it deletes, and with success.
test('an archive against another layer than the parent is unpacked over the merged files, also under a child', async () => {
  const engine = fakeEngine();
  const { supervisor } = await openedOn(engine);
  for (const name of ['base', 'other']) await supervisor.create(id(name), null, 'image', {});
  await supervisor.create(id('layer'), id('base'), 'image', {});
  await supervisor.create(id('child'), id('layer'), 'image', {});
  await supervisor.applyDiff(id('layer'), id('other'), tarOf('file'));
  assert.deepEqual(engine.calls.slice(0, 3), [
    'mount /home/layer/unpacking',
    'apply /home/layer/unpacking',
    'unmount /home/layer/unpacking',
  ]);
});

test('neither layer of a comparison is removed while it is read', async () => {
  const engine = fakeEngine();
  const { supervisor } = await openedOn(engine);
  await makePair(supervisor);
  await supervisor.create(id('other'), id('base'), 'container', {});
  const stream = await supervisor.diff(id('top'), id('other'));
  const seen: string[] = [];
  const removals = ['top', 'other'].map((name) =>
    supervisor.remove(id(name)).then(() => seen.push(`${name} removed`)),
  );
  await supervisor.attach(id('other'), null);
  await supervisor.detach(id('other'));
  assert.deepEqual(seen, []);
  await textOf(stream);
  await Promise.all(removals);
});

test('a comparison whose unmounting fails says so, and does not keep its layers from removal', async () => {
  const engine = fakeEngine();
  const { port } = faulty(engine.mounter, { unmount: '2*error(EBUSY)' });
  const { supervisor } = await openedOn({ ...engine, mounter: port });
  await makePair(supervisor);
  await supervisor.create(id('other'), id('base'), 'container', {});
  await assert.rejects(supervisor.size(id('top'), id('other')), { message: /EBUSY/ });
  await supervisor.remove(id('top'));
  await supervisor.remove(id('other'));
  assert.deepEqual([...engine.mounts], []);
});

test('a diff that fails before its first byte rejects, and holds nothing', async () => {
  const failing: Partial<Archive> = {
    produce: async function* () {
      yield* [];
      throw new ThinlayerError('unavailable', 'disk gone');
    },
  };
  const { supervisor } = await openedOn(fakeEngine({ archive: failing }));
  await makePair(supervisor);
  await assert.rejects(supervisor.diff(id('top'), id('base')), { code: 'unavailable' });
  await supervisor.remove(id('top'));
  await supervisor.drain();
});

test('cleanup unmounts what a failed detach left and whose ends got lost, but no container', async () => {
  const engine = fakeEngine({
    // A layer without uses goes also where it cannot be told whether it is one.
    mounter: {
      usedByContainers: () => Promise.resolve(new Set(['/home/used/merged', '/home/top/merged'])),
    },
  });
  const { port } = faulty(engine.mounter, { unmount: '1*error(EBUSY)' });
  const { supervisor } = await openedOn({ ...engine, mounter: port });
  await makePair(supervisor);
  for (const name of ['used', 'lost']) await supervisor.create(id(name), id('base'), 'container', {});
  await supervisor.attach(id('top'), null);
  await supervisor.attach(id('used'), null);
  await supervisor.attach(id('lost'), null);
  await supervisor.attach(id('lost'), null);
  await assert.rejects(supervisor.detach(id('top')));
  await supervisor.cleanup();
  assert.deepEqual([...engine.mounts], ['/home/used/merged']);
});

test('cleanup unmounts all that it can, and says what it could not', async () => {
  const engine = fakeEngine();
  const { port } = faulty(engine.mounter, { unmount: '1*error(EIO)' });
  const { supervisor } = await openedOn({ ...engine, mounter: port });
  await makePair(supervisor);
  await supervisor.create(id('other'), id('base'), 'container', {});
  for (const name of ['top', 'other']) await supervisor.attach(id(name), null);
  await assert.rejects(supervisor.cleanup(), /EIO/);
  assert.deepEqual([...engine.mounts], ['/home/top/merged']);
});

test('a broken layer says why, keeps others serving, and comes back by repair', async () => {
  const engine = fakeEngine();
  const { supervisor } = await openedOn(engine);
  await makePair(supervisor);
  engine.store.breakLayer(id('top'), 'lower is empty');
  const refusal = { code: 'data_loss', message: /lower is empty.*thinlayer repair top/ };
  await assert.rejects(supervisor.attach(id('top'), null), refusal);
  await assert.rejects(supervisor.diff(id('top'), id('base')), refusal);
  await assert.rejects(supervisor.create(id('c'), id('top'), 'image', {}), {
    code: 'data_loss',
    message: /lower is empty/,
  });
  await supervisor.attach(id('base'), null);
  await supervisor.repair(id('top'));
  assert.equal(await supervisor.attach(id('top'), null), '/home/top/merged');
});

test('a broken layer that is still mounted is unmounted where the layout has its mountpoint', async () => {
  const engine = fakeEngine({ mounted: ['top'] });
  const { supervisor } = await openedOn(engine);
  await makePair(supervisor);
  engine.store.breakLayer(id('top'), 'lower is empty');
  await supervisor.remove(id('top'));
  assert.deepEqual(engine.calls, ['unmount /home/top/merged']);
});

test('a quota is set on the fresh directory of a container: its own, or the default', async () => {
  const engine = fakeEngine({ options: { defaultQuota: 7 } });
  const { supervisor } = await openedOn(engine);
  await supervisor.create(id('image'), null, 'image', {});
  await supervisor.create(id('a'), id('image'), 'container', {});
  await supervisor.create(id('b'), id('image'), 'container', { storageOptions: { size: '1k' } });
  assert.equal(supervisor.stat(id('image'))?.record.quota, null);
  assert.equal(supervisor.stat(id('a'))?.record.quota, 7);
  assert.equal(supervisor.stat(id('b'))?.record.quota, 1024);
  await assert.rejects(supervisor.create(id('c'), id('image'), 'image', { storageOptions: { size: '1k' } }), {
    code: 'invalid_argument',
  });
  assert.equal(supervisor.stat(id('c')), undefined);
});
