/** Removed layers are deleted in the background: nobody waits for the end of that, also not who stops or opens the home again. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';

import { daemonTest } from './daemon.js';
import type { Daemon } from './daemon.js';
import { makeImage } from './layers.js';
import { assertSound } from './soundness.js';

/** Their deletion takes seconds. */
const FILES = 150_000;

daemonTest('SIGTERM ends the deletion of a removed layer; the next start goes on with it', async (daemon) => {
  await makeImage(daemon, 'kept');
  await removeLargeLayer(daemon);
  await daemon.stop();
  const left = await filesInTrash(daemon);
  assert.ok(left > 0);
  assert.equal(await filesInTrash(daemon), left);
  await daemon.launch();
  await daemon.trashEmptied();
  await assertSound(daemon, new Map([['kept', false]]));
});

daemonTest(
  'Init does not wait for the deletion of a removed layer, which goes on after it',
  async (daemon) => {
    await removeLargeLayer(daemon);
    await daemon.client.init(daemon.home);
    assert.ok((await filesInTrash(daemon)) > 0);
    await makeImage(daemon, 'large');
    await daemon.client.remove('large');
    await daemon.trashEmptied();
    await assertSound(daemon, new Map());
  },
);

async function removeLargeLayer(daemon: Daemon): Promise<void> {
  await makeImage(daemon, 'large');
  const cwd = join(daemon.home, 'large/diff');
  execFileSync('bash', ['-c', `seq ${FILES} | xargs touch`], { cwd });
  await daemon.client.remove('large');
}

/** Those of the large layer. */
async function filesInTrash(daemon: Daemon): Promise<number> {
  const trash = join(daemon.home, '.trash');
  const [name] = await readdir(trash);
  return name === undefined ? 0 : (await readdir(join(trash, name, 'diff'))).length;
}
