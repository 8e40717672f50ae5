/**
 * Thin images by CERN's client, over a signed repository: by a stand-in for its binary, and by the binary itself where it is
 * installed. Whiteouts are plain files in its mount.
 */

import assert from 'node:assert/strict';
import { chmod, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';

import { talk } from '../../src/cvmfs/talk-socket.js';
import { newKeys } from '../cvmfs/maker/keys.js';
import { RepositoryMaker } from '../cvmfs/maker/repository-maker.js';
import { SourceTree } from '../cvmfs/maker/source-tree.js';
import { configureThin, FQRN, serveThin, thinDescriptor } from '../cvmfs/thin-repository.js';
import { FIXTURES } from '../pure/cvmfs/fixtures.js';
import type { Jail } from '../system/jail.js';
import { PROJECT_ROOT } from '../system/project.js';
import { archiveOf } from './archives.js';
import { cannotRun, cannotRunCerns, Daemon } from './daemon.js';

/** First in PATH, in the jail alone. */
const PROGRAMS = '/usr/local/sbin';

async function installStandIn(jail: Jail): Promise<void> {
  await jail.run(['mount', '-t', 'tmpfs', 'programs', PROGRAMS]);
  const program = `/proc/${jail.init}/root${PROGRAMS}/cvmfs2`;
  const script = join(PROJECT_ROOT, 'dist/test/cvmfs/stand-in-cvmfs2.js');
  await writeFile(program, `#!/bin/sh\nexec '${process.execPath}' '${script}' "$@"\n`);
  await chmod(program, 0o755);
}

/** Paths of the image's merged root file system. */
async function expectedPaths(): Promise<string[]> {
  const listing = await readFile(join(FIXTURES, 'thin/image-rev1/expected-rootfs.jsonl'), 'utf8');
  const lines = listing.trim().split('\n');
  return lines.map((line) => (JSON.parse(line) as { path: string }).path.slice(1)).sort();
}

async function pathsIn(merged: string): Promise<string[]> {
  const names = await readdir(merged, { recursive: true });
  return names.filter((name) => !name.endsWith('.cvmfscatalog')).sort();
}

interface Variant {
  readonly skip: typeof cannotRunCerns;
  readonly install?: (jail: Jail) => Promise<void>;
  readonly user?: string;
}

const VARIANTS: Readonly<Record<string, Variant>> = {
  'a stand-in': { skip: cannotRun, install: installStandIn },
  "CERN's cvmfs2": { skip: cannotRunCerns, user: 'root' },
  "CERN's cvmfs2 as another user": { skip: cannotRunCerns, user: 'nobody' },
};

for (const [name, { skip, install, user }] of Object.entries(VARIANTS)) {
  test(
    `the whole image is seen by ${name}, also after a kill; masks go with the image`,
    { skip },
    async () => {
      let config = '';
      await using daemon = await Daemon.start({
        before: async (home, jail) => {
          config = join(home, '../cvmfs-config');
          await configureThin(config, undefined, user === undefined ? {} : { CVMFS_USER: user });
          await install?.(jail);
          await serveThin(jail);
        },
        init: false,
      });
      await seesAll(daemon, config);
      if (user !== undefined) assert.deepEqual(await usersOf(daemon, 'cvmfs2'), [user]);
    },
  );
}

/** Those as whom processes of that name run. */
async function usersOf(daemon: Daemon, name: string): Promise<string[]> {
  const lines = (await daemon.jail.run(['ps', '-o', 'user=', '-C', name])).trim().split('\n');
  return [...new Set(lines.map((line) => line.trim()))];
}

async function seesAll(daemon: Daemon, config: string): Promise<void> {
  const { home } = daemon;
  await daemon.client.init(home, ['cvmfsMountMethod=internal', `cvmfs.config_dir=${config}`]);
  await daemon.client.create('image');
  const descriptor = await archiveOf([{ name: 'thin.json', contents: await thinDescriptor() }]);
  await daemon.client.applyDiff('image', '', descriptor);
  await daemon.client.createReadWrite('container', 'image');
  const merged = daemon.inside(await daemon.client.get('container'));
  assert.deepEqual(await pathsIn(merged), await expectedPaths());
  assert.deepEqual(await daemon.client.changes('container', 'image'), []);

  await daemon.kill9();
  assert.match(await readFile(join(merged, 'app/run.sh'), 'utf8'), /^#!/);
  await daemon.launch();
  await daemon.client.createReadWrite('other', 'image');
  const other = daemon.inside(await daemon.client.get('other'));
  assert.deepEqual(await pathsIn(other), await expectedPaths());
  const mounts = (await daemon.jail.mounts()).filter((point) => point === `${home}/cvmfs/${FQRN}`);
  assert.equal(mounts.length, 1);

  assert.ok((await readdir(daemon.inside(`${home}/masks`))).length > 0);
  for (const id of ['container', 'other', 'image']) {
    await daemon.client.put(id);
    await daemon.client.remove(id);
  }
  assert.deepEqual(await readdir(daemon.inside(`${home}/masks`)), []);
}

/** How many masks each layer in CVMFS has. */
async function masksIn(daemon: Daemon): Promise<number[]> {
  const directory = daemon.inside(`${daemon.home}/masks`);
  const places = await readdir(directory);
  const versions = places.map(async (place) => (await readdir(join(directory, place))).length);
  return (await Promise.all(versions)).sort();
}

/** Three layers, of which the second deletes this file of the first. */
function layersDeleting(name: string): SourceTree {
  const tree = new SourceTree().file('/plain/a/d/x', 'x').file('/plain/a/d/y', 'y');
  tree.file(`/plain/b/d/.wh.${name}`, '').file('/plain/c/.wh.never', '');
  return tree.nest('/plain/a').nest('/plain/b').nest('/plain/c');
}

function descriptorOf(...paths: string[]): string {
  const layers = paths.map((path) => ({ digest: 'ab'.repeat(32), url: `cvmfs://${FQRN}/${path}` }));
  return JSON.stringify({ version: '1.0', layers });
}

test(
  'a layer that is published anew is masked anew, and none that stayed; who is mounted keeps its masks, also over a kill',
  { skip: cannotRun },
  async () => {
    let [config, maker]: [string, RepositoryMaker | null] = ['', null];
    await using daemon = await Daemon.start({
      before: async (home, jail) => {
        [config, maker] = [join(home, '../cvmfs-config'), madeIn(join(home, '../repository'))];
        await mkdir(config);
        await writeFile(join(config, 'key.pub'), maker.options.keys.masterPublicPem);
        await configureThin(config, undefined, { CVMFS_PUBLIC_KEY: join(config, 'key.pub') });
        await installStandIn(jail);
        await serveThin(jail, maker.directory);
      },
      init: false,
    });
    const { client, home } = daemon;
    await client.init(home, ['cvmfs.mount=cvmfs2', `cvmfs.config_dir=${config}`]);
    await client.create('image');
    const contents = descriptorOf('plain/a', 'plain/b', 'plain/c');
    await client.applyDiff('image', '', await archiveOf([{ name: 'thin.json', contents }]));
    const shown = async (container: string) => {
      await daemon.client.createReadWrite(container, 'image');
      return readdir(join(daemon.inside(await daemon.client.get(container)), 'd'));
    };
    assert.deepEqual(await shown('before'), ['y']);
    assert.deepEqual(await masksIn(daemon), [1, 1, 1]);

    (maker as RepositoryMaker | null)?.publish(layersDeleting('y'));
    await talk(join(config, `cache/${FQRN}/cvmfs_io.${FQRN}`), 'remount sync');
    assert.deepEqual(await shown('after'), ['x']);
    assert.deepEqual(await masksIn(daemon), [1, 1, 2]);

    await daemon.kill9();
    await daemon.launch();
    assert.deepEqual(await shown('again'), ['x']);
    assert.deepEqual(await masksIn(daemon), [1, 1, 2]);
    await daemon.client.put('before');
    await daemon.client.put('after');
    assert.deepEqual(await masksIn(daemon), [1, 1, 1]);
    assert.deepEqual(await shown('last'), ['x']);
  },
);

function madeIn(directory: string): RepositoryMaker {
  const maker = new RepositoryMaker(directory, FQRN, { keys: newKeys(FQRN) });
  maker.publish(layersDeleting('x'));
  return maker;
}
