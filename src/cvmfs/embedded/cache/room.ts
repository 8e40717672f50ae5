/** Keeps the quota: room is given before anything is written, and made by evicting what was not used for longest. */

import { rm, statfs } from 'node:fs/promises';
import { join } from 'node:path';

import { ThinlayerError } from '../../../core/errors.js';
import { storedObjects } from './layout.js';
import type { StoredObject } from './layout.js';
import type { Usage } from './usage.js';

/** What is freed beyond need, so that evictions come in batches. */
const SPARE = 1 / 8;
/** After so much of the quota was added here the directory is read again: others add to it as well. */
const RESCAN = 1 / 16;

export class Room {
  readonly #directory: string;
  readonly #usage: Usage;
  #limit: number;
  #reserved = 0;
  #addedSinceScan = 0;
  #evictions = 0;
  #queue: Promise<void> = Promise.resolve();
  /** Tells the first of the queue that a write has ended. */
  #released: () => void = () => {};

  constructor(directory: string, usage: Usage, limit: number) {
    this.#directory = directory;
    this.#usage = usage;
    this.#limit = limit;
  }

  get evictions(): number {
    return this.#evictions;
  }

  get limit(): number {
    return this.#limit;
  }

  /** Bytes that can be written without evicting anything. */
  get free(): number {
    return Math.max(0, this.#left);
  }

  /** Bytes that can be written without evicting what was used since that time. */
  without(since: number): number {
    if (this.#limit === Infinity) return Infinity;
    const left = this.#left;
    const evictable = this.#usage.idleBytes(since) - this.#limit * SPARE;
    return Math.max(0, left, left + evictable);
  }

  /** Counts what is there now: others may have added to it, or evicted. */
  async setLimit(limit: number): Promise<void> {
    this.#limit = limit;
    await this.scan();
    await this.#make(0);
  }

  /**
   * First come, first served: who waits for room is not overtaken by those who need less. Rejects with
   * `resource_exhausted` if there is not enough even when all went that may; then nothing goes for it.
   */
  async reserve(size: number): Promise<void> {
    const mine = this.#queue.then(async () => {
      if (size > this.#limit - this.#usage.pinnedBytes) throw this.#noRoom(size);
      while (!(await this.#make(size))) await this.#waitForOthers(size);
      this.#reserved += size;
    });
    this.#queue = mine.catch(() => {
      // Told to the caller who waits for it, not to the one after.
    });
    await mine;
  }

  /**
   * More for a write whose size was not known. Waits for nobody, since others may wait for this write; rejects as
   * `reserve` does.
   */
  async grow(size: number): Promise<void> {
    this.#reserved += size;
    if (await this.#make(0)) return;
    this.#reserved -= size;
    throw this.#noRoom(size);
  }

  /** The disk is full before the quota is: evicts as much as that, if it can. False: nothing may go, or all would be too little. */
  async evict(size: number): Promise<boolean> {
    const { bavail, bsize } = await statfs(this.#directory);
    if (size > bavail * bsize + this.#usage.bytes - this.#usage.pinnedBytes) return false;
    const before = this.#usage.count;
    for (const object of this.#usage.victims(size)) await this.remove(object);
    return this.#usage.count < before;
  }

  /** Gives back what was reserved, of which `used` bytes are an object now. */
  release(size: number, used: number): void {
    this.#reserved -= size;
    this.#addedSinceScan += used;
    this.#released();
  }

  async scan(): Promise<void> {
    this.#addedSinceScan = 0;
    await this.#usage.learn(async () => {
      const found: StoredObject[] = [];
      for await (const stored of storedObjects(this.#directory)) found.push(stored);
      return found;
    });
  }

  async remove(object: string): Promise<void> {
    await rm(join(this.#directory, object), { force: true });
    this.#evictions += 1;
    this.#usage.remove(object);
  }

  /** Less than nothing, if the limit was lowered. */
  get #left(): number {
    return this.#limit - this.#usage.bytes - this.#reserved;
  }

  /** False: all that may go is gone, and it is not enough. */
  async #make(size: number): Promise<boolean> {
    if (this.#addedSinceScan > this.#limit * RESCAN) await this.scan();
    const excess = () => this.#usage.bytes + this.#reserved + size - this.#limit;
    if (excess() <= 0) return true;
    for (const object of this.#usage.victims(excess() + this.#limit * SPARE)) await this.remove(object);
    return excess() <= 0;
  }

  /** What is being written now can be evicted when it is there. */
  async #waitForOthers(size: number): Promise<void> {
    if (this.#reserved > 0) {
      return await new Promise((resolve) => {
        this.#released = resolve;
      });
    }
    throw this.#noRoom(size);
  }

  #noRoom(size: number): ThinlayerError {
    return new ThinlayerError(
      'resource_exhausted',
      `the quota of ${this.#directory}, ${this.#limit} bytes, has no room for ${size} bytes beside what is in use; raise CVMFS_QUOTA_LIMIT`,
      { op: 'cache', path: this.#directory },
    );
  }
}
