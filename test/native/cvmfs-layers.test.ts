/** Container layers out of a repository: overlayfs over them shows the image, deleted files stay deleted. */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { createMounter } from '../../src/host/mounter.js';
import { loadAddon } from '../../src/host/addon.js';
import { isUserNamespace } from '../../src/host/probe.js';
import { MadeRepository } from '../cvmfs/made-repository.js';
import { SourceTree } from '../cvmfs/maker/source-tree.js';
import type { MountedClient } from '../cvmfs/mounted-client.js';
import {
  FIXTURES,
  MountedFixture,
  cannotMount,
  keyOf,
  parseListing,
  readListing,
  run,
  LIST_TREE,
} from './cvmfs-fixture.js';
import type { Listed } from './cvmfs-fixture.js';

const skip = cannotMount;

const IN_USER_NAMESPACE = isUserNamespace(readFileSync('/proc/self/uid_map', 'utf8'));
/** There, all that is not of an id that it knows is of nobody. */
const OWNERS = IN_USER_NAMESPACE ? { owner: { uid: 0, gid: 0 } } : {};
const IMAGES = 'is the image';

interface ThinDescriptor {
  readonly layers: readonly { readonly url: string }[];
}

/** Paths of the layers in the repository, uppermost first. */
function layersOf(image: string, descriptor: string): string[] {
  const text = readFileSync(join(FIXTURES, 'thin', image, descriptor), 'utf8');
  const { layers } = JSON.parse(text) as ThinDescriptor;
  return layers.map(({ url }) => new URL(url.replace('cvmfs:', 'http:')).pathname).reverse();
}

async function overlay(fixture: MountedFixture, layers: string[], upper: boolean): Promise<string> {
  const directory = (name: string): string => join(fixture.base, name);
  await Promise.all(['merged', 'upper', 'work'].map((name) => mkdir(directory(name), { recursive: true })));
  const mounter = createMounter(loadAddon(), {
    ...{
      api: 'fsopen',
      parameters: new Set(['index', 'redirect_dir', 'metacopy']),
      userNamespace: IN_USER_NAMESPACE,
    },
    ...{ home: fixture.base, uid: 0, gid: 0 },
  });
  await mounter.mount({
    type: 'overlay',
    target: directory('merged'),
    lowers: layers.map((layer) => fixture.mountpoint + layer),
    writable: upper ? { upper: directory('upper'), work: directory('work') } : null,
    options: [],
    context: null,
    remote: true,
  });
  return directory('merged');
}

const FIELDS = ['type', 'mode', 'size', 'sha256', 'target', 'rdev', 'mtime'] as const;

/** Of the fields that `expected-rootfs.jsonl` knows. Directories that no tar names have the time of their publishing. */
function assertRootfs(shown: readonly Listed[], image: string, fields: readonly string[] = FIELDS): void {
  const expected = readListing('thin', image, 'expected-rootfs.jsonl');
  assert.deepEqual(shown.map(keyOf).sort(), expected.map(keyOf).sort());
  const byPath = new Map(shown.map((entry) => [keyOf(entry), entry]));
  for (const want of expected) {
    const known = fields.filter((field) => want[field] !== undefined && want[field] !== null);
    const pick = (entry: Listed | undefined): unknown[] => known.map((field) => entry?.[field]);
    assert.deepEqual(pick(byPath.get(keyOf(want))), pick(want), keyOf(want));
  }
}

for (const [image, folders] of [
  ['image-rev1', ['thin/rev-1']],
  ['image-rev2', ['thin/rev-2-delta', 'thin/rev-1']],
] as const) {
  for (const descriptor of ['thin.json', 'thin-ducc.json']) {
    for (const upper of [true, false]) {
      test(
        `an overlay of ${image} by ${descriptor}, ${upper ? 'with' : 'without'} an upper, ${IMAGES}`,
        { skip },
        async (t) => {
          const fixture = await MountedFixture.make(t, folders, { layers: true, ...OWNERS });
          const merged = await overlay(fixture, layersOf(image, descriptor), upper);
          const shown = parseListing(await run('python3', LIST_TREE, merged));
          // DUCC publishes all files as its own user's; the others keep their owners.
          const owned = descriptor === 'thin.json' && !IN_USER_NAMESPACE;
          assertRootfs(shown, image, owned ? [...FIELDS, 'uid', 'gid'] : FIELDS);
        },
      );
    }
  }
}

const cannotUnshare =
  spawnSync('unshare', ['--user', 'true']).status === 0 ? false : 'NO USER NAME SPACE CAN BE MADE HERE';

test(
  'in a user name space, where overlayfs has other marks, it is too',
  { skip: skip || cannotUnshare },
  async () => {
    const test = ['--test', `--test-name-pattern=${IMAGES}`, fileURLToPath(import.meta.url)];
    // Else it would tell its results to the runner of this one, as part of it.
    const apart = ['NODE_TEST_CONTEXT', 'unshare', '--user', '--map-root-user', '--mount'];
    assert.match(await run('env', '-u', ...apart, process.execPath, ...test), /^# pass 8$/m);
  },
);

test('without the option whiteouts are files, and nothing is hidden', { skip }, async (t) => {
  const fixture = await MountedFixture.make(t, ['thin/rev-1']);
  const names = (await fixture.list('/layers')).map(keyOf);
  assert.ok(names.some((name) => name.includes('/.wh.')));
  assert.ok(names.some((name) => name.endsWith('/.cvmfscatalog')));
});

test(
  'marks are neither listed nor found below layers, and stay what they are elsewhere',
  { skip },
  async (t) => {
    const fixture = await MountedFixture.make(t, ['thin/rev-1'], { layers: true });
    const listing = readListing('thin/rev-1.jsonl');
    const made = new Set(listing.map(keyOf)); // again, in the layer that deletes it
    const marks = listing.filter(({ path }) => /^\/\.?layers\/.*\/\.wh\./.test(path ?? ''));
    assert.ok(marks.length > 5);
    const shown = new Map((await fixture.list('/layers')).map((entry) => [`/layers${keyOf(entry)}`, entry]));
    for (const { path = '' } of marks.filter((mark) => keyOf(mark).startsWith('/layers/'))) {
      assert.equal(shown.has(path), false, path);
      await assert.rejects(fixture.sh(`stat '.${path}'`), /No such file/);
      if (path.endsWith('/.wh..wh..opq')) {
        const directory = shown.get(path.slice(0, -'/.wh..wh..opq'.length));
        assert.equal(directory?.xattrs?.['trusted.overlay.opaque'], 'eQ==', path);
        continue;
      }
      const name = path.replace('/.wh.', '/');
      if (made.has(name)) continue;
      const whiteout = shown.get(name);
      assert.deepEqual(
        [whiteout?.type, whiteout?.['rdev'], whiteout?.['mode']],
        ['chr', [0, 0], '0000'],
        path,
      );
    }
    assert.equal((await fixture.sh('ls -A nested-empty')).trim(), '.cvmfscatalog');
  },
);

const OPAQUE = 'trusted.overlay.opaque';

/** Whether it is told of this directory that it is opaque, and listed. */
async function opaqueness({ mountpoint }: MountedClient, path: string): Promise<[string | null, boolean]> {
  const names = await run('getfattr', '--absolute-names', '-m', '-', join(mountpoint, path));
  return [await loadAddon().getXattr(join(mountpoint, path), OPAQUE), names.includes(OPAQUE)];
}

test('a directory that its layer deleted and made anew is opaque, in every catalog', { skip }, async (t) => {
  const made = await MadeRepository.make(t);
  const [full, long] = ['n'.repeat(255), 'd'.repeat(252)];
  const files = ['.wh.again', 'again/.wh.inner', 'again/inner/f', 'kept/.wh.f', 'kept/f', full, `${long}/f`];
  const tree = new SourceTree();
  for (const file of files) tree.file(`/layers/a/${file}`, '').file(`/else/${file}`, '');
  made.maker.publish(tree.nest('/layers/a').nest('/layers/a/again'));
  const client = await made.mount(t, { arguments: ['-o', 'layers'] });
  for (const path of ['again', 'again/inner'])
    assert.deepEqual(await opaqueness(client, `layers/a/${path}`), ['y', true], path);
  for (const path of ['', 'kept', 'kept/f', full, long, '../../else/again'])
    assert.deepEqual(await opaqueness(client, `layers/a/${path}`), [null, false], path);
});

test(
  'a whiteout in a directory that hides all below is not shown, until it hides that no more',
  { skip },
  async (t) => {
    const made = await MadeRepository.make(t);
    const tree = new SourceTree().file('/layers/a/.wh.d', '').file('/layers/a/d/e/.wh.gone', '');
    made.maker.publish(tree.nest('/layers/a/d/e'));
    const settings = { CVMFS_KCACHE_TIMEOUT: '60' };
    const client = await made.mount(t, { arguments: ['-o', 'layers'], settings });
    const shown = () => client.sh('ls layers/a/d/e; stat -c %F layers/a/d/e/gone 2>/dev/null || true');
    assert.equal(await shown(), '');
    made.maker.publish(tree.remove('/layers/a/.wh.d'));
    await client.ask('POST', '/refresh');
    assert.equal(await shown(), 'gone\ncharacter special file\n');
  },
);
