/**
 * The queue in front of a layer's actor: first come, first served, bounded, and a caller that gives up leaves it.
 * It is here and not in the machine, so that a machine sees one request at a time and its states stay few. A wider one
 * bounds how many threads look into one repository.
 */

import { ThinlayerError } from '../src/core/errors.js';
import type { ErrorContext } from '../src/core/errors.js';

/** More waiting callers of one layer than this is a fault of the caller or a hung mount: better a clear refusal than a growing heap. */
const MAX_WAITING = 1024;

export interface GateOptions {
  /** So many pass at once. */
  readonly width?: number;
  readonly maxWaiting?: number;
}

interface Waiter {
  readonly enter: () => void;
}

export class Gate {
  readonly #subject: string;
  readonly #width: number;
  readonly #maxWaiting: number;
  readonly #context: ErrorContext;
  #inside = 0;
  readonly #waiting: Waiter[] = [];

  /** `subject`: what is behind it, for messages, like `layer abc`; `context`, for its errors. */
  constructor(
    subject: string,
    context: ErrorContext = {},
    { width = 1, maxWaiting = MAX_WAITING }: GateOptions = {},
  ) {
    this.#subject = subject;
    this.#context = context;
    this.#width = width;
    this.#maxWaiting = maxWaiting;
  }

  get idle(): boolean {
    return this.#inside === 0 && this.#waiting.length === 0;
  }

  /** Runs `work` when all that came before is done. Rejects with `aborted` if `signal` aborts while it waits, `resource_exhausted` if too many wait. */
  async pass<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    if (this.#inside === this.#width) await this.#queue(signal);
    else this.#inside += 1;
    try {
      return await work();
    } finally {
      this.#leave();
    }
  }

  #queue(signal: AbortSignal | undefined): Promise<void> {
    if (this.#waiting.length >= this.#maxWaiting) {
      throw new ThinlayerError(
        'resource_exhausted',
        `${this.#maxWaiting} requests already wait for ${this.#subject}; one before them hangs, or its caller repeats too often`,
        this.#context,
      );
    }
    return new Promise((resolve, reject) => {
      const giveUp = () => {
        this.#waiting.splice(this.#waiting.indexOf(waiter), 1);
        reject(this.#gaveUp());
      };
      const waiter = {
        enter: () => {
          signal?.removeEventListener('abort', giveUp);
          resolve();
        },
      };
      if (signal?.aborted) return reject(this.#gaveUp());
      signal?.addEventListener('abort', giveUp, { once: true });
      this.#waiting.push(waiter);
    });
  }

  /** The next waiter inherits the place: nobody can slip in between. */
  #leave(): void {
    const next = this.#waiting.shift();
    if (next) next.enter();
    else this.#inside -= 1;
  }

  #gaveUp(): ThinlayerError {
    const message = `the caller went away while its request waited for ${this.#subject}`;
    return new ThinlayerError('aborted', message, this.#context);
  }
}
