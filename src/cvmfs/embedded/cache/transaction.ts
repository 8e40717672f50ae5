/** An object on its way into the cache. */

import { open, rename, rm } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';

import { Checksum, writeChecksum } from './checksum.js';

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
   * The checksum is there first: a kill in between leaves one without an object, which harms nobody. Nothing is synced:
   * a power cut may damage what came in the last seconds, which `check` finds.
   */
  async commit(target: string, checksumLink: string): Promise<void> {
    await this.#file.close();
    await writeChecksum(checksumLink, String(this.#checksum));
    await rename(this.#path, target);
  }

  /** Also after a commit that failed. */
  async discard(): Promise<void> {
    await this.#file.close();
    await rm(this.#path, { force: true });
  }
}
