/** Directories that somebody named to us, and that we do not make. */

import { stat } from 'node:fs/promises';

import { fromErrno, isErrno } from '../core/errno.js';
import { ThinlayerError } from '../core/errors.js';

/** Rejects if it is not there, or no directory. `option` is where it was named, for the message. */
export async function checkDirectory(option: string, path: string): Promise<void> {
  if (await isDirectory(path)) return;
  throw new ThinlayerError(
    'invalid_argument',
    `${option}: there is no directory ${path}; make it, or name another one`,
    { op: 'options', path },
  );
}

async function isDirectory(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) return false;
    throw fromErrno(error, { op: 'look up', path });
  }
}
