import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { importBusybox, importTree } from './images.js';
import { layerListings } from './layers.js';
import { Lab } from './lab.js';
import { labTest } from './lab-test.js';
import { pruneAll } from './nothing-left.js';
import { check } from './process.js';
import { CACHE } from './project.js';
import { startRegistry } from './registry.js';
import { listTree } from './tree-listing.js';

labTest('images travel whole', {}, async (lab, step) => {
  // Docker's own driver, to say what the layers should look like.
  await using other = await Lab.start({ driver: 'overlay2' });
  const tree = lab.path('debian-tree');

  await step('a Debian image is, file by file, the tree it was made of', async () => {
    await mkdir(tree);
    await check('tar', ['--xattrs', '--xattrs-include=*', '-C', tree, '-xf', join(CACHE, 'debian-tree.tar')]);
    await importTree(lab, 'debian', tree);
    assert.deepEqual(await layerListings(lab, 'debian'), [await listTree(tree)]);
  });
  await step('its programs run', () => checkDebianRuns(lab));
  await step('save | load into another daemon', async () => {
    await importBusybox(lab);
    await lab.dockerWith({ input: CHANGES }, 'build', '-t', 'changed', '-');
    await moveImages(lab, other, 'debian', 'changed');
    await checkSameLayers(lab, other);
  });
  await step('… and back', async () => {
    const before = await Promise.all(['debian', 'changed'].map((image) => layerListings(lab, image)));
    await pruneAll(lab);
    await moveImages(other, lab, 'debian', 'changed');
    assert.deepEqual(
      await Promise.all(['debian', 'changed'].map((image) => layerListings(lab, image))),
      before,
    );
  });
  await step('push to a registry, and pull', async () => {
    const before = await layerListings(lab, 'changed');
    const name = `${await startRegistry(lab.jail)}/changed`;
    await lab.docker('tag', 'changed', name);
    await lab.docker('push', '-q', name);
    await lab.docker('system', 'prune', '-af');
    await lab.docker('pull', '-q', name);
    assert.deepEqual(await layerListings(lab, name), before);
    assert.equal(await lab.docker('run', '--rm', name, 'cat', '/fresh'), 'fresh');
  });
  await step('nothing is left', () => pruneAll(lab));
});

const CHANGES = `FROM busybox
RUN echo fresh > /fresh && rm /data/one && chmod 4755 /data/two && chown 12:34 /data/three
RUN rm -rf /data && mkdir /data && ln -s /fresh /data/link && ln /fresh /data/hard && mknod /data/zero c 1 5
`;

async function checkDebianRuns(lab: Lab): Promise<void> {
  assert.equal(
    await lab.docker('run', '--rm', 'debian', 'perl', '-e', 'print join(",", map {$_ * $_} 1..4)'),
    '1,4,9,16',
  );
  assert.equal(await lab.docker('run', '--rm', 'debian', 'python3', '-c', 'print(sum(range(10)))'), '45');
  const facts =
    'getcap /usr/bin/printf; stat -c "%a %h %F" /bin/mount /usr/bin/sort-link; stat -c %y /tmp/fifo';
  assert.deepEqual(
    (await lab.docker('run', '--rm', '-e', 'TZ=UTC', 'debian', 'sh', '-c', facts)).split('\n'),
    [
      '/usr/bin/printf cap_setuid,cap_net_raw=ep',
      '4755 1 regular file',
      '755 2 regular file',
      '2001-02-03 04:05:06.789012345 +0000',
    ],
  );
}

async function moveImages(from: Lab, to: Lab, ...images: string[]): Promise<void> {
  const archive = from.path('saved.tar');
  await from.docker('save', '-o', archive, ...images);
  await to.docker('load', '-i', archive);
}

async function checkSameLayers(one: Lab, other: Lab): Promise<void> {
  for (const image of ['debian', 'changed']) {
    assert.deepEqual(await layerListings(one, image), await layerListings(other, image));
  }
}
