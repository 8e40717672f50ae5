/** Where a repository is to be mounted. */

import { readdir, readFile } from 'node:fs/promises';
import { resolve } from 'node:path';

import { fromErrno } from '../core/errno.js';
import { ThinlayerError } from '../core/errors.js';
import { checkDirectory } from './directory.js';
import { parseMountinfo } from './mountinfo.js';

/**
 * Rejects if a repository is mounted there already: the second would hide the first, and each of them end only itself. And if it is no
 * directory, or, without `nonEmpty`, one whose files would be hidden.
 */
export async function checkMountpoint(mountpoint: string, nonEmpty: boolean): Promise<void> {
  const path = resolve(mountpoint);
  const bytes = Buffer.from(path).toString('latin1');
  const mounts = parseMountinfo(await readFile('/proc/self/mountinfo', 'latin1'));
  const last = mounts.filter((mount) => mount.mountPoint === bytes).at(-1);
  // Nothing is asked of a repository that is mounted, which may hang.
  if (last?.type === 'fuse.cvmfs') throw mounted(last.source, path);
  // To look at one of the automounter's would wait for the very mount that is to be made.
  if (last?.type === 'autofs') return;
  await checkDirectory('MOUNTPOINT', path);
  if (!nonEmpty && !(await isEmpty(path))) throw notEmpty(path);
}

async function isEmpty(path: string): Promise<boolean> {
  try {
    return (await readdir(path)).length === 0;
  } catch (error) {
    throw fromErrno(error, { op: 'read', path });
  }
}

function mounted(source: string, path: string): ThinlayerError {
  return new ThinlayerError(
    'failed_precondition',
    `${source} is mounted on ${path} already; end the process that serves it, or, if that died, run \`umount -l ${path}\``,
    { op: 'mount', path },
  );
}

function notEmpty(path: string): ThinlayerError {
  return new ThinlayerError(
    'failed_precondition',
    `MOUNTPOINT ${path} is not empty, and the mount would hide what is in it; name an empty directory, or say -o nonempty`,
    { op: 'mount', path },
  );
}
