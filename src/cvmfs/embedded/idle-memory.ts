/**
 * Gives memory back: malloc keeps what was freed, V8 collects only when its heap has grown by a multiple. A machine runs such a process for
 * each repository, most of them with nothing to do.
 */

import { runInNewContext } from 'node:vm';

import { loadCvmfsAddon } from './addon.js';

/**
 * So much may the heap grow between two collections: V8 lets a small one grow to its fourfold, which fetching many files makes use of. And
 * what is fetched is short-lived: for it V8 would keep 48 MiB. Set at run time: on the command line they would cost a start 20 ms, because
 * Node's own modules are compiled for V8's usual flags, and an unknown one would end it.
 */
const LIMITS = ['--heap-growing-percent=40', '--semi-space-growth-factor=1'];

export interface IdleMemoryOptions {
  /** Of the mount. */
  readonly statistics: () => Readonly<Record<string, number>>;
  readonly trim?: () => void;
  /** Makes V8 collect more often than it would. */
  readonly limit?: () => void;
  /** Collects garbage, at a stop of some 50 ms. */
  readonly collect?: () => void;
}

export class IdleMemory {
  readonly #options: Required<IdleMemoryOptions>;
  #seen = 0;
  #collected = false;

  constructor({
    statistics,
    trim = loadCvmfsAddon().trimMemory,
    limit = limitGrowth,
    collect = collectGarbage,
  }: IdleMemoryOptions) {
    this.#options = { statistics, trim, limit, collect };
  }

  /** To be called once, when the mount has settled: what loading and mounting took, 20 MiB, is not needed again. */
  begin(): void {
    this.#options.limit();
    this.#options.trim();
  }

  /** To be called every few seconds: at work what malloc can spare goes, and once it has ended everything. */
  look(): void {
    const { lookups = 0, listings = 0, reads = 0, misses = 0 } = this.#options.statistics();
    const work = lookups + listings + reads + misses;
    const idle = work === this.#seen;
    this.#seen = work;
    if (idle && this.#collected) return;
    if (idle) this.#options.collect();
    this.#options.trim();
    this.#collected = idle;
  }
}

/** Not loaded for the mount. */
function limitGrowth(): void {
  const { setFlagsFromString } = process.getBuiltinModule('node:v8');
  LIMITS.forEach(setFlagsFromString);
}

/** New contexts have `gc` from then on, as all have with `--expose-gc` on the command line. */
function collectGarbage(): void {
  process.getBuiltinModule('node:v8').setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
}
