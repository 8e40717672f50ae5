/** What is to be deleted: renamed into `.trash` at once, deleted in the background, one tree after the other. */

import { randomBytes } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';

import type { Disk, DiskChange } from '../core/disk.js';
import { fromErrno, isErrno, isFull } from '../core/errno.js';
import type { StoreLog } from './log.js';

const RUN = randomBytes(6).toString('hex');

type Expectation = Extract<DiskChange, { do: 'expect unmounted' }>;

export class Trash {
  readonly #disk: Disk;
  readonly #directory: string;
  readonly #log: StoreLog;
  readonly #waiting: string[] = [];
  #taken = 0;
  #running: Promise<void> = Promise.resolve();
  #busy = false;

  constructor(disk: Disk, directory: string, log: StoreLog) {
    this.#disk = disk;
    this.#directory = directory;
    this.#log = log;
  }

  /**
   * Moves `path` into the trash and answers where it is now; `drop` that later. ENOENT if there is no `path`. `first` is
   * what has to be true.
   */
  async take(path: string, name: string, first: readonly Expectation[] = []): Promise<string> {
    const taken = this.#place(name);
    const changes = [...first, { do: 'rename', from: path, to: taken }] as const;
    try {
      await this.#disk.change(changes);
    } catch (error) {
      if (!isFull(error)) throw error;
      // The trash directory itself could not grow. Removing is what helps a full disk: its entries free their places.
      await this.idle();
      await this.#disk.change(changes);
    }
    return taken;
  }

  /** `take` and `drop`; that there is no `path` is a success. */
  async throwAway(path: string, name: string, first: readonly Expectation[] = []): Promise<void> {
    try {
      this.drop(await this.take(path, name, first));
    } catch (error) {
      if (!isErrno(error, 'ENOENT')) throw error;
    }
  }

  /** Deletes what `take` moved, in the background. */
  drop(taken: string): void {
    this.#waiting.push(taken);
    if (this.#busy) return;
    this.#busy = true;
    this.#running = this.#work();
  }

  /**
   * `throwAway`. On a full disk, if need be, deletes `path` where it is, which a kill may leave half done: to
   * rename takes room on btrfs, which keeps some for deletions.
   */
  async discard(path: string, name: string): Promise<void> {
    try {
      await this.throwAway(path, name);
    } catch (error) {
      if (!isFull(error)) throw error;
      await this.deleteInPlace(path);
    }
  }

  /** Deletes it at once. */
  deleteInPlace(path: string): Promise<void> {
    return this.#disk.removeTree(path);
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
      await this.#disk.removeTree(path);
    } catch (error) {
      const failure = fromErrno(error, { op: 'delete', path });
      this.#log.error({ err: failure, path }, `${failure.message}; it stays there until the next start`);
    }
  }

  /** Named by nobody before, neither in this run nor in the one whose trash is still being deleted. */
  #place(name: string): string {
    this.#taken += 1;
    return join(this.#directory, `${name}.${RUN}.${this.#taken}`);
  }
}
