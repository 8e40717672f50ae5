/**
 * Gives memory back: malloc keeps what was freed, V8 collects only when its heap has grown by a multiple. A machine runs such a process for
 * each repository, most of them with nothing to do.
 */

import { loadCvmfsAddon } from './addon.js';

/** What loading and mounting took is not needed again: 20 MiB. */
const AFTER_MOUNT_MS = 1000;
/** The heap may grow so much between two collections: V8 lets a small one grow to its fourfold, which fetching many files makes use of. */
const GROWTH = '--heap-growing-percent=40';

export interface IdleMemoryOptions {
  /** Of the mount. */
  readonly statistics: () => Readonly<Record<string, number>>;
  readonly trim?: () => void;
  /** Makes V8 collect more often than it would. */
  readonly limit?: () => void;
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
    limit = limitGrowth,
    collect = globalThis.gc,
  }: IdleMemoryOptions) {
    this.#options = { statistics, trim, limit, collect };
    this.#first = setTimeout(() => this.#begin(), AFTER_MOUNT_MS).unref();
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

  #begin(): void {
    this.#options.limit();
    this.#options.trim();
  }
}

/** Not on the command line, where Node would refuse to start with a V8 that knows the option no more; and not loaded for the mount. */
function limitGrowth(): void {
  process.getBuiltinModule('node:v8').setFlagsFromString(GROWTH);
}
