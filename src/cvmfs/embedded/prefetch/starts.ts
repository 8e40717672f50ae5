/**
 * Starts of images. The first records what it reads; a later one fetches that ahead, and adds what it reads besides. A
 * start ends with the container, or when it has gone on for so long that what is read is the program's work.
 */

import { setMaxListeners } from 'node:events';

import { asThinlayerError, ThinlayerError } from '../../../core/errors.js';
import type { PrefetchCounts } from '../../../core/repository.js';
import { parseObjectPath } from '../object-id.js';
import type { Objects } from '../objects.js';
import { Ahead } from './ahead.js';
import { LookAhead } from './look-ahead.js';
import { Prefetcher } from './prefetcher.js';
import type { ProfiledObject } from './profile.js';
import { ProfileFiles } from './profile-files.js';
import { Recording } from './recording.js';
import type { Asked } from './recording.js';

/** How long a start is recorded. */
const START_MS = 60_000;
/** What was used within that time is in use, and is not evicted for what may be used. */
const IN_USE_MS = 600_000;
/** Objects whose encoding is remembered, for starts that find them in the cache. */
const MAX_REMEMBERED = 16_384;

export interface StartsOptions {
  readonly fqrn: string;
  readonly objects: Objects;
  readonly connections: number;
  readonly log: { info(facts: object, message: string): void; warn(facts: object, message: string): void };
  /** Calls `opened` with what was opened since the last time. */
  readonly noteUsed: () => void;
}

interface Start {
  readonly name: string;
  readonly holders: Set<string>;
  readonly recording: Recording;
  readonly timer: NodeJS.Timeout;
}

export class Starts {
  readonly #options: StartsOptions;
  readonly #files: ProfileFiles;
  readonly #prefetcher: Prefetcher;
  readonly #ahead = new Ahead();
  readonly #running = new Map<string, Start>();
  readonly #fetching = new Map<string, Promise<void>>();
  readonly #asked = new Map<string, Asked>();
  readonly #closed = new AbortController();
  readonly #lookAhead: LookAhead;
  #recorded = 0;

  constructor(options: StartsOptions) {
    this.#options = options;
    this.#files = new ProfileFiles(options.objects.cache.directory);
    this.#prefetcher = new Prefetcher(options.connections);
    const { signal } = this.#closed;
    setMaxListeners(0, signal); // One for each object under way.
    this.#lookAhead = new LookAhead({
      objects: options.objects,
      prefetcher: this.#prefetcher,
      ahead: this.#ahead,
      signal,
    });
  }

  get statistics(): PrefetchCounts & { readonly starts: number } {
    return { starts: this.#running.size, recorded: this.#recorded, ...this.#ahead.statistics };
  }

  /** `layers`: of the image, uppermost first, as paths in the repository. Many containers that start at once are one start. */
  async begin(holder: string, layers: readonly string[]): Promise<void> {
    const name = this.#files.nameOf(this.#options.fqrn, layers);
    const running = this.#running.get(name);
    if (running) return void running.holders.add(holder);
    this.#options.noteUsed(); // What was opened before is not of this start.
    const timer = setTimeout(() => void this.#finish(start), START_MS).unref();
    const start = { name, holders: new Set([holder]), recording: new Recording(layers), timer };
    this.#running.set(name, start);
    const profile = await this.#read(name);
    start.recording.know(profile);
    if (profile.length > 0 && !this.#fetching.has(name)) this.#fetchAhead(start, profile);
  }

  async end(holder: string): Promise<void> {
    const starts = [...this.#running.values()].filter(({ holders }) => holders.delete(holder));
    await Promise.all(starts.filter(({ holders }) => holders.size === 0).map((start) => this.#finish(start)));
  }

  /** Somebody waits for this object, which `work` brings. */
  async duringMiss<T>(asked: Asked, work: () => Promise<T>): Promise<T> {
    for (const { recording } of this.#running.values()) recording.see(asked);
    this.#remember(asked);
    return await this.#prefetcher.duringMiss(work);
  }

  /** They are read soon, if somebody goes on as before: `opened` tells. */
  async lookAhead(files: readonly Asked[]): Promise<void> {
    for (const file of files) this.#remember(file);
    await this.#lookAhead.fetch(files);
  }

  opened(objects: readonly string[]): void {
    for (const object of objects) {
      this.#ahead.opened(object);
      const asked = this.#asked.get(object);
      if (asked) for (const { recording } of this.#running.values()) recording.see(asked);
    }
  }

  /** What is being recorded is written. */
  async close(): Promise<void> {
    this.#prefetcher.stop();
    this.#closed.abort();
    await Promise.all([...this.#running.values()].map((start) => this.#finish(start)));
    await Promise.all(this.#fetching.values());
  }

  #remember(asked: Asked): void {
    this.#asked.set(asked.object, asked);
    const oldest = this.#asked.keys().next();
    if (this.#asked.size > MAX_REMEMBERED && !oldest.done) this.#asked.delete(oldest.value);
  }

  /** Empty if there is none that can be trusted to be one. */
  async #read(name: string): Promise<ProfiledObject[]> {
    try {
      return (await this.#files.read(name)) ?? [];
    } catch (error) {
      this.#warn(error);
      return [];
    }
  }

  async #finish(start: Start): Promise<void> {
    if (this.#running.get(start.name) !== start) return;
    clearTimeout(start.timer);
    this.#options.noteUsed();
    this.#running.delete(start.name);
    const profile = start.recording.changed;
    if (!profile) return;
    try {
      await this.#files.write(start.name, profile);
      this.#recorded += 1;
      const message = `an image's profile has ${profile.length} objects now: what it reads at its start`;
      this.#options.log.info({ profile: start.name }, message);
    } catch (error) {
      this.#warn(error);
    }
  }

  #fetchAhead(start: Start, profile: readonly ProfiledObject[]): void {
    const { log, objects } = this.#options;
    let room = objects.cache.roomWithout(IN_USE_MS);
    const fitting = profile.filter(({ size }) => (room -= size) >= 0);
    const before = this.#ahead.statistics.objects;
    const run = this.#prefetcher
      .run(fitting, (object) => this.#fetch(start, object))
      .catch((error: unknown) => this.#warn(error))
      .finally(() => {
        this.#fetching.delete(start.name);
        const { statistics } = this.#ahead;
        const fetched = statistics.objects - before;
        if (fetched === 0) return;
        const message = `fetched ahead what an image reads at its start: ${fetched} of ${fitting.length} objects were missing`;
        log.info({ profile: start.name, prefetch: statistics }, message);
      });
    this.#fetching.set(start.name, run);
  }

  /** Rejects when it cannot be had: then the others of the profile are left to those who read them. */
  async #fetch(start: Start, { object, size, compressed }: ProfiledObject): Promise<void> {
    const { objects } = this.#options;
    const id = parseObjectPath(object);
    if (await objects.cache.find(id)) return;
    try {
      await objects.fetch(id, { size, compressed, signal: this.#closed.signal });
      this.#ahead.add(object, size);
    } catch (failure) {
      const error = asThinlayerError(failure);
      if (error.code === 'aborted') return;
      if (error.code !== 'resource_exhausted') await this.#forget(start, object);
      const message = `an image's profile, ${this.#files.pathOf(start.name)}, names an object that cannot be fetched; the rest of it is left: ${error.message}`;
      throw new ThinlayerError(error.code, message, { op: 'prefetch', cause: error });
    }
  }

  /** So that the next start does not stumble over it again. */
  async #forget({ name, recording }: Start, object: string): Promise<void> {
    recording.drop(object);
    const rest = (await this.#read(name)).filter((each) => each.object !== object);
    await this.#files.write(name, rest);
  }

  #warn(error: unknown): void {
    const { code, message } = asThinlayerError(error);
    this.#options.log.warn({ repository: this.#options.fqrn, code }, message);
  }
}
