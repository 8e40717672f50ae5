/** What may be left when all layers are removed: nothing, on disk, in the kernel, in the daemon. */

import assert from 'node:assert/strict';

import { waitFor } from '../system/process.js';
import type { Daemon } from './daemon.js';

/** To be taken while nothing runs, and given to `assertNothingLeft` at the end. */
export function openDescriptors(daemon: Daemon): Promise<string[]> {
  daemon.client.close();
  return quiet(daemon);
}

/** All layers have been removed, and all calls answered. `before`: what was open at the beginning. */
export async function assertNothingLeft(daemon: Daemon, before: readonly string[]): Promise<void> {
  await daemon.trashEmptied();
  assert.deepEqual(await daemon.mounts(), [], 'mounts');
  assert.deepEqual(await daemon.leftovers(), [], 'files below the home');
  assert.deepEqual(await daemon.layers(), [], 'layers');
  assert.equal((await daemon.client.status())['Layers Mounted'], '0');
  assert.deepEqual(await openDescriptors(daemon), before, 'open files of the daemon');
}

/** When the connections that were closed here are closed there, and only the two listening sockets are left. */
function quiet(daemon: Daemon): Promise<string[]> {
  return waitFor('the end of all connections', async () => {
    const open = await daemon.descriptors();
    return open.filter((target) => target === 'socket').length === LISTENING ? open : undefined;
  });
}

const LISTENING = 2;
