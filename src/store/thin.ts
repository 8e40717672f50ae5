/** The descriptor of a thin layer, out of the tree that its archive gave. */

import { constants } from 'node:fs';
import { open, readdir } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { join } from 'node:path';

import { DESCRIPTOR_NAME, MAX_DESCRIPTOR_BYTES, parseThinDescriptor } from '../core/thin-descriptor.js';
import type { ThinDescriptor } from '../core/thin-descriptor.js';

/** Neither followed, if it is a symlink to a file of the host, nor waited for, if it is a fifo. */
const FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/** Null for an ordinary tree: also for one that holds a file of that name among others. */
export async function readDescriptor(root: string, repository: string): Promise<ThinDescriptor | null> {
  const [entry, ...others] = await readdir(root, { withFileTypes: true });
  if (entry?.name !== DESCRIPTOR_NAME || !entry.isFile() || others.length > 0) return null;
  const file = await open(join(root, DESCRIPTOR_NAME), FLAGS);
  try {
    return parseThinDescriptor(await readBounded(file), repository);
  } finally {
    await file.close();
  }
}

/** One byte more than a descriptor may have is enough to refuse it. */
async function readBounded(file: FileHandle): Promise<string> {
  const buffer = Buffer.alloc(MAX_DESCRIPTOR_BYTES + 1);
  let length = 0;
  for (let read = 1; read > 0 && length < buffer.length; length += read) {
    ({ bytesRead: read } = await file.read(buffer, length, buffer.length - length));
  }
  return buffer.toString('utf8', 0, length);
}
