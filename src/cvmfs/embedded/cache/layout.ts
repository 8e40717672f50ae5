/**
 * The cache directory, which several processes may use at once:
 *
 *   <cache>/b6/c1…9e-rmd160P             an object, decompressed. What is there under its name is whole: it was
 *                                        verified, written elsewhere, renamed. Nobody changes it later.
 *   <cache>/checksums/b6/c1…9e-rmd160P   its checksum: a symbolic link to `<size>.<CRC-32>`, see checksum.ts
 *   <cache>/txn/                         what is being written
 *   <cache>/cvmfschecksum.<fqrn>         the newest revision seen of a repository, see breadcrumb.ts
 *
 * The time of an object's last use is its atime, set by hand (mounts say noatime, or relatime); its mtime is the time
 * when it came.
 */

import type { Stats } from 'node:fs';
import { lstat, mkdir, readdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import { isErrno } from '../../../core/errno.js';
import { parseObjectPath } from '../object-id.js';

export interface StoredObject {
  /** As objectPath has it. */
  readonly object: string;
  readonly size: number;
  /** Milliseconds since 1970. */
  readonly used: number;
}

export function checksumPath(directory: string, object: string): string {
  return join(directory, 'checksums', object);
}

export function transactionsPath(directory: string): string {
  return join(directory, 'txn');
}

/** The directories of one object; those of all 256 prefixes are not made before they are needed. */
export async function makeDirectories(directory: string, object: string): Promise<void> {
  for (const path of [join(directory, object), checksumPath(directory, object)]) {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  }
}

/** All objects that are there now, one directory after the other. */
export async function* storedObjects(directory: string): AsyncGenerator<StoredObject> {
  for (const object of await objectsBelow(directory)) {
    for (const stored of await Promise.all(object.map((path) => statObject(directory, path)))) {
      if (stored) yield stored;
    }
  }
}

/** The objects that have a checksum. */
export async function checksummedObjects(directory: string): Promise<string[]> {
  return (await objectsBelow(join(directory, 'checksums'))).flat();
}

async function objectsBelow(directory: string): Promise<string[][]> {
  const found: string[][] = [];
  for (const prefix of await readdir(directory)) {
    if (!/^[0-9a-f]{2}$/.test(prefix)) continue;
    const names = await readdir(join(directory, prefix));
    found.push(names.map((name) => `${prefix}/${name}`).filter(isObjectPath));
  }
  return found;
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

function isObjectPath(path: string): boolean {
  try {
    parseObjectPath(path);
    return true;
  } catch {
    return false; // Somebody else's file.
  }
}
