/** Tells of reads that fail, each once: the kernel asks twice for what it did not get, first ahead of the reader, then for the reader. */

import type { Clock } from './clock.js';
import type { ThinlayerError } from '../../core/errors.js';
import type { Miss } from './mount.js';

/** The same failure of the same object is told again after that time. */
const AGAIN_MS = 10_000;
/** Objects that are remembered; more fail only where all do. */
const MOST = 1000;

interface Told {
  readonly message: string;
  readonly at: number;
}

export class FailureLog {
  readonly #log: { error(facts: object, message: string): void };
  readonly #clock: Clock;
  readonly #told = new Map<string, Told>();

  constructor(log: { error(facts: object, message: string): void }, clock: Clock) {
    this.#log = log;
    this.#clock = clock;
  }

  failed({ path, object }: Pick<Miss, 'path' | 'object'>, { code, message }: ThinlayerError): void {
    const [told, at] = [this.#told.get(object), this.#clock.now()];
    if (told?.message === message && at - told.at < AGAIN_MS) return;
    if (this.#told.size >= MOST) this.#told.clear();
    this.#told.set(object, { message, at });
    this.#log.error({ path, object, code }, `${path} cannot be read: ${message}`);
  }
}
