/** An object on its way into the cache. */

import { mkdir, open, rename, rm } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import { isErrno } from '../../../core/errno.js';
import { Checksum, appendChecksum } from './checksum.js';

export class Transaction {
  readonly #path: string;
  readonly #file: FileHandle;
  readonly #checksum = new Checksum();

  private constructor(path: string, file: FileHandle) {
    this.#path = path;
    this.#file = file;
  }

  /** `path`: of a file that is not there yet. */
  static async open(path: string): Promise<Transaction> {
    return new Transaction(path, await open(path, 'wx', 0o600));
  }

  async write(chunk: Buffer): Promise<void> {
    this.#checksum.add(chunk);
    await this.#file.writeFile(chunk);
  }

  get size(): number {
    return this.#checksum.size;
  }

  /**
   * Nothing is synced: a power cut may damage what came in the last seconds, which `check` finds; a kill damages
   * nothing.
   */
  async commit(directory: string, object: string): Promise<void> {
    await this.#file.close();
    await appendChecksum(directory, object, this.#checksum);
    await renameInto(this.#path, join(directory, object));
  }

  /** Also after a commit that failed. */
  async discard(): Promise<void> {
    await this.#file.close();
    await rm(this.#path, { force: true });
  }
}

/** The 256 directories of prefixes are made when they are needed first: all at once they would cost a start 0.2 s. */
async function renameInto(from: string, to: string): Promise<void> {
  try {
    await rename(from, to);
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error;
    await mkdir(dirname(to), { recursive: true, mode: 0o700 });
    await rename(from, to);
  }
}
