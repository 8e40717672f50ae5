/**
 * Gives memory back: malloc keeps what was freed, V8 collects only when its heap has grown by a multiple. A machine runs such a process for
 * each repository, most of them with nothing to do.
 */

import { loadCvmfsAddon } from './addon.js';

/** What loading and mounting took is not needed again: 20 MiB. */
const AFTER_MOUNT_MS = 1000;

export interface IdleMemoryOptions {
  /** Of the mount. */
  readonly statistics: () => Readonly<Record<string, number>>;
  readonly trim?: () => void;
  /** Collects garbage, at a stop of some 50 ms; Node has it with `--expose-gc`. */
  readonly collect?: (() => void) | undefined;
}

export class IdleMemory {
  readonly #options: Required<IdleMemoryOptions>;
  readonly #first: NodeJS.Timeout;
  #seen = 0;
  #collected = false;

  constructor({
    statistics,
    trim = loadCvmfsAddon().trimMemory,
    collect = globalThis.gc,
  }: IdleMemoryOptions) {
    this.#options = { statistics, trim, collect };
    this.#first = setTimeout(trim, AFTER_MOUNT_MS).unref();
  }

  /** To be called every few seconds: at work what malloc can spare goes, and once it has ended everything. */
  look(): void {
    const { lookups = 0, listings = 0, reads = 0, misses = 0 } = this.#options.statistics();
    const work = lookups + listings + reads + misses;
    const idle = work === this.#seen;
    this.#seen = work;
    if (idle && this.#collected) return;
    if (idle) this.#options.collect?.();
    this.#options.trim();
    this.#collected = idle;
  }

  close(): void {
    clearTimeout(this.#first);
  }
}
