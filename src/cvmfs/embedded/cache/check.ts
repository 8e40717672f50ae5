/** Whether the cache still holds what was put into it. */

import { rm } from 'node:fs/promises';
import { join } from 'node:path';

import { isErrno } from '../../../core/errno.js';
import { checksumOf, readChecksum } from './checksum.js';
import { checksumPath, checksummedObjects, statObject, storedObjects } from './layout.js';

export interface CheckReport {
  readonly objects: number;
  readonly bytes: number;
  /** Removed, to be fetched anew: those that changed, and those whose checksum is missing. */
  readonly damaged: readonly string[];
}

/** Reads everything. Other processes may go on using the cache meanwhile. */
export async function checkCache(directory: string): Promise<CheckReport> {
  let objects = 0;
  let bytes = 0;
  const damaged: string[] = [];
  for await (const { object, size } of storedObjects(directory)) {
    objects += 1;
    bytes += size;
    if (await isSound(directory, object)) continue;
    damaged.push(object);
    await removeObject(directory, object);
  }
  await removeLeftChecksums(directory);
  return { objects, bytes, damaged };
}

/** First the object: without its checksum it would be taken for damaged. */
export async function removeObject(directory: string, object: string): Promise<void> {
  await rm(join(directory, object), { force: true });
  await rm(checksumPath(directory, object), { force: true });
}

async function isSound(directory: string, object: string): Promise<boolean> {
  const expected = await readChecksum(checksumPath(directory, object));
  try {
    return expected === (await checksumOf(join(directory, object)));
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return true; // Evicted meanwhile.
    if (isErrno(error, 'EIO')) return false;
    throw error;
  }
}

async function removeLeftChecksums(directory: string): Promise<void> {
  for (const object of await checksummedObjects(directory)) {
    if (await statObject(directory, object)) continue;
    await rm(checksumPath(directory, object), { force: true });
  }
}
