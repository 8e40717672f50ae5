/** Docker runs, commits and builds on a thin image, whose layers stay in a CVMFS repository. */

import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

import { configureThin, serveThin, thinDescriptor } from '../cvmfs/thin-repository.js';
import { importTree } from './images.js';
import { Lab } from './lab.js';

test('thin images', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'thinlayer-thin-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  await configureThin(directory);
  await mkdir(join(directory, 'image'));
  await writeFile(join(directory, 'image/thin.json'), await thinDescriptor());
  await using lab = await Lab.start({ storageOpts: [`cvmfs.config_dir=${directory}`] });
  await serveThin(lab.jail);
  await importTree(lab, 'thin', join(directory, 'image'));

  await t.test('a program of a lower layer runs', async () => {
    const said = await lab.docker('run', '--rm', 'thin', '/app/run.sh');
    assert.match(said, /hello from layer two/);
  });
  await t.test('what is committed on it lies above the thin layers', async () => {
    await lab.docker('run', '--name', 'changed', 'thin', '/bin/sh', '-c', 'echo mine > /app/mine');
    await lab.docker('commit', 'changed', 'committed');
    assert.equal(await lab.docker('run', '--rm', 'committed', '/bin/sh', '-c', 'cat /app/mine'), 'mine');
    await lab.docker('rm', 'changed');
  });
  await t.test('an image is built on it', async () => {
    const context = lab.path('context');
    await mkdir(context);
    await writeFile(
      join(context, 'Dockerfile'),
      'FROM thin\nRUN ["/bin/sh", "-c", "echo built > /app/built"]\n',
    );
    await lab.docker('build', '-q', '--network=none', '-t', 'built', context);
    assert.match(
      await lab.docker('run', '--rm', 'built', '/bin/sh', '-c', 'cat /app/built; /app/run.sh'),
      /built[^]*hello/,
    );
  });
});
