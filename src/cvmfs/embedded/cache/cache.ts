/** The cache of objects, in a directory that several processes share. Each counts what it knows of. */

import { randomBytes } from 'node:crypto';
import { lutimes, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';

import { isErrno } from '../../../core/errno.js';
import type { Clock } from '../clock.js';
import { cachePath } from '../object-id.js';
import type { ObjectId } from '../object-id.js';
import type { Sink } from '../sink.js';
import { cacheError } from './cache-error.js';
import type { CheckReport } from './check.js';
import { compactChecksums, hasManyOfGone } from './checksum.js';
import { makeDirectories, statIfThere, statObject, transactionsPath } from './layout.js';
import type { StoredObject } from './layout.js';
import { Room } from './room.js';
import { Transaction } from './transaction.js';
import { Usage } from './usage.js';

export interface CacheOptions {
  readonly directory: string;
  /** Bytes; Infinity for no quota. */
  readonly limit: number;
  readonly clock: Clock;
}

export interface CacheFacts {
  readonly directory: string;
  readonly limit: number;
  readonly bytes: number;
  readonly objects: number;
  readonly pinnedBytes: number;
  /** By this process. */
  readonly evictions: number;
}

/** A transaction that was not written to for that long belongs to a process that died. */
const DEAD_AFTER_MS = 3_600_000;
/** A use is written to disk only if the one there is older than that: it decides between hours, not seconds. */
const USE_GRAIN_MS = 600_000;

export class Cache {
  readonly directory: string;
  readonly #clock: Clock;
  readonly #usage = new Usage();
  readonly #room: Room;
  readonly #mark = randomBytes(8).toString('hex');
  #drafts = 0;

  private constructor({ directory, limit, clock }: CacheOptions) {
    this.directory = directory;
    this.#clock = clock;
    this.#room = new Room(directory, this.#usage, limit);
  }

  static async open(options: CacheOptions): Promise<Cache> {
    const cache = new Cache(options);
    await cache.#doing('open', async () => {
      await makeDirectories(transactionsPath(cache.directory));
      await cache.#removeDeadTransactions();
      await cache.#room.setLimit(options.limit);
    });
    await cache.tidy();
    return cache;
  }

  /** To be called now and then: each object that goes leaves its line in `checksums`. */
  async tidy(): Promise<void> {
    await this.#doing('tidy', async () => {
      if (!(await hasManyOfGone(this.directory, this.#usage.count))) return;
      await this.#room.scan();
      await compactChecksums(this.directory, new Set(this.list().map(({ object }) => object)));
    });
  }

  /** Whether it was here, as far as this process knows. */
  knows(id: ObjectId): boolean {
    return this.#usage.has(cachePath(id));
  }

  /** The path of the object's file, or null. Its use counts. */
  async find(id: ObjectId): Promise<string | null> {
    const object = cachePath(id);
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
   * Room for `size` bytes, and a place to write them; null: as they come. Whatever `fill` throws, nothing is left of it.
   * Answers the path. Rejects with `resource_exhausted` if the quota cannot hold them even when all goes that may.
   */
  async add(id: ObjectId, size: number | null, fill: (sink: Sink) => Promise<void>): Promise<string> {
    const object = cachePath(id);
    let [reserved, written] = [size ?? 0, 0];
    const reserve = async (bytes: number): Promise<void> => {
      await this.#doing('make room', () => this.#room.grow(bytes));
      reserved += bytes;
    };
    await this.#doing('make room', () => this.#room.reserve(reserved));
    try {
      written = await this.#write(object, (file) => fill(size === null ? growing(file, reserve) : file));
    } finally {
      this.#room.release(reserved, written);
    }
    return join(this.directory, object);
  }

  /** For a disk that is full: evicts what was not used for longest. False: that does not help. */
  async evictBytes(size: number): Promise<boolean> {
    return await this.#doing('evict', () => this.#room.evict(size));
  }

  /** The directories of all prefixes, so that no object has to wait for its own to be made. */
  async makeDirectories(): Promise<void> {
    await this.#doing('prepare', async () => {
      const here = new Set(await readdir(this.directory));
      for (let prefix = 0; prefix < 256; prefix++) {
        const name = prefix.toString(16).padStart(2, '0');
        if (!here.has(name)) await makeDirectories(join(this.directory, name));
      }
    });
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
    this.#usage.pin(cachePath(id));
  }

  unpin(id: ObjectId): void {
    this.#usage.unpin(cachePath(id));
  }

  get facts(): CacheFacts {
    const { bytes, count, pinnedBytes } = this.#usage;
    const { limit, evictions } = this.#room;
    return { directory: this.directory, limit, bytes, objects: count, pinnedBytes, evictions };
  }

  /** Bytes that can be added without evicting anything. */
  get free(): number {
    return this.#room.free;
  }

  /** Bytes that can be added without evicting what was used within the last `milliseconds`. */
  roomWithout(milliseconds: number): number {
    return this.#room.without(this.#clock.now() - milliseconds);
  }

  list(): StoredObject[] {
    return this.#usage.list();
  }

  async setLimit(limit: number): Promise<void> {
    await this.#doing('shrink', async () => {
      await makeDirectories(transactionsPath(this.directory));
      await this.#room.setLimit(limit);
    });
  }

  async evict(id: ObjectId): Promise<void> {
    await this.#doing('evict', () => this.#room.remove(cachePath(id)));
  }

  /** Whether it is here and still what was put in; if not it is removed. */
  async verify(id: ObjectId): Promise<boolean> {
    return await this.#doing('verify', async () => {
      const { isAsItCame } = await import('./check.js');
      const sound = await isAsItCame(this.directory, cachePath(id));
      if (!sound) await this.#room.remove(cachePath(id));
      return sound;
    });
  }

  /** Reads everything, and removes what is not what was put in. */
  async check(): Promise<CheckReport> {
    return await this.#doing('check', async () => {
      const { checkCache } = await import('./check.js');
      await makeDirectories(transactionsPath(this.directory));
      const report = await checkCache(this.directory);
      await this.#room.scan();
      return report;
    });
  }

  /** Answers the bytes. */
  async #write(object: string, fill: (transaction: Transaction) => Promise<void>): Promise<number> {
    const transaction = new Transaction(join(transactionsPath(this.directory), this.#nextDraft()));
    try {
      await fill(transaction);
      await transaction.commit(this.directory, object);
    } catch (error) {
      await transaction.discard();
      throw isErrno(error) ? cacheError(error, 'write', this.directory) : error;
    }
    this.#usage.add({ object, size: transaction.size, used: this.#clock.now() });
    return transaction.size;
  }

  /** Processes with their own process ids, on one disk over a network perhaps, share the directory. */
  #nextDraft(): string {
    this.#drafts += 1;
    return `${process.pid}.${this.#mark}.${this.#drafts}`;
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
      throw cacheError(error, op, this.directory);
    }
  }
}

/** Reserves room for each chunk before it is written. */
function growing(file: Transaction, reserve: (bytes: number) => Promise<void>): Sink {
  return {
    async write(chunk) {
      await reserve(chunk.length);
      await file.write(chunk);
    },
  };
}
