/** Where a repository is to be mounted. */

import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';

import { ThinlayerError } from '../core/errors.js';
import { parseMountinfo } from './mountinfo.js';

/**
 * Rejects if a repository is mounted there already: the second would hide the first, and each of them end only itself. Nothing is asked of
 * what is mounted, which may hang.
 */
export async function checkMountpoint(mountpoint: string): Promise<void> {
  const path = resolve(mountpoint);
  const bytes = Buffer.from(path).toString('latin1');
  const mounts = parseMountinfo(await readFile('/proc/self/mountinfo', 'latin1'));
  const last = mounts.filter((mount) => mount.mountPoint === bytes).at(-1);
  if (last?.type !== 'fuse.cvmfs') return;
  throw new ThinlayerError(
    'failed_precondition',
    `${last.source} is mounted on ${path} already; end the process that serves it, or, if that died, run \`umount -l ${path}\``,
    { op: 'mount', path },
  );
}
