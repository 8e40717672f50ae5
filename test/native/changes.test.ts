/** Comparison of layers without a mount, against the comparison of the merged trees that the kernel shows. */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { test } from 'node:test';
import type { TestContext } from 'node:test';

import { changes, changesBetween, size, sizeBetween } from '../../src/archive/changes.js';
import { ThinlayerError } from '../../src/core/errors.js';
import { loadAddon } from '../../src/host/addon.js';
import { createTreeReader } from '../../src/host/tree-reader.js';
import type { TreeReaderFunctions } from '../../src/host/tree-reader.js';
import { naiveChanges } from './naive-comparison.js';
import { changeContainer, fillLayer, randomNumbers } from './random-layers.js';
import type { Devices, Random } from './random-layers.js';
import { needsRoot, scratchDirectory, shell } from './scratch-tree.js';

const reader = createTreeReader(loadAddon<TreeReaderFunctions>());

/** A tmpfs for layers: the temporary directory's own file system need not be fit for an overlay. */
interface Scratch {
  readonly path: string;
  readonly devices: Devices;
}

interface Layers {
  readonly diff: string;
  readonly lowers: readonly string[];
  /** The merged trees of the layer and of its parent. */
  readonly merged: string;
  readonly parent: string;
}

function overlayScratch(t: TestContext): Scratch {
  const path = scratchDirectory(t);
  shell(
    path,
    `mount -t tmpfs none .; cd "$PWD"; mkdir base
     mknod whiteout c 0 0; mknod null c 1 3; mknod tty c 5 99; touch -d @1000 null tty`,
  );
  return {
    path,
    devices: { whiteout: join(path, 'whiteout'), others: [join(path, 'null'), join(path, 'tty')] },
  };
}

function stack(scratch: Scratch, name: string, fills: readonly ((directory: string) => void)[]): Layers {
  const make = (...names: readonly string[]) => {
    const path = join(scratch.path, name, ...names);
    mkdirSync(path);
    return path;
  };
  make();
  make('work');
  const lowers = fills.map((_, i) => make(`lower${i}`));
  fills.forEach((fill, i) => fill(lowers[i] ?? ''));
  const layers = { diff: make('diff'), lowers, merged: make('merged'), parent: make('parent') };
  // An overlay needs two lower layers, and in one alone whiteouts would be plain devices.
  const lowerDirs = [...lowers, join(scratch.path, 'base')].join(':');
  shell(scratch.path, `mount -t overlay none -o ro,lowerdir=${lowerDirs} ${layers.parent}`);
  return layers;
}

function mountMerged({ diff, lowers, merged }: Layers, writable: boolean): void {
  const base = join(diff, '../../base');
  const options = writable
    ? `index=off,redirect_dir=off,metacopy=off,lowerdir=${[...lowers, base].join(':')},upperdir=${diff},workdir=${join(diff, '../work')}`
    : `ro,lowerdir=${[diff, ...lowers, base].join(':')}`;
  shell(join(diff, '..'), `mount -t overlay none -o ${options} ${merged}`);
}

async function assertSameAsNaive({ diff, lowers, merged, parent }: Layers): Promise<void> {
  const expected = naiveChanges(merged, parent);
  assert.deepEqual(await changes(reader, diff, lowers), expected.changes);
  assert.deepEqual(await changesBetween(reader, merged, parent), expected.changes);
  assert.equal(await sizeBetween(reader, merged, parent), expected.size);
}

const CASES = 125;

/** Random layers, and on top of them what `fill` makes of the fresh one; compared, and taken down again. */
async function randomCases(
  t: TestContext,
  firstSeed: number,
  fill: (random: Random, layers: Layers, devices: Devices) => void,
): Promise<void> {
  const scratch = overlayScratch(t);
  for (let seed = firstSeed; seed < firstSeed + CASES; seed++) {
    const random = randomNumbers(seed);
    const fills = Array.from({ length: 1 + random(3) }, () => (path: string) => {
      fillLayer(random, path, scratch.devices);
    });
    const layers = stack(scratch, `${seed}`, fills);
    fill(random, layers, scratch.devices);
    await t.test(`seed ${seed}`, () => assertSameAsNaive(layers));
    shell(scratch.path, `umount ${layers.merged} ${layers.parent}`);
  }
}

test('random layers, as archives bring them', needsRoot, (t) =>
  randomCases(t, 1, (random, layers, devices) => {
    fillLayer(random, layers.diff, devices);
    mountMerged(layers, false);
  }),
);

test('random containers, as programs leave them', needsRoot, (t) =>
  randomCases(t, 1001, (random, layers) => {
    mountMerged(layers, true);
    changeContainer(random, layers.merged);
  }),
);

async function changesOf(
  t: TestContext,
  lower: string,
  container: string,
): Promise<(readonly [string, string])[]> {
  const layers = stack(overlayScratch(t), 'stack', [(path) => shell(path, lower)]);
  mountMerged(layers, true);
  shell(layers.merged, container);
  await assertSameAsNaive(layers);
  const found = await changes(reader, layers.diff, layers.lowers);
  return found.map(({ path, kind }) => [path, kind] as const);
}

test('an opaque directory with the same file again', needsRoot, async (t) => {
  const lower = 'mkdir -p d/sub; touch -d @1000 d/same d/gone d/sub/f';
  const container = 'rm -r d; mkdir d; touch -d @1000 d/same';
  assert.deepEqual(await changesOf(t, lower, container), [
    ['/d', 'modified'],
    ['/d/gone', 'deleted'],
    ['/d/sub', 'deleted'],
  ]);
});

test('a directory below an opaque one hides the older one too', needsRoot, async (t) => {
  const lower = 'mkdir -p d/sub; touch -d @1000 d/sub/f d/sub/g';
  const container = 'rm -r d; mkdir -p d/sub; touch -d @1000 d/sub/f';
  assert.deepEqual(await changesOf(t, lower, container), [
    ['/d', 'modified'],
    ['/d/sub', 'modified'],
    ['/d/sub/g', 'deleted'],
  ]);
});

test('files and directories that replace one another', needsRoot, async (t) => {
  const lower = 'mkdir -p d/sub; touch d/sub/f f';
  assert.deepEqual(await changesOf(t, lower, 'rm -r d f; touch d; mkdir f; touch f/new'), [
    ['/d', 'modified'],
    ['/f', 'modified'],
    ['/f/new', 'added'],
  ]);
});

test('metadata alone', needsRoot, async (t) => {
  const lower = 'mkdir -p d e; touch cap d/owner mode same; chmod 600 mode';
  const container = 'setcap cap_kill+ep cap; chown 7 d/owner; chmod 644 mode; chmod 644 same; chmod 700 e';
  assert.deepEqual(await changesOf(t, lower, container), [
    ['/cap', 'modified'],
    ['/d', 'modified'],
    ['/d/owner', 'modified'],
    ['/e', 'modified'],
    ['/mode', 'modified'],
  ]);
});

test('names that are no text', needsRoot, async (t) => {
  const name = `"$(printf 'x\\377\\nz')"`;
  assert.deepEqual(await reader.compareLayer(scratchDirectory(t), []), { changes: [], size: 0 });
  const directory = scratchDirectory(t);
  shell(directory, `printf text > ${name}`);
  assert.deepEqual(await changes(reader, directory, []), [{ path: '/x\xff\nz', kind: 'added' }]);
});

test('against nothing, everything is added', needsRoot, async (t) => {
  const tree = scratchDirectory(t);
  shell(tree, 'mkdir -p d/e; printf text > d/e/f; ln d/e/f g; ln -s target h');
  const paths = ['/d', '/d/e', '/d/e/f', '/g', '/h'];
  const expected = paths.map((path) => ({ path, kind: 'added' }));
  assert.deepEqual(await changesBetween(reader, tree, null), expected);
  assert.equal(await sizeBetween(reader, tree, null), 10);
});

test('size counts files once, targets of symlinks, and nothing else', needsRoot, async (t) => {
  const tree = scratchDirectory(t);
  shell(
    tree,
    'mkdir -p d/e; printf text > d/e/f; ln d/e/f g; ln -s target h; mknod gone c 0 0; mkfifo p; truncate -s 5G big',
  );
  assert.equal(await size(reader, tree), 4 + 6 + 5 * 1024 ** 3);
});

test('a caller that cancels, a directory that is missing', needsRoot, async (t) => {
  const tree = scratchDirectory(t);
  shell(tree, 'seq 20000 | xargs touch');
  const signal = AbortSignal.abort();
  const hasCode = (code: string) => (error: unknown) =>
    error instanceof ThinlayerError && error.code === code;
  await assert.rejects(size(reader, tree, { signal }), hasCode('aborted'));
  const abort = new AbortController();
  const running = changes(reader, tree, [], { signal: abort.signal });
  abort.abort();
  await assert.rejects(running, hasCode('aborted'));
  await assert.rejects(size(reader, join(tree, 'missing')), hasCode('not_found'));
  await assert.rejects(changes(reader, tree, [join(tree, 'missing')]), hasCode('not_found'));
});

/** Mounts what nobody serves, so that the first look into it hangs, until the answered function is called. */
async function hangingMount(directory: string): Promise<() => void> {
  const options = 'fd=3,rootmode=40000,user_id=0,group_id=0';
  const script = `exec 3<>/dev/fuse; mount -i -t fuse hanging "$0" -o ${options} && echo mounted && exec sleep 60`;
  const server = spawn('/bin/sh', ['-c', script, directory]);
  await once(server.stdout, 'data');
  return () => server.kill('SIGKILL');
}

// Four of them took all the threads there are for trees: no archive was unpacked or made any more, of whatever layer.
test(
  'comparisons with layers in a network file system that hangs hold up no work on other trees',
  needsRoot,
  async (t) => {
    const { path } = overlayScratch(t);
    const [hanging, own] = [join(path, 'hanging'), join(path, 'own')];
    for (const directory of [hanging, own]) mkdirSync(directory);
    writeFileSync(join(own, 'file'), 'abc');
    const end = await hangingMount(hanging);
    const work = { remote: true };
    const hung = Array.from({ length: 8 }, () => reader.compareLayer(own, [hanging], work));
    const outcomes = Promise.allSettled(hung);
    const tooLate = delay(10_000, 'only when nothing hangs any more', { ref: false });
    const answer = await Promise.race([size(reader, own), tooLate]);
    end();
    assert.equal(answer, 3);
    for (const { status } of await outcomes) assert.equal(status, 'rejected');
  },
);
