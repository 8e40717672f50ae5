/** What is to be deleted: renamed into `.trash` at once, deleted in the background, one tree after the other. */

import { randomBytes } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';

import { fromErrno, isFull } from '../core/errno.js';
import { deleteTree } from './delete-tree.js';
import type { Disk } from './disk.js';
import type { StoreLog } from './log.js';

export class Trash {
  readonly #disk: Disk;
  readonly #directory: string;
  readonly #log: StoreLog;
  readonly #waiting: string[] = [];
  #running: Promise<void> = Promise.resolve();
  #busy = false;

  constructor(disk: Disk, directory: string, log: StoreLog) {
    this.#disk = disk;
    this.#directory = directory;
    this.#log = log;
  }

  /** Moves `path` into the trash and answers where it is now; `drop` that later. ENOENT if there is no `path`. */
  async take(path: string, name: string): Promise<string> {
    const taken = this.#place(name);
    try {
      await this.#disk.rename(path, taken);
    } catch (error) {
      if (!isFull(error)) throw error;
      // The trash directory itself could not grow. Removing is what helps a full disk: its entries free their places.
      await this.idle();
      await this.#disk.rename(path, taken);
    }
    return taken;
  }

  /** Deletes what `take` moved, in the background. */
  drop(taken: string): void {
    this.#waiting.push(taken);
    this.#workOn();
  }

  /**
   * `take` and `drop`. On a full disk, if need be, deletes `path` where it is, which a kill may leave half done: to
   * rename takes room on btrfs, which keeps some for deletions.
   */
  async discard(path: string, name: string): Promise<void> {
    try {
      this.drop(await this.take(path, name));
    } catch (error) {
      if (!isFull(error)) throw error;
      await this.deleteInPlace(path);
    }
  }

  /** Deletes it at once. */
  async deleteInPlace(path: string): Promise<void> {
    await deleteTree(path, () => this.#deeper(path));
    this.#workOn();
  }

  #workOn(): void {
    if (this.#busy) return;
    this.#busy = true;
    this.#running = this.#work();
  }

  /** Starts to delete what an earlier daemon left. */
  async empty(): Promise<void> {
    for (const name of await readdir(this.#directory)) this.drop(join(this.#directory, name));
  }

  /** Waits until nothing is being deleted. */
  async idle(): Promise<void> {
    await this.#running;
  }

  async #work(): Promise<void> {
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
      await this.#delete(next);
    }
    this.#busy = false;
  }

  async #delete(path: string): Promise<void> {
    try {
      await deleteTree(path, () => this.#deeper(path));
    } catch (error) {
      const failure = fromErrno(error, { op: 'delete', path });
      this.#log.error({ err: failure, path }, `${failure.message}; it stays there until the next start`);
    }
  }

  /** Where a directory goes that is too deep in `path`; it is deleted next. */
  #deeper(path: string): string {
    const place = this.#place(basename(path).slice(0, 128));
    this.#waiting.push(place);
    return place;
  }

  #place(name: string): string {
    return join(this.#directory, `${name}.${randomBytes(6).toString('hex')}`);
  }
}
