/** Locks that the kernel takes back when their holder dies. One of them makes for one daemon per home. */

import { close } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';

import { ThinlayerError } from '../core/errors.js';
import { fromErrno, isErrno } from '../core/errno.js';
import type { HostFunctions } from './addon.js';

export interface FileLock {
  /** A process that inherits it has the lock too, until it ends. */
  readonly fd: number;
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

/** Null: somebody has it. What he wrote into the file stays; else it holds `text`, or nothing on a full disk. It stays when the lock is released. */
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
export async function lockHome(
  addon: Pick<HostFunctions, 'lockFile'>,
  home: string,
  patience?: Patience,
): Promise<FileLock> {
  const path = join(home, '.lock');
  const tryIt = () => tryLock(addon, path, `${process.pid}\n`);
  const lock = (await tryIt()) ?? (patience && (await lockLater(tryIt, path, patience)));
  if (!lock) throw await inUse(home, path);
  return lock;
}

/** By asking again: a thread that waits in flock(2) could not be called back. */
async function lockLater(
  tryIt: () => Promise<FileLock | null>,
  path: string,
  { ms, signal, waits }: Patience,
): Promise<FileLock | null> {
  if (ms === 0) return null;
  waits(await holderOf(path));
  const end = performance.now() + ms;
  let lock: FileLock | null = null;
  while (lock === null && performance.now() < end && !signal.aborted) {
    await delay(RETRY_MS, undefined, { signal }).catch(() => undefined);
    lock = await tryIt();
  }
  return lock;
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
  return holder.trim() || 'unknown';
}
