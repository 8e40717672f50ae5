/** Reads that failed lately: told once, and answered at once to those who come right after. */

import type { Clock } from './clock.js';
import type { ThinlayerError } from '../../core/errors.js';
import type { Miss } from './mount.js';

/** The same failure of the same object is told again after that time. */
const AGAIN_MS = 10_000;
/** Objects that are remembered; more fail only where all do. */
const MOST = 1000;
/** However long it took to find out: the first read after a server is back should not wait for long. */
const LONGEST_MS = 1_000;
/** A failure as old as that explains nothing. */
const EXPLAINS_MS = 60_000;

interface Failure {
  readonly text: string;
  readonly told: number;
  /** Nobody tries before. */
  readonly until: number;
}

export class Failures {
  readonly #log: { error(facts: object, message: string): void };
  readonly #clock: Pick<Clock, 'ticks'>;
  readonly #failures = new Map<string, Failure>();
  #latest: { readonly text: string; readonly at: number } | null = null;

  constructor(log: { error(facts: object, message: string): void }, clock: Pick<Clock, 'ticks'>) {
    this.#log = log;
    this.#clock = clock;
  }

  /**
   * `took`: the milliseconds that it took to find out. For as long the object is refused without another try: the kernel lets
   * those who wait for one name or page through one at a time, and each would wait for the same time-outs anew. It also
   * asks twice for what it did not get, first ahead of the reader, then for the reader.
   */
  failed(
    { path, object }: Pick<Miss, 'path' | 'object'>,
    { code, message }: ThinlayerError,
    took: number,
  ): void {
    const now = this.#clock.ticks();
    const before = this.#failures.get(object);
    const text = `${path} cannot be read: ${message}`;
    const isNews = before?.text !== text || now - before.told >= AGAIN_MS;
    if (this.#failures.size >= MOST) this.#failures.clear();
    const told = isNews ? now : before.told;
    this.#failures.set(object, { text, told, until: now + Math.min(took, LONGEST_MS) });
    this.#latest = { text, at: now };
    if (isNews) this.#log.error({ path, object, code }, text);
  }

  isRefused(object: string): boolean {
    const failure = this.#failures.get(object);
    return failure !== undefined && this.#clock.ticks() < failure.until;
  }

  /** What failed last; null: nothing, lately. */
  get latest(): string | null {
    return this.#latest && this.#clock.ticks() - this.#latest.at < EXPLAINS_MS ? this.#latest.text : null;
  }
}
