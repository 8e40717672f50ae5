/** Thin images by CERN's client: a stand-in for its binary, over a signed repository. Whiteouts are plain files in its mount. */

import assert from 'node:assert/strict';
import { chmod, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';

import { configureThin, FQRN, serveThin, thinDescriptor } from '../cvmfs/thin-repository.js';
import { FIXTURES } from '../pure/cvmfs/fixtures.js';
import type { Jail } from '../system/jail.js';
import { PROJECT_ROOT } from '../system/project.js';
import { archiveOf } from './archives.js';
import { cannotRun, Daemon } from './daemon.js';

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

test(
  'the whole image is seen, whiteouts and all, also after a kill; masks go with the image',
  { skip: cannotRun },
  async () => {
    let config = '';
    await using daemon = await Daemon.start({
      before: async (home, jail) => {
        config = join(home, '../cvmfs-config');
        await configureThin(config);
        await installStandIn(jail);
        await serveThin(jail);
      },
      init: false,
    });
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
  },
);
