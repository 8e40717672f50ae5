/**
 * An object's name is the hash of its compressed bytes, which the cache does not keep: whether the file is still what
 * was once verified, the name cannot tell. So each object has a checksum of its decompressed content, in the target of a
 * symbolic link. That is made in one step, needs no block of its own (it fits into the inode), works on file systems
 * without extended attributes, and unlike one common file it needs no lock between processes. The content follows from
 * the name, so whoever writes the same link writes the same target.
 *
 * CRC-32 finds what disks and power cuts do. Against those who can write here nothing beside the files could help.
 */

import { createReadStream } from 'node:fs';
import { readlink, symlink, unlink } from 'node:fs/promises';
import { crc32 } from 'node:zlib';

import { isErrno } from '../../../core/errno.js';

/** Of content that arrives piece by piece. */
export class Checksum {
  #size = 0;
  #crc = 0;

  add(chunk: Buffer): void {
    this.#size += chunk.length;
    this.#crc = crc32(chunk, this.#crc);
  }

  get size(): number {
    return this.#size;
  }

  toString(): string {
    return `${this.#size}.${this.#crc.toString(16).padStart(8, '0')}`;
  }
}

export async function checksumOf(file: string): Promise<string> {
  const checksum = new Checksum();
  for await (const chunk of createReadStream(file, { highWaterMark: 256 * 1024 }))
    checksum.add(chunk as Buffer);
  return String(checksum);
}

/** Null if there is none. */
export async function readChecksum(link: string): Promise<string | null> {
  try {
    return await readlink(link);
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'EINVAL')) return null;
    throw error;
  }
}

export async function writeChecksum(link: string, checksum: string): Promise<void> {
  try {
    await symlink(checksum, link);
  } catch (error) {
    if (!isErrno(error, 'EEXIST')) throw error;
    if ((await readChecksum(link)) === checksum) return;
    await unlink(link);
    await symlink(checksum, link);
  }
}
