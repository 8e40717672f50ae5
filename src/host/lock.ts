/** One daemon per home: a lock that the kernel takes back when its holder dies. */

import { close } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';

import { ThinlayerError } from '../core/errors.js';
import { fromErrno, isErrno } from '../core/errno.js';
import type { HostFunctions } from './addon.js';

export interface HomeLock {
  release(): Promise<void>;
}

/** With another daemon that has the home, and may be ending. */
export interface Patience {
  /** 0: none. */
  readonly ms: number;
  /** Ends the wait, which then is a refusal. */
  readonly signal: AbortSignal;
  /** Told once, before the wait. */
  readonly waits: (holder: string) => void;
}

const RETRY_MS = 100;

/** `failed_precondition` names the process that has the home. The file stays when the lock is released. */
export async function lockHome(
  addon: Pick<HostFunctions, 'lockFile'>,
  home: string,
  patience?: Patience,
): Promise<HomeLock> {
  const path = join(home, '.lock');
  try {
    const fd = (await tryLock(addon, path)) ?? (await lockLater(addon, path, patience));
    if (fd === undefined) throw await inUse(home, path);
    return { release: () => promisify(close)(fd) };
  } catch (error) {
    throw fromErrno(error, { op: 'lock', path });
  }
}

/** Undefined if somebody has it. */
async function tryLock(addon: Pick<HostFunctions, 'lockFile'>, path: string): Promise<number | undefined> {
  try {
    return await addon.lockFile(path, `${process.pid}\n`);
  } catch (error) {
    if (isErrno(error, 'EAGAIN')) return undefined;
    throw error;
  }
}

/** By asking again: a thread that waits in flock(2) could not be called back. */
async function lockLater(
  addon: Pick<HostFunctions, 'lockFile'>,
  path: string,
  patience: Patience | undefined,
): Promise<number | undefined> {
  if (!patience || patience.ms === 0) return undefined;
  const { ms, signal, waits } = patience;
  waits(await holderOf(path));
  const end = performance.now() + ms;
  let fd: number | undefined;
  while (fd === undefined && performance.now() < end && !signal.aborted) {
    await delay(RETRY_MS, undefined, { signal }).catch(() => undefined);
    fd = await tryLock(addon, path);
  }
  return fd;
}

async function inUse(home: string, path: string): Promise<ThinlayerError> {
  return new ThinlayerError(
    'failed_precondition',
    `${home} is in use by another daemon (process ${await holderOf(path)}); stop it, or choose another directory`,
    { op: 'lock', path },
  );
}

async function holderOf(path: string): Promise<string> {
  const holder = await readFile(path, 'utf8').catch((error: unknown) => `unknown: ${String(error)}`);
  return holder.trim();
}
