/** Docker runs, commits and builds on a thin image, whose layers stay in a CVMFS repository. */

import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

import { FIXTURES } from '../pure/cvmfs/fixtures.js';
import { importTree } from './images.js';
import { Lab } from './lab.js';
import { PROJECT_ROOT } from './project.js';

const FQRN = 'thin.example.org';
/** In the network of the lab. */
const PORT = 8000;

/** Configuration, cache and images of the test, outside of the lab: dockerd has to be told of them when it starts. */
async function prepare(directory: string): Promise<void> {
  const key = join(directory, `${FQRN}.pub`);
  await mkdir(join(directory, 'config.d'));
  await writeFile(key, await readFile(join(FIXTURES, 'keys', `${FQRN}.pub`)));
  const settings = {
    CVMFS_SERVER_URL: `http://127.0.0.1:${PORT}`,
    CVMFS_HTTP_PROXY: 'DIRECT',
    CVMFS_PUBLIC_KEY: key,
    CVMFS_CACHE_BASE: join(directory, 'cache'),
  };
  const lines = Object.entries(settings).map(([name, value]) => `${name}=${value}\n`);
  await writeFile(join(directory, `config.d/${FQRN}.conf`), lines.join(''));
  await mkdir(join(directory, 'image'));
  await writeFile(
    join(directory, 'image/thin.json'),
    await readFile(join(FIXTURES, 'thin/image-rev1/thin.json')),
  );
}

test('thin images', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'thinlayer-thin-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  await prepare(directory);
  await using lab = await Lab.start({ storageOpts: [`cvmfs.config_dir=${directory}`] });
  const server = [process.execPath, join(PROJECT_ROOT, 'dist/test/cvmfs/serve.js'), String(PORT)];
  const log = lab.path('server.log');
  await lab.jail.start({
    name: 'server',
    command: [...server, join(PROJECT_ROOT, FIXTURES, 'thin/rev-1')],
    log,
  });
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
