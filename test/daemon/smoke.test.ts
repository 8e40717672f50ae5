/** The way of one layer through thinlayerd, and that the daemon of these tests shows what the others rely on. */

import assert from 'node:assert/strict';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { listTree } from '../system/tree-listing.js';
import { manyFiles } from './archives.js';
import { daemonTest } from './daemon.js';
import { assertReadable, makeContainer, removeContainer } from './layers.js';

daemonTest(
  'a layer is made, filled, mounted, written to, read back, removed, and nothing is left',
  async (daemon) => {
    const { client } = daemon;
    await client.create('base');
    assert.ok((await client.applyDiff('base', '', await manyFiles('base', 30))) > 0);
    await client.createReadWrite('container', 'base');

    const merged = await client.get('container');
    assert.equal(merged, join(daemon.home, 'container/merged'));
    assert.deepEqual(await daemon.mounts(), [merged]);
    assert.equal(await readFile(join(daemon.inside(merged), 'mark'), 'utf8'), 'base');
    await writeFile(join(daemon.inside(merged), 'new'), 'written');
    assert.deepEqual(await client.changes('container', 'base'), [{ Path: '/new', Kind: 1 }]);
    assert.equal(await client.diffSize('container', 'base'), 7);

    await client.create('copy', 'base');
    await client.applyDiff('copy', 'base', await client.diff('container', 'base'));
    const trees = ['container', 'copy'].map((id) => listTree(join(daemon.home, id, 'diff')));
    const [written, copied] = await Promise.all(trees);
    assert.deepEqual(copied?.slice(1), written?.slice(1));

    await client.put('container');
    assert.deepEqual(await daemon.mounts(), []);
    for (const id of ['copy', 'container', 'base']) await client.remove(id);
    await daemon.trashEmptied();
    assert.deepEqual(await daemon.leftovers(), []);
    assert.deepEqual(await daemon.layers(), []);
  },
);

daemonTest('a killed daemon comes back on the home of before, its mounts never gone', async (daemon) => {
  await daemon.client.create('base');
  await daemon.client.applyDiff('base', '', await manyFiles('base', 3));
  await daemon.client.createReadWrite('container', 'base');
  const merged = await daemon.client.get('container');
  await daemon.kill9();
  assert.deepEqual(await daemon.mounts(), [merged]);
  await daemon.launch();
  assert.equal(await daemon.client.exists('container'), true);
  assert.deepEqual(await daemon.mounts(), [merged]);
});

daemonTest('a file that somebody left where the mount goes is in nobody’s way', async (daemon) => {
  const { client } = daemon;
  await makeContainer(daemon, 'container');
  const merged = join(daemon.home, 'container/merged');
  await mkdir(merged);
  await writeFile(join(merged, 'stray'), '');
  for (let round = 0; round < 2; ++round) {
    assert.equal(await client.get('container'), merged);
    await assertReadable(daemon, merged);
    await client.put('container');
    assert.deepEqual(await daemon.mounts(), []);
  }
  await client.get('container');
  await removeContainer(daemon, 'container');
  await daemon.trashEmptied();
  assert.deepEqual(await daemon.leftovers(), []);
});
