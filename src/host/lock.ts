/** Locks that the kernel takes back when their holder dies. One of them makes for one daemon per home. */

import { close } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { ThinlayerError } from '../core/errors.js';
import { fromErrno, isErrno } from '../core/errno.js';
import type { HostFunctions } from './addon.js';

export interface FileLock {
  /** A process that inherits it has the lock too, until it ends. */
  readonly fd: number;
  release(): Promise<void>;
}

/** Null: somebody has it. What he wrote into the file stays; else it holds `text`. It stays when the lock is released. */
export async function tryLock(
  addon: Pick<HostFunctions, 'lockFile'>,
  path: string,
  text: string,
): Promise<FileLock | null> {
  try {
    const fd = await addon.lockFile(path, text);
    return { fd, release: () => promisify(close)(fd) };
  } catch (error) {
    if (isErrno(error, 'EAGAIN')) return null;
    throw fromErrno(error, { op: 'lock', path });
  }
}

/** `failed_precondition` names the process that has the home. */
export async function lockHome(addon: Pick<HostFunctions, 'lockFile'>, home: string): Promise<FileLock> {
  const path = join(home, '.lock');
  const lock = await tryLock(addon, path, `${process.pid}\n`);
  if (lock === null) throw await inUse(home, path);
  return lock;
}

async function inUse(home: string, path: string): Promise<ThinlayerError> {
  const holder = await readFile(path, 'utf8').catch((error: unknown) => `unknown: ${String(error)}`);
  return new ThinlayerError(
    'failed_precondition',
    `${home} is in use by another daemon (process ${holder.trim()}); stop it, or choose another directory`,
    { op: 'lock', path },
  );
}
