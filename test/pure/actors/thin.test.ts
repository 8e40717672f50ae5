/** Thin layers: what stands below their children is leased, looked up, mounted and given back. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TestContext } from 'node:test';

import { LONG_MS } from '../../../actors/delays.js';
import { fromErrno } from '../../../src/core/errno.js';
import { ThinlayerError } from '../../../src/core/errors.js';
import type { LayerId, LowerLayer, ThinLayer } from '../../../src/core/model.js';
import type { OverlayMount } from '../../../src/core/mount-plan.js';
import type { Mounter } from '../../../src/core/ports.js';
import { fakeEngine } from '../../fakes/engine.js';
import type { EngineOverrides, FakeEngine } from '../../fakes/engine.js';
import { fakeLayerStore } from '../../fakes/layer-store.js';
import { fakeRepositorySource } from '../../fakes/repository-source.js';
import { signalled } from '../../fakes/signalled.js';
import { id, openedOn, settled, tarOf } from './harness.js';

const R = 'a.example.org';
const MOUNT = { path: `/cvmfs/${R}`, revision: 1, anew: true, whiteouts: ['layers', '.layers'] };
const BOTTOM: ThinLayer = { digest: 'aa'.repeat(32), repository: R, path: 'layers/bottom' };
const TOP: ThinLayer = { digest: 'bb'.repeat(32), repository: R, path: null };

/** What the mounter was given, and an engine whose archives are all descriptors of BOTTOM and TOP. */
function thinEngine(
  overrides: EngineOverrides & { locate?: Mounter['locate']; mount?: () => Promise<void> } = {},
) {
  const plans: OverlayMount[] = [];
  const store = fakeLayerStore({}, '/home');
  const engine: FakeEngine = fakeEngine({
    ...overrides,
    store: {
      stage: async (layer) => {
        const staging = await store.stage(layer);
        return { ...staging, descriptor: () => Promise.resolve({ layers: [BOTTOM, TOP], origin: null }) };
      },
      create: (record) => store.create(record),
      get: (layer) => store.get(layer),
      list: () => store.list(),
      links: (layer) => store.links(layer),
      hasChildren: (layer) => store.hasChildren(layer),
      remove: (layer) => store.remove(layer),
      update: (record) => store.update(record),
      ...overrides.store,
    },
    mounter: {
      mount: async (plan) => {
        plans.push(plan);
        await overrides.mount?.();
      },
      ...(overrides.locate && { locate: overrides.locate }),
    },
  });
  return { engine, plans };
}

/** A thin layer, and a container on it, not attached. */
async function withContainer(
  t: TestContext,
  overrides: Parameters<typeof thinEngine>[0] = {},
  source = fakeRepositorySource(),
) {
  const { engine, plans } = thinEngine(overrides);
  const { supervisor, late } = await openedOn({ ...engine, repositories: source });
  // A repository that nobody uses any more waits five minutes for its unmount, and the process with it.
  t.after(() => supervisor.drain());
  await supervisor.create(id('thin'), null, 'image', {});
  await supervisor.applyDiff(id('thin'), null, tarOf('thin.json'));
  await supervisor.create(id('container'), id('thin'), 'container', {});
  return { supervisor, engine, plans, source, late };
}

test('a thin layer is not mounted: dockerd reads its descriptor', async (t) => {
  const { supervisor, plans } = await withContainer(t);
  assert.equal(await supervisor.attach(id('thin'), null), '/home/thin/diff');
  assert.deepEqual(plans, []);
});

test('a child of a thin layer of no layers is what its directory is, however many use it', async () => {
  const store = fakeLayerStore({}, '/home');
  const engine = fakeEngine({ store });
  const { supervisor } = await openedOn(engine);
  await supervisor.create(id('thin'), null, 'image', {});
  const record = store.get(id('thin'))?.record;
  assert.ok(record);
  await store.update({ ...record, state: 'applied', thin: [] });
  await supervisor.create(id('child'), id('thin'), 'container', {});
  for (let use = 0; use < 3; use++)
    assert.equal(await supervisor.attach(id('child'), null), '/home/child/diff');
  for (let use = 0; use < 3; use++) await supervisor.detach(id('child'));
  assert.deepEqual(engine.calls, []);
});

test('one that was written through a mount, as BuildKit does, is known for thin by its first child', async (t) => {
  const asked: string[] = [];
  const descriptor = (layer: LayerId) => {
    asked.push(layer);
    return Promise.resolve(layer === id('built') ? { layers: [BOTTOM, TOP], origin: null } : null);
  };
  const { supervisor, plans } = await withContainer(t, { store: { descriptor } });
  await supervisor.create(id('fat'), null, 'image', {});
  await supervisor.create(id('built'), id('fat'), 'image', {});
  assert.equal(await supervisor.attach(id('built'), null), '/home/built/merged');
  await supervisor.detach(id('built'));
  for (const name of ['one', 'two']) await supervisor.create(id(name), id('built'), 'container', {});
  const lowers = supervisor.stat(id('one'))?.lowers;
  assert.deepEqual(lowers, [TOP, BOTTOM, '/home/fat/diff'] satisfies LowerLayer[]);
  assert.equal(await supervisor.attach(id('built'), null), '/home/built/diff');
  assert.equal(plans.length, 1);
  assert.deepEqual(asked, ['fat', 'built']);
});

test('its repository is mounted as soon as it is applied, and kept for whoever starts on it', async (t) => {
  const { supervisor, source } = await withContainer(t);
  await settled();
  assert.deepEqual([...source.mounted], [R]);
  await supervisor.attach(id('container'), null);
  assert.deepEqual(source.calls, [`resolve ${R}`, `acquire ${R}`]);
});

test('its child stands on the layers in CVMFS, uppermost first, and not on the descriptor', async (t) => {
  const { supervisor, plans, source } = await withContainer(t);
  assert.deepEqual(supervisor.stat(id('container'))?.lowers, [TOP, BOTTOM] satisfies LowerLayer[]);
  assert.equal(await supervisor.attach(id('container'), null), '/home/container/merged');
  assert.deepEqual(plans[0]?.lowers, [
    `/cvmfs/${R}/.layers/bb/${TOP.digest}/layerfs`,
    `/cvmfs/${R}/layers/bottom`,
  ]);
  assert.equal(plans[0]?.remote, true);
  assert.deepEqual(source.calls, [`resolve ${R}`, `acquire ${R}`]);
});

test('work on trees that show layers in CVMFS is told as such, and no other', async (t) => {
  const told: unknown[] = [];
  const note = <T>(value: T) => {
    return (_newer: string, _older: unknown, work?: { remote?: boolean }) => {
      told.push(work?.remote);
      return Promise.resolve(value);
    };
  };
  const archive = { changes: note([]), changesBetween: note([]), sizeBetween: note(0) };
  const { supervisor } = await withContainer(t, { archive });
  await supervisor.create(id('base'), null, 'image', {});
  await supervisor.create(id('ordinary'), id('base'), 'container', {});
  for (const name of ['ordinary', 'container']) {
    await supervisor.changes(id(name), id(name === 'ordinary' ? 'base' : 'thin'));
    await supervisor.changes(id(name), id(name));
    await supervisor.size(id(name), null);
  }
  await supervisor.changes(id('ordinary'), id('container'));
  assert.deepEqual(told, [false, false, false, true, true, true, true]);
});

test('where whiteouts are files, a layer that has some stands between its masks, which go with the image', async (t) => {
  const told: string[] = [];
  const masks = {
    hold: (holder: string, _: string, path: string) => {
      told.push(`hold ${holder}`);
      return Promise.resolve(path.startsWith('layers/') ? { above: '/above', below: '/below' } : null);
    },
    release: (holder: string) => Promise.resolve(void told.push(`release ${holder}`)),
    keep: (layers: readonly ThinLayer[]) => Promise.resolve(void told.push(`keep ${layers.length}`)),
  };
  const { supervisor, plans } = await withContainer(t, { masks }, fakeRepositorySource({}, []));
  await supervisor.attach(id('container'), null);
  const [above, bottom, below] = ['/above', `/cvmfs/${R}/layers/bottom`, '/below'];
  const top = `/cvmfs/${R}/.layers/bb/${TOP.digest}/layerfs`;
  assert.deepEqual(plans[0]?.lowers, [top, above, bottom, below]);
  await supervisor.detach(id('container'));
  await supervisor.remove(id('container'));
  await supervisor.remove(id('thin'));
  const held = ['hold layer container', 'hold layer container', 'release layer container'];
  assert.deepEqual(told, [...held, 'keep 0']);
});

test('who fails to mount holds no mask, also where another of its layers is looked for still', async (t) => {
  const held = new Set<string>();
  let walk = (): void => undefined;
  const walked = new Promise<void>((resolve) => (walk = resolve));
  const masks = {
    hold: async (holder: string, _: string, path: string) => {
      if (path !== BOTTOM.path) throw new ThinlayerError('unavailable', 'it cannot be walked');
      await walked;
      held.add(holder);
      return null;
    },
    release: (holder: string) => Promise.resolve(void held.delete(holder)),
  };
  const { supervisor } = await withContainer(t, { masks }, fakeRepositorySource({}, []));
  const attached = assert.rejects(supervisor.attach(id('container'), null), { code: 'unavailable' });
  await settled();
  walk();
  await attached;
  assert.deepEqual([...held], []);
});

test('layers that were found mounted keep their masks, whether or not their records are sound', async () => {
  const adopted = new Map<string, readonly ThinLayer[] | null>();
  const masks = {
    adopt: (holder: string, layers: readonly ThinLayer[] | null) => void adopted.set(holder, layers),
  };
  const { engine } = thinEngine({ masks, mounted: ['container', 'broken'] });
  const record = { version: 1, parent: null, state: 'created', link: '', size: null, quota: null } as const;
  const thin = { ...record, id: id('thin'), kind: 'image', mountLabel: null, thin: [BOTTOM, TOP] } as const;
  await engine.store.create(thin);
  const container = { ...record, id: id('container'), parent: id('thin'), kind: 'container' } as const;
  await engine.store.create({ ...container, mountLabel: null });
  await openedOn(engine);
  assert.deepEqual(Object.fromEntries(adopted), { 'layer container': [TOP, BOTTOM], 'layer broken': null });
});

test('a container whose record cannot be read keeps every repository that was found mounted', async (t) => {
  const source = fakeRepositorySource();
  const engine = fakeEngine({ mounted: ['broken'], mountedRepositories: [R] });
  const { supervisor } = await openedOn({ ...engine, repositories: source });
  t.after(() => supervisor.drain());
  await supervisor.cleanup();
  assert.ok(!source.calls.includes(`release ${R}`), source.calls.join(', '));
  assert.deepEqual(
    (await supervisor.repositories()).map(({ holders }) => holders),
    [1],
  );
});

test('an archive for too deep a stack of masks is refused, and holds no repository', async (t) => {
  const masks = {
    hold: (_: string, __: string, path: string) =>
      Promise.resolve({ above: `/above/${path}`, below: `/below/${path}` }),
  };
  const source = fakeRepositorySource({}, []);
  const { supervisor } = await withContainer(t, { masks, options: { maxLowers: 5 } }, source);
  await assert.rejects(supervisor.applyDiff(id('container'), null, tarOf('file')), /max depth exceeded/);
  assert.deepEqual(
    (await supervisor.repositories()).map(({ holders }) => holders),
    [0],
  );
});

test('a layer that is not there is looked for in the newest revision, and then missed by name', async (t) => {
  const { supervisor, source } = await withContainer(t, { locate: () => Promise.resolve(null) });
  await assert.rejects(supervisor.attach(id('container'), null), {
    code: 'not_found',
    message: /layer b{64} .*not in the repository a\.example\.org at revision \d+ as .*published later/,
  });
  assert.ok(source.calls.includes(`refresh ${R}`));
});

test('a repository that cannot be mounted is the answer to the attach, not to the apply', async (t) => {
  const broken = new ThinlayerError('unavailable', `the key of ${R} is missing`);
  const source = fakeRepositorySource({ resolve: () => Promise.reject(broken) });
  const { supervisor } = await withContainer(t, {}, source);
  // It was tried when the layer was applied, which succeeded all the same.
  await assert.rejects(supervisor.attach(id('container'), null), {
    message: `${broken.message} (tried a moment ago; the next try is soon)`,
  });
  assert.equal(supervisor.stat(id('container'))?.record.state, 'created');
});

test('the value of a mount needs no repository', async (t) => {
  const { supervisor, source } = await withContainer(t);
  await settled();
  const before = source.calls.length;
  assert.deepEqual(supervisor.mounts(id('container'))[0]?.lowers, [
    `/cvmfs/${R}/.layers/bb/${TOP.digest}/layerfs`,
    `/cvmfs/${R}/layers/bottom`,
  ]);
  assert.equal(source.calls.length, before);
});

test('a source that wants to know is told when containers start on its layers, and end', async (t) => {
  const told: string[] = [];
  const starts = {
    begin: (repository: string, holder: string, directories: readonly string[]) =>
      void told.push(`begin ${repository} ${holder} ${directories.join(' ')}`),
    end: (repository: string, holder: string) => void told.push(`end ${repository} ${holder}`),
  };
  const { supervisor } = await withContainer(t, {}, { ...fakeRepositorySource(), starts });
  await supervisor.attach(id('thin'), null);
  const path = await supervisor.attach(id('container'), null);
  await supervisor.attach(id('container'), null);
  assert.equal(told.length, 1, path);
  assert.match(told[0] ?? '', /^begin a\.example\.org layer container \S*bb\S* \S*layers\/bottom$/);
  await supervisor.detach(id('container'));
  await supervisor.detach(id('container'));
  assert.deepEqual(told.slice(1), ['end a.example.org layer container']);
});

test('a repository is told with what its client knows, or with why that does not tell', async (t) => {
  const facts = { revision: 7, host: null, offline: null, cacheBytes: 1, prefetch: null, failure: null };
  const answers = [
    () => Promise.resolve(facts),
    () => Promise.reject(new ThinlayerError('unavailable', 'its client hangs')),
  ];
  const describe = () => (answers.shift() ?? assert.fail)();
  const { supervisor } = await withContainer(t, {}, { ...fakeRepositorySource(), describe });
  await supervisor.attach(id('container'), null);
  const report = { repository: R, state: 'mounted', holders: 1 };
  assert.deepEqual(await supervisor.repositories(), [{ ...report, cause: null, facts }]);
  assert.deepEqual(await supervisor.repositories(), [{ ...report, cause: 'its client hangs', facts: null }]);
});

for (const slow of ['locate', 'mount'] as const) {
  test(`who waits long for a repository is told of, once, and goes on when that answers: ${slow}`, async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const answer = signalled();
    const hangs = { [slow]: () => answer.promise.then(() => '/found') };
    const source = fakeRepositorySource({ acquire: async () => ({ ...MOUNT, pid: 4711 }) });
    const { supervisor, late } = await withContainer(t, hangs, source);
    const causeOf = (layer: string) => [...supervisor.report()].find((found) => found.id === layer)?.cause;
    const attached = supervisor.attach(id('container'), null);
    await new Promise(setImmediate);
    t.mock.timers.tick(LONG_MS - 1);
    assert.deepEqual([late, causeOf('container')], [[], null]);
    t.mock.timers.tick(LONG_MS * 10);
    assert.equal(late.length, 1);
    assert.match(
      late[0] ?? '',
      /^layer container has waited for 20 s for the repository a\.example\.org \(process 4711\): .*\(kill -9 4711\)/,
    );
    assert.deepEqual([causeOf('container'), causeOf('thin')], [late[0], null]);
    answer.signal();
    assert.equal(await attached, '/home/container/merged');
    assert.equal(causeOf('container'), null);
  });
}

test('an attach in which the repository is lost is tried once more, on the mount that takes its place', async (t) => {
  const dead = Object.assign(new Error('fsconfig: ENOTCONN'), { code: 'ENOTCONN' });
  const source = fakeRepositorySource();
  let mounts = 0;
  const mount = () => {
    if (++mounts > 1) return Promise.resolve();
    setImmediate(() => source.lose(R, new ThinlayerError('unavailable', 'its client ended')));
    return Promise.reject(fromErrno(dead, { op: 'mount' }));
  };
  const { supervisor } = await withContainer(t, { mount }, source);
  assert.equal(await supervisor.attach(id('container'), null), '/home/container/merged');
  assert.equal(mounts, 2);
  assert.equal([...supervisor.report()].find((layer) => layer.id === 'container')?.cause, null);
});

test('a layer that cannot be read is named, with what its client says', async (t) => {
  const eio = Object.assign(new Error('openat2: EIO'), { code: 'EIO' });
  const locate = () => Promise.reject(fromErrno(eio, { op: 'look up' }));
  const facts = { revision: 7, host: null, offline: null, cacheBytes: 1, prefetch: null };
  const failure = '/layers cannot be read: http://h sent 0 bytes within 5000 ms';
  const source = { ...fakeRepositorySource(), describe: () => Promise.resolve({ ...facts, failure }) };
  const { supervisor } = await withContainer(t, { locate }, source);
  await assert.rejects(supervisor.attach(id('container'), null), {
    code: 'unavailable',
    message:
      /layer (aa|bb)\S+ of a thin image cannot be read in the repository a\.example\.org: .*EIO.*; its client says: \/layers .* sent 0 bytes/,
  });
});

test('what was mounted while its repository was lost is mounted anew: it may stand on what is no more', async (t) => {
  const source = fakeRepositorySource();
  let mounts = 0;
  const mount = () => {
    if (++mounts === 1) source.lose(R, new ThinlayerError('unavailable', 'its client ended'));
    return Promise.resolve();
  };
  const { supervisor } = await withContainer(t, { mount }, source);
  assert.equal(await supervisor.attach(id('container'), null), '/home/container/merged');
  assert.equal(mounts, 2);
  assert.equal([...supervisor.report()].find((layer) => layer.id === 'container')?.cause, null);
});
