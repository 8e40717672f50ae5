/** One daemon per home: a lock that the kernel takes back when its holder dies. */

import { close } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { ThinlayerError } from '../core/errors.js';
import { fromErrno, isErrno } from '../core/errno.js';
import type { HostFunctions } from './addon.js';

export interface HomeLock {
  release(): Promise<void>;
}

/** `failed_precondition` names the process that has the home. The file stays when the lock is released. */
export async function lockHome(addon: Pick<HostFunctions, 'lockFile'>, home: string): Promise<HomeLock> {
  const path = join(home, '.lock');
  try {
    const fd = await addon.lockFile(path, `${process.pid}\n`);
    return { release: () => promisify(close)(fd) };
  } catch (error) {
    if (isErrno(error) && error.code === 'EAGAIN') throw await inUse(home, path);
    throw fromErrno(error, { op: 'lock', path });
  }
}

async function inUse(home: string, path: string): Promise<ThinlayerError> {
  const holder = await readFile(path, 'utf8').catch((error: unknown) => `unknown: ${String(error)}`);
  return new ThinlayerError(
    'failed_precondition',
    `${home} is in use by another daemon (process ${holder.trim()}); stop it, or choose another directory`,
    { op: 'lock', path },
  );
}
