/** Whiteouts that are plain files, as layers in CVMFS have them, in a real overlay mount. */

import assert from 'node:assert/strict';
import { access, mkdir, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';

import { deriveMask } from '../../src/archive/derive-mask.js';
import type { Mask, Masks } from '../../src/core/ports.js';
import { loadAddon } from '../../src/host/addon.js';
import type { TreeReaderFunctions } from '../../src/host/tree-reader.js';
import { createTreeReader } from '../../src/host/tree-reader.js';
import { nativeTreeWriters } from '../../src/host/tree-writer.js';
import { createMasks } from '../../src/store/masks.js';
import { MadeRepository } from '../cvmfs/made-repository.js';
import { SourceTree } from '../cvmfs/maker/source-tree.js';
import { MountedFixture, cannotMount as cannotMountFixture } from './cvmfs-fixture.js';
import { check } from '../system/process.js';
import { cannotMount, ScratchHome } from './scratch-home.js';

const R = 'a.example.org';

/** Files and directories (names that end in a slash) below `root`. */
async function fill(root: string, names: readonly string[]): Promise<string> {
  for (const name of names) {
    const path = join(root, name);
    await mkdir(name.endsWith('/') ? path : dirname(path), { recursive: true });
    if (!name.endsWith('/')) await writeFile(path, root.split('/').at(-1) ?? '');
  }
  return root;
}

interface Lab {
  readonly home: ScratchHome;
  readonly masks: Masks;
  /** Trees that were walked. */
  readonly derived: string[];
  /** The names below `masks`, without those of whiteouts. */
  kept(): Promise<string[]>;
}

async function labOf(t: TestContext, publish: Publish = {}): Promise<Lab> {
  const home = await ScratchHome.make(t);
  const derived: string[] = [];
  const places = () => readdir(join(home.path, 'masks'));
  const versions = async (place: string) => readdir(join(home.path, 'masks', place));
  return {
    ...{ home, derived, masks: masksIn(home.path, derived, publish) },
    kept: async () => (await Promise.all((await places()).map(versions))).flat(),
  };
}

interface Publish {
  /** What is published wherever it is asked for; null: nobody can tell. */
  now?: string | null;
  /** Told when a walk has ended. */
  walked?: () => void;
}

function masksIn(home: string, derived: string[], publish: Publish = {}): Masks {
  const reader = createTreeReader(loadAddon<TreeReaderFunctions>());
  return createMasks({
    home,
    throwAway: (path) => rm(path, { recursive: true, force: true }),
    syncfs: (path) => loadAddon().syncfs(path),
    published: () => Promise.resolve(publish.now === undefined ? 'always the same' : publish.now),
    left: assert.ifError,
    derive: async (tree, mask) => {
      derived.push(tree);
      const found = await deriveMask(reader, nativeTreeWriters(), 'trusted.overlay.', tree, mask);
      publish.walked?.();
      return found;
    },
  });
}

async function lowersOf(masks: Masks, trees: readonly string[]): Promise<string[]> {
  const stacks = trees.map(async (tree) => stacked(tree, await masks.hold('a', R, tree, tree)));
  return (await Promise.all(stacks)).flat();
}

function stacked(tree: string, mask: Mask | null): string[] {
  return mask ? [mask.above, tree, mask.below] : [tree];
}

/** What a container on these layers (uppermost first) sees, sorted. */
async function seen(home: ScratchHome, lowers: readonly string[]): Promise<string[]> {
  const plan = await home.plan(lowers);
  await home.mounter('fsopen').mount(plan);
  const names = (await readdir(plan.target, { recursive: true })).sort();
  return names;
}

const LOWER = [
  'gone',
  'kept',
  'd/gone',
  'd/kept',
  'opaque/old',
  'again/old',
  'file/old',
  'deep/x/y/gone',
  '-x/old',
];
const UPPER = [
  '.wh.gone',
  'd/.wh.gone',
  'd/.wh.never',
  'opaque/.wh..wh..opq',
  'opaque/new',
  '.wh.again',
  'again/new',
  'again/.wh.old',
  '.wh.file',
  'file',
  'deep/x/y/.wh.gone',
  '.wh..wh.plnk/',
  '.wh..wh.plnk/1.2',
  '.wh.',
  '.wh.-x',
  '-x/new',
  '-x/.wh.z',
];
const MERGED = [
  '-x',
  '-x/new',
  'again',
  'again/new',
  'd',
  'd/kept',
  'deep',
  'deep/x',
  'deep/x/y',
  'file',
  'kept',
  'opaque',
  'opaque/new',
];

test(
  'deleted files stay deleted, replaced directories are opaque, and no whiteout is seen',
  { skip: cannotMount },
  async (t) => {
    const { home, masks } = await labOf(t);
    const lower = await fill(join(home.path, 'lower'), LOWER);
    const upper = await fill(join(home.path, 'upper'), UPPER);
    assert.deepEqual(await seen(home, await lowersOf(masks, [upper, lower])), MERGED);
    assert.equal(await readFile(join(home.path, 'top/merged/file'), 'utf8'), 'upper');
  },
);

test(
  'where the client shows whiteouts itself, a container sees the same as with masks',
  { skip: cannotMountFixture },
  async (t) => {
    const made = await MadeRepository.make(t);
    const tree = new SourceTree();
    for (const [layer, names] of [['lower', LOWER] as const, ['upper', UPPER] as const]) {
      for (const name of names) {
        const path = `/layers/${layer}/${name}`;
        if (name.endsWith('/')) tree.directory(path);
        else tree.file(path, layer);
      }
    }
    made.maker.publish(tree);
    const { mountpoint } = await made.mount(t, { arguments: ['-o', 'layers'] });
    const { home } = await labOf(t);
    const layers = ['upper', 'lower'].map((layer) => join(mountpoint, 'layers', layer));
    assert.deepEqual(await seen(home, layers), MERGED);
    await loadAddon().unmount(join(home.path, 'top/merged'));
  },
);

test('a layer above brings back what one below has deleted', { skip: cannotMount }, async (t) => {
  const { home, masks } = await labOf(t);
  const trees = [
    await fill(join(home.path, 'third'), ['d/gone', 'gone']),
    await fill(join(home.path, 'second'), ['.wh.gone', 'd/.wh..wh..opq']),
    await fill(join(home.path, 'first'), ['gone', 'd/gone', 'd/other']),
  ];
  assert.deepEqual(await seen(home, await lowersOf(masks, trees)), ['d', 'd/gone', 'gone']);
  assert.equal(await readFile(join(home.path, 'top/merged/d/gone'), 'utf8'), 'third');
});

test(
  "a masked directory keeps its layer's owner, mode, times and attributes",
  { skip: cannotMount },
  async (t) => {
    const { home, masks } = await labOf(t);
    const upper = await fill(join(home.path, 'upper'), ['d/.wh.gone', 'd/e/.wh.gone']);
    await check('sh', [
      '-c',
      `cd ${upper} && setfattr -n user.colour -v red d && chown 7:8 d && chmod 3751 d && touch -d @1000000000.5 d/e && touch -d @1700000000 d`,
    ]);
    const lower = await fill(join(home.path, 'lower'), ['d/gone', 'd/e/gone']);
    assert.deepEqual(await seen(home, await lowersOf(masks, [upper, lower])), ['d', 'd/e']);
    const merged = join(home.path, 'top/merged/d');
    const { uid, gid, mode, mtimeMs } = await stat(merged);
    assert.deepEqual([uid, gid, mode & 0o7777, mtimeMs], [7, 8, 0o3751, 1_700_000_000_000]);
    assert.equal((await stat(join(merged, 'e'))).mtimeMs, 1_000_000_000_500);
    assert.match(await check('getfattr', ['-n', 'user.colour', merged]), /red/);
  },
);

test(
  'a layer is walked once, by however many and after a restart; none is opened',
  { skip: cannotMount },
  async (t) => {
    const { home, masks, derived } = await labOf(t);
    const marked = await fill(join(home.path, 'marked'), ['.wh.gone']);
    const plain = await fill(join(home.path, 'plain'), ['file']);
    await symlink('nowhere', join(plain, 'link'));
    const answers = await Promise.all([1, 2, 3].map(() => lowersOf(masks, [marked, plain])));
    assert.deepEqual(new Set(derived), new Set([marked, plain]));
    assert.equal(derived.length, 2);
    assert.equal(answers[0]?.length, 4);
    assert.deepEqual(await lowersOf(masksIn(home.path, derived), [marked, plain]), answers[0]);
    assert.equal(derived.length, 2);
  },
);

test('half of a mask is never used', { skip: cannotMount }, async (t) => {
  const { home, kept } = await labOf(t);
  const marked = await fill(join(home.path, 'marked'), ['.wh.gone']);
  const walked = () => {
    throw Object.assign(new Error('read: EIO'), { code: 'EIO' });
  };
  await assert.rejects(masksIn(home.path, [], { walked }).hold('a', R, 'layers/x', marked), {
    message: /derive the whiteouts of \/layers\/x of a\.example\.org failed/,
  });
  const again: string[] = [];
  assert.notEqual(await masksIn(home.path, again).hold('a', R, 'layers/x', marked), null);
  assert.deepEqual(again, [marked]);
  assert.equal((await kept()).length, 1);
});

const PATH = 'plain/layer';
const LAYER = { digest: 'ab'.repeat(32), repository: R, path: PATH };

/** A layer with one whiteout. */
async function publishDeletionOf(name: string, tree: string): Promise<string> {
  await rm(tree, { recursive: true, force: true });
  return fill(tree, [`.wh.${name}`]);
}

test(
  'what is published anew is masked anew; whoever is mounted on what was before keeps its mask',
  { skip: cannotMount },
  async (t) => {
    const publish: Publish = { now: 'one' };
    const { home, masks, kept, derived } = await labOf(t, publish);
    const tree = await publishDeletionOf('x', join(home.path, 'tree'));
    const lower = await fill(join(home.path, 'lower'), ['x', 'y']);
    const first = await masks.hold('first', R, PATH, tree);
    publish.now = 'two';
    await publishDeletionOf('y', tree);
    const second = await masks.hold('second', R, PATH, tree);
    assert.deepEqual(await seen(home, [...stacked(tree, second), lower]), ['x']);
    await access(join(first?.below ?? '', 'x'));
    await masks.release('first');
    assert.equal((await kept()).length, 1);
    await masks.release('second');
    assert.deepEqual(await masks.hold('third', R, PATH, tree), second);
    assert.equal(derived.length, 2);
  },
);

for (const [who, layers] of [
  ['a layer that was found mounted', [LAYER]],
  ['one that is mounted, and of which nothing is known', null],
] as const) {
  test(`${who} keeps all masks that it may stand on`, { skip: cannotMount }, async (t) => {
    const { home, masks: before, kept } = await labOf(t, { now: 'one' });
    const tree = await publishDeletionOf('x', join(home.path, 'tree'));
    await before.hold('found', R, PATH, tree);
    const publish = { now: 'two' };
    const masks = masksIn(home.path, [], publish);
    masks.adopt('found', layers);
    await masks.hold('other', R, PATH, tree);
    assert.equal((await kept()).length, 2);
    await masks.release('found');
    publish.now = 'three';
    await masks.hold('other', R, PATH, tree);
    await masks.release('other');
    await masks.hold('another', R, PATH, tree);
    assert.equal((await kept()).length, 1);
  });
}

test('what a killed daemon left of another content goes at the next start of a container', async (t) => {
  const { home, masks, kept } = await labOf(t);
  const tree = await publishDeletionOf('x', join(home.path, 'tree'));
  await masks.hold('a', R, PATH, tree);
  const [place = ''] = await readdir(join(home.path, 'masks'));
  for (const left of ['.half/above', 'whole/above', 'whole/below'])
    await mkdir(join(home.path, 'masks', place, left), { recursive: true });
  await masksIn(home.path, []).hold('a', R, PATH, tree);
  assert.equal((await kept()).length, 1);
});

test('a layer whose content changes while it is walked is walked again, and given up at last', async (t) => {
  const publish: Publish = { now: 'one' };
  const { home, masks, derived, kept } = await labOf(t, publish);
  const tree = await publishDeletionOf('x', join(home.path, 'tree'));
  publish.walked = () => void (publish.now = `published ${derived.length} times`);
  await assert.rejects(masks.hold('a', R, PATH, tree), { code: 'unavailable' });
  publish.walked = () => undefined;
  await masks.hold('a', R, PATH, tree);
  assert.equal((await kept()).length, 1);
});

test('where nobody can tell what is published, each container has a mask of its own', async (t) => {
  const { home, masks, derived, kept } = await labOf(t, { now: null });
  const tree = await publishDeletionOf('x', join(home.path, 'tree'));
  const [first, second] = [await masks.hold('a', R, PATH, tree), await masks.hold('b', R, PATH, tree)];
  assert.notDeepEqual(first, second);
  assert.deepEqual([derived.length, (await kept()).length], [2, 2]);
  await masks.release('a');
  assert.equal((await kept()).length, 1);
});

test('what no layer needs any more is removed', { skip: cannotMount }, async (t) => {
  const { home, masks, derived } = await labOf(t);
  const marked = await fill(join(home.path, 'marked'), ['.wh.gone']);
  const digest = 'ab'.repeat(32);
  const named = { digest, repository: R, path: null };
  await masks.hold('a', R, `layers/${digest}`, marked);
  await masks.hold('a', R, 'layers/other', marked);
  await masks.release('a');
  await mkdir(join(home.path, 'masks/left/.half/above'), { recursive: true });
  await masks.keep([named]);
  assert.equal((await readdir(join(home.path, 'masks'))).length, 1);
  await masks.hold('a', R, `layers/${digest}`, marked);
  assert.equal(derived.length, 2);
  await masks.keep([]);
  assert.equal((await readdir(join(home.path, 'masks'))).length, 1, 'somebody is mounted on it');
  await masks.release('a');
  await masks.keep([]);
  assert.deepEqual(await readdir(join(home.path, 'masks')), []);
});

test('a published layer is masked without fetching one file', { skip: cannotMountFixture }, async (t) => {
  const fixture = await MountedFixture.make(t, ['thin/rev-1']);
  const { home, masks } = await labOf(t);
  const layers = (await readdir(join(fixture.mountpoint, 'layers'))).filter((name) => name.length === 64);
  for (const layer of layers) await masks.hold('a', R, layer, join(fixture.mountpoint, 'layers', layer));
  assert.ok((await readdir(join(home.path, 'masks'))).length === layers.length);
  const fetched = fixture.misses.filter(({ object }) => !object.endsWith('C'));
  assert.deepEqual(
    fetched.map(({ path }) => path),
    [],
  );
});
