/** Whether something is there, and what is to be done if it is of the wrong kind. */

import { lstat } from 'node:fs/promises';
import type { Stats } from 'node:fs';

import { isErrno } from '../core/errno.js';
import { ThinlayerError } from '../core/errors.js';

/** Without following it. */
export async function exists(path: string): Promise<boolean> {
  return (await statOf(path)) !== undefined;
}

export async function statOf(path: string): Promise<Stats | undefined> {
  try {
    return await lstat(path);
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw error;
  }
}

/** For the directories of the home that are ours alone. */
export function noDirectory(path: string): ThinlayerError {
  return new ThinlayerError(
    'failed_precondition',
    `${path} is no directory; move it away, and a new one is made`,
    { op: 'open', path },
  );
}
