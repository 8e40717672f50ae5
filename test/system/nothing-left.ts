/** The end of every lab: what was made is gone. */

import assert from 'node:assert/strict';
import { waitFor } from './process.js';
import type { Lab } from './lab.js';

/** Removes all containers, images and caches, and checks that no layer, short link or mount stays. */
export async function pruneAll(lab: Lab): Promise<void> {
  const containers = await lab.docker('ps', '-aq');
  if (containers !== '') await lab.docker('rm', '-f', ...containers.split('\n'));
  await lab.docker('system', 'prune', '-af', '--volumes');
  await lab.docker('builder', 'prune', '-af');
  // A driver may delete what was removed after it has answered, but must come to an end with it.
  await waitFor('the trash to be emptied', async () => {
    const leftovers = await lab.leftovers();
    return leftovers.every((name) => !name.startsWith('.trash/')) || undefined;
  });
  assert.deepEqual(await lab.leftovers(), []);
  assert.deepEqual(await lab.mounts(), []);
}
