/** The daemon's own life: openings, drain, and calls before, during and after. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';

import { LONG_MS } from '../../../actors/delays.js';
import { ThinlayerError } from '../../../src/core/errors.js';
import type { Engine } from '../../../src/core/ports.js';
import { fakeConfig, fakeEngine } from '../../fakes/engine.js';
import { faulty } from '../../fakes/faulty.js';
import { signalled } from '../../fakes/signalled.js';
import { id, makePair, openedOn, settled, supervisorWith, tarOf, textOf } from './harness.js';

const NOT_OPEN = { code: 'failed_precondition', message: /restart dockerd/ };

test('whoever waits for a home is served by it, whichever is opened next', async () => {
  const { supervisor } = supervisorWith(() => setImmediate(fakeEngine()));
  const openings = Promise.all(Array.from({ length: 5 }, () => supervisor.open(fakeConfig())));
  let ended = false;
  const end = openings.then(() => (ended = true));
  const calls: Promise<string>[] = [];
  const told = (call: Promise<unknown>) =>
    call.then(
      () => 'served',
      (error: Error) => error.message,
    );
  while (!ended) {
    // As the control socket asks, whose calls wait for the home as well.
    calls.push(
      told(supervisor.settled().then(() => supervisor.repair(id('none')))),
      told(supervisor.settled().then(() => supervisor.status())),
    );
    await setImmediate();
  }
  await end;
  assert.deepEqual([...new Set(await Promise.all(calls))].sort(), ['layer none does not exist', 'served']);
});

test('what is asked at once during an opening is refused with that', async () => {
  const { supervisor } = supervisorWith(() => setImmediate(fakeEngine()));
  for (let home = 0; home < 2; ++home) {
    const opening = supervisor.open(fakeConfig());
    await settled();
    assert.throws(() => supervisor.status(), { code: 'unavailable', message: /the home is being opened/ });
    await opening;
  }
});

test('before a home is named every call says so', async () => {
  const { supervisor } = supervisorWith(() => Promise.resolve(fakeEngine()));
  await assert.rejects(supervisor.create(id('a'), null, 'image', {}), NOT_OPEN);
  await assert.rejects(supervisor.attach(id('a'), null), NOT_OPEN);
  await assert.rejects(supervisor.diff(id('a'), null), NOT_OPEN);
  await assert.rejects(supervisor.remove(id('a')), NOT_OPEN);
  assert.throws(() => supervisor.stat(id('a')), NOT_OPEN);
  assert.throws(() => supervisor.status(), NOT_OPEN);
});

test('a failed opening tells its cause, also to later calls; the next opening may succeed', async () => {
  const answers = [
    () => Promise.reject(new ThinlayerError('resource_exhausted', 'another daemon has the lock')),
    () => Promise.reject(new TypeError('a bug')),
    () => Promise.resolve(fakeEngine()),
  ];
  const { supervisor } = supervisorWith(() => (answers.shift() ?? assert.fail)());
  await assert.rejects(supervisor.open(fakeConfig()), {
    code: 'resource_exhausted',
    message: 'another daemon has the lock',
  });
  await assert.rejects(supervisor.detach(id('a')), {
    code: 'resource_exhausted',
    message: /could not be opened: another daemon has the lock/,
  });
  await assert.rejects(supervisor.open(fakeConfig()), { code: 'internal', message: 'a bug' });
  await supervisor.open(fakeConfig());
  await supervisor.detach(id('a'));
});

test('calls that come while a home is opened wait for it', async () => {
  const opening = signalled<Engine>();
  const { supervisor } = supervisorWith(() => opening.promise);
  const opened = supervisor.open(fakeConfig());
  const created = supervisor.create(id('a'), null, 'image', {});
  opening.signal(fakeEngine());
  await Promise.all([opened, created]);
  assert.equal(supervisor.stat(id('a'))?.record.state, 'created');
});

test('another opening waits for running calls, then starts from the new home', async () => {
  const first = fakeEngine();
  const { port, hanging, release } = faulty(first.mounter, { mount: 'hang' });
  const closed = signalled();
  const engines: Engine[] = [
    { ...first, mounter: port, store: Object.assign(first.store, { close: async () => closed.signal() }) },
    fakeEngine({ mounted: ['m'] }),
  ];
  const { supervisor } = supervisorWith(() => Promise.resolve(engines.shift() ?? assert.fail()));
  await supervisor.open(fakeConfig());
  await makePair(supervisor);
  const attached = supervisor.attach(id('top'), null);
  await hanging;
  const reopened = supervisor.open(fakeConfig());
  const waiting = supervisor.create(id('new'), null, 'image', {});
  release();
  assert.equal(await attached, '/home/top/merged');
  await Promise.all([reopened, waiting, closed.promise]);
  assert.deepEqual(
    [...supervisor.list()].map((info) => info.record.id),
    ['new'],
  );
});

test('an opening waits for an archive that is still read', async () => {
  const { supervisor } = await openedOn(fakeEngine());
  await makePair(supervisor);
  const stream = await supervisor.diff(id('top'), id('base'));
  let reopened = false;
  const reopening = supervisor.open(fakeConfig()).then(() => (reopened = true));
  await Promise.resolve();
  assert.equal(reopened, false);
  assert.equal(await textOf(stream), '.\n');
  await reopening;
});

test('drain lets running calls end, refuses new ones, and leaves the mounts', async () => {
  const engine = fakeEngine();
  const { port, hanging, release } = faulty(engine.mounter, { mount: '1*off->hang' });
  const { supervisor } = await openedOn({ ...engine, mounter: port });
  await makePair(supervisor);
  await supervisor.create(id('other'), id('base'), 'container', {});
  await supervisor.attach(id('top'), null);
  const attached = supervisor.attach(id('other'), null);
  await hanging;
  const drained = supervisor.drain();
  await assert.rejects(supervisor.detach(id('top')), { code: 'unavailable', message: /stopping/ });
  await assert.rejects(supervisor.open(fakeConfig()), { code: 'unavailable' });
  release();
  assert.equal(await attached, '/home/other/merged');
  await drained;
  assert.deepEqual([...engine.mounts], ['/home/top/merged', '/home/other/merged']);
  assert.throws(() => supervisor.stat(id('top')), { code: 'unavailable' });
});

test('a Diff whose mount is still being taken back when a drain comes ends whole', async () => {
  const engine = fakeEngine();
  const { port, hanging, release } = faulty(engine.mounter, { unmount: 'hang' });
  const { supervisor } = await openedOn({ ...engine, mounter: port });
  await makePair(supervisor);
  const text = textOf(await supervisor.diff(id('top'), null));
  await hanging;
  const drained = supervisor.drain();
  await settled();
  release();
  assert.equal(await text, '.\n');
  await drained;
  assert.deepEqual([...engine.mounts], []);
});

test('an Init that waits long for the calls of before says so', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const engine = fakeEngine();
  const { port, hanging, release } = faulty(engine.mounter, { mount: 'hang' });
  const { supervisor, late } = await openedOn({ ...engine, mounter: port });
  await makePair(supervisor);
  const attached = supervisor.attach(id('top'), null);
  await hanging;
  const opened = supervisor.open(fakeConfig());
  await settled();
  t.mock.timers.tick(LONG_MS - 1);
  assert.deepEqual(late, []);
  t.mock.timers.tick(1);
  assert.deepEqual(late, ['closing waits for 1']);
  release();
  await attached;
  await opened;
  t.mock.timers.tick(LONG_MS);
  assert.equal(late.length, 1);
});

test('drain before any opening ends at once', async () => {
  const { supervisor } = supervisorWith(() => Promise.resolve(fakeEngine()));
  await supervisor.drain();
  await assert.rejects(supervisor.open(fakeConfig()), { code: 'unavailable' });
});

test('a drain during an opening lets it end, closes what it opened, and refuses its caller', async () => {
  const opening = signalled<Engine>();
  const engine = fakeEngine();
  let closed = 0;
  const store = Object.assign(engine.store, { close: async () => void (closed += 1) });
  const { supervisor } = supervisorWith(() => opening.promise);
  const opened = supervisor.open(fakeConfig());
  const waiting = supervisor.create(id('a'), null, 'image', {});
  const drained = supervisor.drain();
  opening.signal({ ...engine, store });
  await Promise.all([opened, waiting].map((call) => assert.rejects(call, { code: 'unavailable' })));
  await drained;
  assert.equal(closed, 1);
});

test('a drain during an opening that fails ends, too', async () => {
  const opening = signalled<Engine>();
  const { supervisor } = supervisorWith(async () => {
    await opening.promise;
    throw new ThinlayerError('unavailable', 'no such disk');
  });
  const opened = supervisor.open(fakeConfig());
  const drained = supervisor.drain();
  opening.signal(fakeEngine());
  await assert.rejects(opened, { code: 'unavailable' });
  await drained;
});

test('report, status and mounts tell of all layers without an actor', async () => {
  const engine = fakeEngine();
  const { supervisor } = await openedOn(engine);
  await makePair(supervisor);
  await supervisor.applyDiff(id('base'), null, tarOf('f'));
  await supervisor.attach(id('top'), null);
  await supervisor.create(id('bad'), null, 'image', {});
  engine.store.breakLayer(id('bad'), 'link is empty');
  assert.deepEqual(
    [...supervisor.report()],
    [
      { id: 'base', state: 'applied', uses: 0, parent: null, cause: null },
      { id: 'top', state: 'mounted', uses: 1, parent: 'base', cause: null },
      { id: 'bad', state: 'failed', uses: 0, parent: null, cause: 'link is empty' },
    ],
  );
  const status = Object.fromEntries(supervisor.status());
  assert.equal(status['Layers'], '2');
  assert.equal(status['Layers Mounted'], '1');
  assert.equal(status['Layers Failed'], '1');
  assert.equal(status['Thinlayer Version'], '1.2.3');
  assert.deepEqual(supervisor.mounts(id('base')), []);
  const [mount] = supervisor.mounts(id('top'));
  assert.equal(mount?.target, '/home/top/merged');
  assert.deepEqual(mount?.writable, { upper: '/home/top/diff', work: '/home/top/work' });
});
