/** Random choices that can be made again: a failing run tells its seed. */

import { randomInt } from 'node:crypto';

export class Random {
  readonly seed: number;
  private state: number;

  /** `THINLAYER_SEED` repeats a run, as far as the choices go. */
  constructor(seed = Number(process.env['THINLAYER_SEED'] ?? randomInt(2 ** 31))) {
    this.seed = seed;
    this.state = seed;
  }

  /** A whole number from 0 to `limit` - 1 (mulberry32). */
  below(limit: number): number {
    this.state = (this.state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * limit);
  }

  pick<T>(values: readonly T[]): T {
    return values[this.below(values.length)] as T;
  }
}
