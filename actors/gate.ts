/**
 * The queue in front of a layer's actor: first come, first served, bounded, and a caller that gives up leaves it.
 * It is here and not in the machine, so that a machine sees one request at a time and its states stay few.
 */

import { ThinlayerError } from '../src/core/errors.js';

/** More waiting callers than this is a fault of the caller or a hung mount: better a clear refusal than a growing heap. */
const MAX_WAITING = 1024;

interface Waiter {
  readonly enter: () => void;
}

export class Gate {
  readonly #name: string;
  #busy = false;
  readonly #waiting: Waiter[] = [];

  constructor(name: string) {
    this.#name = name;
  }

  get idle(): boolean {
    return !this.#busy && this.#waiting.length === 0;
  }

  /** Runs `work` when all that came before is done. Rejects with `aborted` if `signal` aborts while it waits, `resource_exhausted` if too many wait. */
  async pass<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    if (this.#busy) await this.#queue(signal);
    else this.#busy = true;
    try {
      return await work();
    } finally {
      this.#leave();
    }
  }

  #queue(signal: AbortSignal | undefined): Promise<void> {
    if (this.#waiting.length >= MAX_WAITING) {
      throw new ThinlayerError(
        'resource_exhausted',
        `${MAX_WAITING} requests already wait for layer ${this.#name}; one before them hangs, or its caller repeats too often`,
        { layer: this.#name },
      );
    }
    return new Promise((resolve, reject) => {
      const giveUp = () => {
        this.#waiting.splice(this.#waiting.indexOf(waiter), 1);
        reject(gaveUp(this.#name));
      };
      const waiter = {
        enter: () => {
          signal?.removeEventListener('abort', giveUp);
          resolve();
        },
      };
      if (signal?.aborted) return reject(gaveUp(this.#name));
      signal?.addEventListener('abort', giveUp, { once: true });
      this.#waiting.push(waiter);
    });
  }

  /** The next waiter inherits `busy`: nobody can slip in between. */
  #leave(): void {
    const next = this.#waiting.shift();
    if (next) next.enter();
    else this.#busy = false;
  }
}

function gaveUp(layer: string): ThinlayerError {
  return new ThinlayerError('aborted', `the caller went away while its request waited for layer ${layer}`, {
    layer,
  });
}
