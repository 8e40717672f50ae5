/** ApplyDiff to layers that somebody wrote into: refused, and what was written stays. */

import assert from 'node:assert/strict';
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';

import { waitFor } from '../system/process.js';
import { archiveOf, manyFiles } from './archives.js';
import { daemonTest } from './daemon.js';
import { makeImage } from './layers.js';

const HOLDS_FILES = { name: 'CallError', status: 412, message: /holds files already.*create it again/ };

daemonTest('what was written through a mount is kept from an archive', async (daemon) => {
  const { client } = daemon;
  await makeImage(daemon, 'base');
  await client.createReadWrite('container', 'base');
  const merged = daemon.inside(await client.get('container'));
  await writeFile(join(merged, 'written'), 'kept');
  await client.put('container');
  const archive = await manyFiles('archive', 300);
  // Also as Docker's naive differ has it: against nothing.
  for (const parent of ['base', '']) {
    await assert.rejects(client.applyDiff('container', parent, archive), HOLDS_FILES);
  }
  assert.deepEqual(await client.changes('container', 'base'), [{ Path: '/written', Kind: 1 }]);
  await client.get('container');
  assert.equal(await readFile(join(merged, 'written'), 'utf8'), 'kept');
  await client.put('container');
  assert.deepEqual((await readdir(join(daemon.home, 'container'))).sort(), [
    'diff',
    'layer.json',
    'link',
    'lower',
    'work',
  ]);
});

daemonTest(
  'what was written straight into a layer without a parent is kept, also if it came late',
  async (daemon) => {
    const { client } = daemon;
    await client.create('base');
    const diff = await client.get('base');
    const written = join(daemon.inside(diff), 'written');
    const archive = await manyFiles('archive', 3);
    const slow = new PassThrough();
    slow.write(archive.subarray(0, 1000));
    // From the start: on a busy machine it may find the file before it asks for the rest.
    const refused = assert.rejects(client.applyDiff('base', '', slow), HOLDS_FILES);
    await waitFor('the call', async () => (await daemon.layers())[0]?.state === 'applying' || undefined);
    await writeFile(written, 'kept');
    slow.end(archive.subarray(1000));
    await refused;
    await assert.rejects(client.applyDiff('base', '', archive), HOLDS_FILES);
    assert.equal(await readFile(written, 'utf8'), 'kept');
    await rm(written);
    assert.ok((await client.applyDiff('base', '', archive)) > 0);
  },
);

daemonTest('an apply that kill -9 cut off is made again', async (daemon) => {
  // More than is unpacked in one go.
  const archive = await archiveOf([{ name: 'large', contents: Buffer.alloc(32 << 20, 'x') }]);
  await daemon.client.create('base');
  const slow = new PassThrough();
  slow.write(archive.subarray(0, archive.length / 2));
  const cut = assert.rejects(daemon.client.applyDiff('base', '', slow));
  const staging = join(daemon.home, 'base/staging');
  await waitFor(
    'the first bytes',
    async () => (await readdir(staging).catch(() => [])).length > 0 || undefined,
  );
  await daemon.kill9();
  await cut;
  await daemon.launch();
  assert.ok((await daemon.client.applyDiff('base', '', archive)) > 0);
});
