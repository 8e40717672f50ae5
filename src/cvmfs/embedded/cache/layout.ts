/**
 * The cache directory, which several processes may use at once:
 *
 *   <cache>/b6/c1…9e-rmd160P       an object, decompressed (`.raw` behind it: the server has it as it is). What is there under its name is whole: it was verified,
 *                                  written elsewhere, renamed. Nobody changes it later.
 *   <cache>/checksums              of their contents, see checksum.ts
 *   <cache>/txn/                   what is being written
 *   <cache>/cvmfschecksum.<fqrn>   the newest revision seen of a repository, see breadcrumb.ts
 *
 * The time of an object's last use is its atime, set by hand (mounts say noatime, or relatime); its mtime is the time
 * when it came.
 */

import type { Stats } from 'node:fs';
import { lstat, mkdir, readdir, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import { isErrno } from '../../../core/errno.js';
import { isObjectPath } from '../object-id.js';

export interface StoredObject {
  /** As cachePath has it. */
  readonly object: string;
  readonly size: number;
  /** Milliseconds since 1970. */
  readonly used: number;
}

export function transactionsPath(directory: string): string {
  return join(directory, 'txn');
}

/**
 * With all its parents. Node's own way to do so never ends where the kernel says ENOENT of a directory that can have no
 * entries, as /proc is.
 */
export async function makeDirectories(path: string): Promise<void> {
  try {
    await makeDirectory(path);
  } catch (error) {
    if (!isErrno(error, 'ENOENT') || dirname(path) === path) throw error;
    await makeDirectories(dirname(path));
    await makeDirectory(path);
  }
}

async function makeDirectory(path: string): Promise<void> {
  try {
    await mkdir(path, { mode: 0o700 });
  } catch (error) {
    if (!isErrno(error, 'EEXIST') || !(await stat(path)).isDirectory()) throw error;
  }
}

/** All objects that are there now, one directory after the other. */
export async function* storedObjects(directory: string): AsyncGenerator<StoredObject> {
  for (const prefix of await readdir(directory)) {
    if (!/^[0-9a-f]{2}$/.test(prefix)) continue;
    const names = await readdir(join(directory, prefix));
    const objects = names.map((name) => `${prefix}/${name}`).filter(isObjectPath);
    for (const stored of await Promise.all(objects.map((object) => statObject(directory, object)))) {
      if (stored) yield stored;
    }
  }
}

export async function statObject(directory: string, object: string): Promise<StoredObject | null> {
  const stats = await statIfThere(join(directory, object));
  return stats && { object, size: stats.size, used: stats.atimeMs };
}

/** Null if it is not there (any more): other processes evict as well. */
export async function statIfThere(path: string): Promise<Stats | null> {
  try {
    return await lstat(path);
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return null;
    throw error;
  }
}
