/** Fetches what somebody is about to read who reads one file after the other. */

import { parseObjectPath } from '../object-id.js';
import type { Objects } from '../objects.js';
import type { Ahead } from './ahead.js';
import type { Prefetcher } from './prefetcher.js';
import type { ProfiledObject } from './profile.js';

export interface LookAheadOptions {
  readonly objects: Objects;
  readonly prefetcher: Prefetcher;
  readonly ahead: Ahead;
  readonly signal: AbortSignal;
}

export class LookAhead {
  readonly #options: LookAheadOptions;

  constructor(options: LookAheadOptions) {
    this.#options = options;
  }

  /**
   * None of them is in the cache. Nothing is evicted for them. Resolves when all are fetched that can be: one that cannot
   * ends it, and is an error only to whoever reads it.
   */
  async fetch(files: readonly ProfiledObject[]): Promise<void> {
    const { objects, prefetcher } = this.#options;
    let { free } = objects.cache;
    const fitting = files.filter(({ size }) => (free -= size) >= 0);
    try {
      await prefetcher.run(fitting, (file) => this.#fetch(file));
    } catch {
      // The reader who comes to it is told, after trying himself.
    }
  }

  async #fetch({ object, size, compressed }: ProfiledObject): Promise<void> {
    const { objects, ahead, signal } = this.#options;
    await objects.fetch(parseObjectPath(object), { size, compressed, signal, missed: true });
    ahead.add(object, size);
  }
}
