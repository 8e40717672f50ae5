/** The changes that the store makes to a disk, one by one: tests put a failing or a watching disk in its place. */

import { open, mkdir, chmod, lchown, symlink, writeFile, rename, unlink, rmdir } from 'node:fs/promises';

import { isErrno } from '../core/errno.js';

export interface DiskFile {
  write(text: string): Promise<void>;
  sync(): Promise<void>;
  close(): Promise<void>;
}

export interface Disk {
  /** With exactly this mode, whatever the umask. */
  mkdir(path: string, mode: number): Promise<void>;
  chown(path: string, uid: number, gid: number): Promise<void>;
  symlink(target: string, path: string): Promise<void>;
  /** Not synced. */
  writeFile(path: string, text: string, mode: number): Promise<void>;
  /** Made anew, or emptied. */
  create(path: string, mode: number): Promise<DiskFile>;
  rename(from: string, to: string): Promise<void>;
  unlink(path: string): Promise<void>;
  rmdir(path: string): Promise<void>;
}

export const nodeDisk: Disk = {
  async mkdir(path, mode) {
    await mkdir(path, mode);
    try {
      await chmod(path, mode);
    } catch (error) {
      await rmdir(path);
      throw error;
    }
  },
  chown: lchown,
  symlink,
  writeFile: (path, text, mode) => named(path, writeFile(path, text, { mode })),
  async create(path, mode) {
    const file = await open(path, 'w', mode);
    return {
      write: (text) => named(path, file.writeFile(text)),
      sync: () => named(path, file.sync()),
      close: () => named(path, file.close()),
    };
  },
  rename,
  unlink,
  rmdir,
};

/** Of a call on a descriptor node:fs does not say which file it was on. */
async function named(path: string, call: Promise<void>): Promise<void> {
  try {
    await call;
  } catch (error) {
    if (isErrno(error) && error.path === undefined) {
      Object.assign(error, { path, message: `${error.message} '${path}'` });
    }
    throw error;
  }
}

/** Waits for `change`; that there was nothing to change is a success. */
export async function ifPresent(change: Promise<void>): Promise<void> {
  try {
    await change;
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error;
  }
}

/**
 * Waits for all, also after a failure, so that nothing is still being made when the caller begins to undo it.
 * Rejects with the first failure.
 */
export async function allDone(changes: readonly Promise<void>[]): Promise<void> {
  const results = await Promise.allSettled(changes);
  const failed = results.find((result) => result.status === 'rejected');
  if (failed) throw failed.reason;
}
