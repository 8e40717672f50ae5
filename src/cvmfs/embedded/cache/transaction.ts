/** An object on its way into the cache. */

import { appendFile, open, rename, rm } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import { isErrno } from '../../../core/errno.js';
import { loadCvmfsAddon } from '../addon.js';
import { KEPT_BYTES } from '../sink.js';
import { Checksum, checksumLine, checksumsPath } from './checksum.js';
import { makeDirectories } from './layout.js';

export class Transaction {
  readonly #path: string;
  /**
   * Null as long as all that was written is in `#pieces`, and is stored by one job: each step of its own would cost a small file as much as
   * its fetch.
   */
  #file: FileHandle | null = null;
  readonly #pieces: Buffer[] = [];
  readonly #checksum = new Checksum();

  /** `path`: of a file that is not there yet. */
  constructor(path: string) {
    this.#path = path;
  }

  async write(chunk: Buffer): Promise<void> {
    this.#checksum.add(chunk);
    this.#pieces.push(chunk);
    if (this.size <= KEPT_BYTES) return;
    this.#file ??= await this.#inDirectory(() => open(this.#path, 'wx', 0o600));
    for (const piece of this.#pieces.splice(0)) await this.#file.writeFile(piece);
  }

  get size(): number {
    return this.#checksum.size;
  }

  /**
   * Nothing is synced: a power cut may damage what came in the last seconds. What it cut short is fetched anew when it is
   * opened, the rest `check` finds; a kill damages nothing.
   */
  async commit(directory: string, object: string): Promise<void> {
    const [log, line] = [checksumsPath(directory), checksumLine(object, this.#checksum)];
    const path = join(directory, object);
    if (!this.#file) {
      const bytes = Buffer.concat(this.#pieces);
      return await this.#inDirectory(() => loadCvmfsAddon().storeObject(this.#path, bytes, log, line, path));
    }
    await this.#file.close();
    await appendFile(log, line, { mode: 0o600 });
    await renameInto(this.#path, path);
  }

  /** `first` of all that touches the disk: the directory is made again if somebody removed the cache to have room. */
  async #inDirectory<T>(first: () => Promise<T>): Promise<T> {
    try {
      return await first();
    } catch (error) {
      if (!isErrno(error, 'ENOENT')) throw error;
      await makeDirectories(dirname(this.#path));
      return await first();
    }
  }

  /** Also after a commit that failed. */
  async discard(): Promise<void> {
    await this.#file?.close();
    await rm(this.#path, { force: true });
  }
}

/** The 256 directories of prefixes are made when they are needed first: all at once they would cost a start 0.2 s. */
async function renameInto(from: string, to: string): Promise<void> {
  try {
    await rename(from, to);
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error;
    await makeDirectories(dirname(to));
    await rename(from, to);
  }
}
