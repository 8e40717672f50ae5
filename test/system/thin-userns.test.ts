/** Thin images under --userns-remap: layers that a publisher's user owns belong to the root of containers. */

import assert from 'node:assert/strict';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

import { configureThin, serveThin, thinDescriptor } from '../cvmfs/thin-repository.js';
import { importTree } from './images.js';
import { Lab } from './lab.js';

for (const [name, descriptor, claims, owner] of [
  ['claimed', 'thin-ducc.json', 'yes', '0'],
  ['as published', 'thin.json', 'no', '1000'],
] as const) {
  test(`a container whose ids are remapped sees the owners of its image: ${name}`, async (t) => {
    const directory = await mkdtemp(join(tmpdir(), 'thinlayer-thin-'));
    t.after(() => rm(directory, { recursive: true, force: true }));
    await chmod(directory, 0o711);
    await configureThin(directory, undefined, { CVMFS_CLAIM_OWNERSHIP: claims });
    await mkdir(join(directory, 'image'));
    await writeFile(join(directory, 'image/thin.json'), await thinDescriptor(descriptor));
    await using lab = await Lab.start({ usernsRemap: true, storageOpts: [`cvmfs.config_dir=${directory}`] });
    await serveThin(lab.jail);
    await importTree(lab, 'thin', join(directory, 'image'));
    const script = '/app/run.sh && echo changed > /app/run.sh && cat /proc/self/uid_map';
    const said = await lab.docker('run', '--name', 'box', 'thin', '/bin/sh', '-c', script);
    assert.match(said, /hello from layer two[^]*\n +0 +100000 +65536$/);
    const user = ['run', '--rm', '--user', owner, 'thin', '/bin/sh', '-c'];
    assert.equal(await lab.docker(...user, '[ -O /app/run.sh ] && echo mine'), 'mine');
    await lab.docker('rm', 'box');
  });
}
