/**
 * The cache of objects, within a quota. Each process counts what it knows of; others add and evict in the same
 * directory, so that after every sixteenth of the quota that was added here the directory is read again.
 */

import { randomBytes } from 'node:crypto';
import { lutimes, mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';

import { fromErrno, isErrno } from '../../../core/errno.js';
import { ThinlayerError } from '../../../core/errors.js';
import type { Clock } from '../clock.js';
import { objectPath } from '../object-id.js';
import type { ObjectId } from '../object-id.js';
import { checkCache, removeObject } from './check.js';
import type { CheckReport } from './check.js';
import {
  checksumPath,
  makeDirectories,
  statIfThere,
  statObject,
  storedObjects,
  transactionsPath,
} from './layout.js';
import type { StoredObject } from './layout.js';
import { Transaction } from './transaction.js';
import { Usage } from './usage.js';

export interface CacheOptions {
  readonly directory: string;
  /** Bytes; Infinity for no quota. */
  readonly limit: number;
  readonly clock: Clock;
}

/** A transaction that was not written to for that long belongs to a process that died. */
const DEAD_AFTER_MS = 3_600_000;
/** A use is written to disk only if the one there is older than that: it decides between hours, not seconds. */
const USE_GRAIN_MS = 600_000;
/** What is freed beyond need, so that evictions come in batches. */
const SPARE = 1 / 8;
const RESCAN = 1 / 16;

export class Cache {
  readonly directory: string;
  readonly #clock: Clock;
  readonly #usage = new Usage();
  /** Whose directories are there. */
  readonly #prefixes = new Set<string>();
  #limit: number;
  #reserved = 0;
  #addedSinceScan = 0;
  #queue: Promise<void> = Promise.resolve();
  /** Tells the first of the queue that a write has ended. */
  #released: () => void = () => {};

  private constructor({ directory, limit, clock }: CacheOptions) {
    this.directory = directory;
    this.#limit = limit;
    this.#clock = clock;
  }

  static async open(options: CacheOptions): Promise<Cache> {
    const cache = new Cache(options);
    await cache.#doing('open', async () => {
      await mkdir(transactionsPath(cache.directory), { recursive: true, mode: 0o700 });
      await mkdir(checksumPath(cache.directory, ''), { recursive: true, mode: 0o700 });
      await cache.#removeDeadTransactions();
      await cache.#scan();
      await cache.#makeRoom(0);
    });
    return cache;
  }

  /** The path of the object's file, or null. Its use counts. */
  async find(id: ObjectId): Promise<string | null> {
    const object = objectPath(id);
    const stored = await this.#doing('look up', () => statObject(this.directory, object));
    if (!stored) {
      this.#usage.remove(object);
      return null;
    }
    if (!this.#usage.has(object)) this.#usage.add(stored);
    await this.used([object]);
    return join(this.directory, object);
  }

  /**
   * Room for `size` bytes, and a place to write them. Whatever `fill` throws, nothing is left of it. Answers the path.
   * Throws `resource_exhausted` if the quota cannot hold them even when all goes that may.
   */
  async add(id: ObjectId, size: number, fill: (transaction: Transaction) => Promise<void>): Promise<string> {
    const object = objectPath(id);
    await this.#doing('make room', () => this.#reserve(size));
    try {
      await this.#write(object, fill);
    } finally {
      this.#release(size);
    }
    return join(this.directory, object);
  }

  /** Objects that were opened. */
  async used(objects: readonly string[]): Promise<void> {
    const now = this.#clock.now();
    const stale = objects.filter((object) => now - (this.#usage.touch(object, now) ?? now) > USE_GRAIN_MS);
    await this.#doing('mark', async () => {
      for (const object of stale) await this.#stamp(object, now);
    });
  }

  /** Never evicted by this process until `unpin`, which has to come as often. */
  pin(id: ObjectId): void {
    this.#usage.pin(objectPath(id));
  }

  unpin(id: ObjectId): void {
    this.#usage.unpin(objectPath(id));
  }

  get facts() {
    const { bytes, count, pinnedBytes } = this.#usage;
    return { directory: this.directory, limit: this.#limit, bytes, objects: count, pinnedBytes };
  }

  list(): StoredObject[] {
    return this.#usage.list();
  }

  async setLimit(limit: number): Promise<void> {
    this.#limit = limit;
    await this.#doing('shrink', () => this.#makeRoom(0));
  }

  async evict(id: ObjectId): Promise<void> {
    await this.#doing('evict', () => this.#remove(objectPath(id)));
  }

  async check(): Promise<CheckReport> {
    return await this.#doing('check', async () => {
      const report = await checkCache(this.directory);
      await this.#scan();
      return report;
    });
  }

  async #write(object: string, fill: (transaction: Transaction) => Promise<void>): Promise<void> {
    const draft = join(transactionsPath(this.directory), `${process.pid}.${randomBytes(8).toString('hex')}`);
    const transaction = await this.#doing('write', () => Transaction.open(draft));
    try {
      await fill(transaction);
      await this.#makeDirectories(object);
      await transaction.commit(join(this.directory, object), checksumPath(this.directory, object));
    } catch (error) {
      await transaction.discard();
      throw isErrno(error) ? fromErrno(error, { op: 'write', path: this.directory }) : error;
    }
    this.#usage.add({ object, size: transaction.size, used: this.#clock.now() });
    this.#addedSinceScan += transaction.size;
  }

  async #makeDirectories(object: string): Promise<void> {
    const prefix = object.slice(0, 2);
    if (this.#prefixes.has(prefix)) return;
    await makeDirectories(this.directory, object);
    this.#prefixes.add(prefix);
  }

  /** First come, first served: who waits for room is not overtaken by those who need less. */
  async #reserve(size: number): Promise<void> {
    const mine = this.#queue.then(async () => {
      while (!(await this.#makeRoom(size))) await this.#roomAfterOthers(size);
      this.#reserved += size;
    });
    this.#queue = mine.catch(() => {
      // Told to the caller who waits for it, not to the one after.
    });
    await mine;
  }

  #release(size: number): void {
    this.#reserved -= size;
    this.#released();
  }

  /** What is being written now can be evicted when it is there. */
  async #roomAfterOthers(size: number): Promise<void> {
    if (this.#reserved > 0) {
      return await new Promise((resolve) => {
        this.#released = resolve;
      });
    }
    throw new ThinlayerError(
      'resource_exhausted',
      `the quota of ${this.directory}, ${this.#limit} bytes, has no room for ${size} bytes beside what is in use; raise CVMFS_QUOTA_LIMIT`,
      { op: 'cache', path: this.directory },
    );
  }

  /** False: all that may go is gone, and it is not enough. */
  async #makeRoom(size: number): Promise<boolean> {
    if (this.#addedSinceScan > this.#limit * RESCAN) await this.#scan();
    const excess = () => this.#usage.bytes + this.#reserved + size - this.#limit;
    if (excess() <= 0) return true;
    for (const object of this.#usage.victims(excess() + this.#limit * SPARE)) await this.#remove(object);
    return excess() <= 0;
  }

  async #remove(object: string): Promise<void> {
    await removeObject(this.directory, object);
    this.#usage.remove(object);
  }

  async #scan(): Promise<void> {
    this.#addedSinceScan = 0;
    const found: StoredObject[] = [];
    for await (const stored of storedObjects(this.directory)) found.push(stored);
    this.#usage.replace(found);
  }

  async #stamp(object: string, now: number): Promise<void> {
    const path = join(this.directory, object);
    const stats = await statIfThere(path);
    if (!stats) return this.#usage.remove(object);
    await lutimes(path, new Date(now), stats.mtime).catch((error: unknown) => {
      if (!isErrno(error, 'ENOENT')) throw error; // Evicted between the two.
    });
  }

  async #removeDeadTransactions(): Promise<void> {
    const directory = transactionsPath(this.directory);
    for (const name of await readdir(directory)) {
      const stats = await statIfThere(join(directory, name));
      const dead = stats !== null && this.#clock.now() - stats.mtimeMs > DEAD_AFTER_MS;
      if (dead) await rm(join(directory, name), { force: true });
    }
  }

  async #doing<T>(op: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw fromErrno(error, { op, path: this.directory });
    }
  }
}
