/**
 * Deletes a directory tree whose contents a container made: names are bytes, depth is whatever it liked, and what
 * looks like a directory may be a link by the time it is opened.
 *
 * So every step goes through the descriptor of the directory at hand (`/proc/self/fd/N/NAME`, what `unlinkat` is to
 * C): no path is longer than a page, no link is followed. A mount below the tree is not entered, nor removed.
 */

import { constants, readFileSync } from 'node:fs';
import { open, opendir, rename, rmdir, unlink } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';

import { isErrno } from '../core/errno.js';
import { ThinlayerError } from '../core/errors.js';

/** Descriptors that one deletion holds open. */
const MAX_DEPTH = 32;

/** Not more at once, or the threads that node:fs has are all taken by one deletion. */
const BATCH = 16;

const DIRECTORY = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;

interface Deletion {
  /** `mnt_id` of the tree's root. */
  readonly mount: string;
  /** Where a directory too deep goes, to be deleted by itself later. */
  hoist(from: Buffer): Promise<void>;
  failed(error: unknown): void;
}

/**
 * Deletes the directory `root` and all below it. Goes on after a failure, and rejects with the first one at the end.
 * A directory below MAX_DEPTH is moved to a path that `hoisted` gives; the caller deletes that next.
 */
export async function deleteTree(root: string, hoisted: () => string): Promise<void> {
  if (await removedEmpty(root)) return;
  let failure: unknown;
  const handle = await open(root, DIRECTORY);
  try {
    await empty(handle, 0, {
      mount: mountOf(handle),
      hoist: (from) => rename(from, hoisted()),
      failed: (error) => (failure ??= error),
    });
  } finally {
    await handle.close();
  }
  if (failure !== undefined) throw failure;
  await rmdir(root);
}

async function removedEmpty(root: string): Promise<boolean> {
  try {
    await rmdir(root);
    return true;
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return true;
    if (isErrno(error, 'ENOTEMPTY', 'EEXIST')) return false;
    throw error;
  }
}

async function empty(handle: FileHandle, depth: number, deletion: Deletion): Promise<void> {
  let batch: Promise<void>[] = [];
  // latin1: one character a byte, so that names which are no UTF-8 come through.
  for await (const entry of await opendir(at(handle), { encoding: 'latin1' })) {
    const path = at(handle, entry.name);
    if (entry.isDirectory()) {
      await directory(path, depth, deletion).catch(deletion.failed);
      continue;
    }
    batch.push(unlink(path).catch(deletion.failed));
    if (batch.length < BATCH) continue;
    await Promise.all(batch);
    batch = [];
  }
  await Promise.all(batch);
}

async function directory(path: Buffer, depth: number, deletion: Deletion): Promise<void> {
  if (depth === MAX_DEPTH) return deletion.hoist(path);
  const handle = await open(path, DIRECTORY);
  try {
    if (mountOf(handle) !== deletion.mount) throw foreignMount(path);
    await empty(handle, depth + 1, deletion);
  } finally {
    await handle.close();
  }
  await rmdir(path);
}

/** From /proc, which no disk can slow down: no reason to leave the event loop. */
function mountOf(handle: FileHandle): string {
  const info = readFileSync(`/proc/self/fdinfo/${handle.fd}`, 'latin1');
  return /^mnt_id:\s*(\d+)$/m.exec(info)?.[1] ?? '';
}

function at(handle: FileHandle, name = ''): Buffer {
  return Buffer.from(`/proc/self/fd/${handle.fd}/${name}`, 'latin1');
}

function foreignMount(path: Buffer): ThinlayerError {
  const name = path.subarray(path.lastIndexOf('/') + 1).toString();
  return new ThinlayerError(
    'failed_precondition',
    `something is mounted on ${JSON.stringify(name)}; unmount it, the next start deletes the rest`,
    { op: 'delete' },
  );
}
