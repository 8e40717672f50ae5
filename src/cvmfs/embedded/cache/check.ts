/** Whether the cache still holds what was put into it. */

import { rm } from 'node:fs/promises';
import { join } from 'node:path';

import { isErrno } from '../../../core/errno.js';
import { ThinlayerError } from '../../../core/errors.js';
import { checksumOf, readChecksums } from './checksum.js';
import { statObject, storedObjects } from './layout.js';
import type { StoredObject } from './layout.js';

export interface CheckReport {
  readonly objects: number;
  readonly bytes: number;
  /** Removed, to be fetched anew: those that changed, and those whose checksum is missing. */
  readonly damaged: readonly string[];
}

/** Reads everything. Other processes may go on using the cache meanwhile. */
export async function checkCache(directory: string): Promise<CheckReport> {
  const found: StoredObject[] = [];
  for await (const stored of storedObjects(directory)) found.push(stored);
  // After the objects: an object has its checksum before it has its name.
  const checksums = await readChecksums(directory, new Set(found.map(({ object }) => object)));
  const damaged: string[] = [];
  for (const { object } of found) {
    if (await isSound(join(directory, object), checksums.get(object))) continue;
    damaged.push(object);
    await rm(join(directory, object), { force: true });
  }
  const bytes = found.reduce((sum, { size }) => sum + size, 0);
  return { objects: found.length, bytes, damaged };
}

/** False also if it is not there. */
export async function isAsItCame(directory: string, object: string): Promise<boolean> {
  const checksum = (await readChecksums(directory, new Set([object]))).get(object);
  return (await statObject(directory, object)) !== null && (await isSound(join(directory, object), checksum));
}

async function isSound(file: string, checksum: string | undefined): Promise<boolean> {
  try {
    return checksum === (await checksumOf(file));
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return true; // Evicted meanwhile.
    if (isErrno(error, 'EIO')) return false;
    if (isErrno(error, 'EISDIR')) throw inTheWay(file);
    throw error;
  }
}

function inTheWay(path: string): ThinlayerError {
  const message = `check: ${path} is a directory, and has the name of an object; move it away`;
  return new ThinlayerError('failed_precondition', message, { op: 'check', path });
}
