/** The directory that holds everything. */

import { mkdir, realpath, stat } from 'node:fs/promises';
import { dirname } from 'node:path';

import { fromErrno, isErrno } from '../core/errno.js';

/**
 * Makes it, and what is missing above it. Rejects with what to do if it cannot be, or is no directory. Answers its real path:
 * symlinks may lead to it, mountinfo knows where they do, and mounts and sockets are found again by that name alone.
 */
export async function makeHome(path: string): Promise<string> {
  try {
    await makeDirectories(path);
    return await realpath(path);
  } catch (error) {
    throw fromErrno(error, { op: 'open home', path });
  }
}

/** Not `mkdir` with `recursive`: below /proc, which says ENOENT to every new name, that one tries again for ever. */
async function makeDirectories(path: string): Promise<void> {
  try {
    await mkdir(path);
  } catch (error) {
    if (isErrno(error, 'EEXIST') && (await stat(path)).isDirectory()) return;
    const above = dirname(path);
    if (!isErrno(error, 'ENOENT') || above === path) throw error;
    await makeDirectories(above);
    await mkdir(path);
  }
}
