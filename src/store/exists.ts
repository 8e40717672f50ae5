/** Whether something is there, without following it. */

import { lstat } from 'node:fs/promises';
import type { Stats } from 'node:fs';

import { isErrno } from '../core/errno.js';

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
