/** Ends a transfer that takes too long: a server that hangs must not hang us. */

import { TransferFailure } from './failure.js';

export interface SpeedLimits {
  /** CVMFS_TIMEOUT: for a connection and the first byte, and the time over which the speed is measured. */
  readonly timeoutMs: number;
  /** CVMFS_LOW_SPEED_LIMIT, bytes per second. */
  readonly lowSpeed: number;
  /** For a whole transfer. */
  readonly totalMs: number;
}

export class Watch {
  readonly #limits: SpeedLimits;
  readonly #blame: 'host' | 'proxy';
  readonly #abort = new AbortController();
  readonly #window: NodeJS.Timeout;
  readonly #total: NodeJS.Timeout;
  readonly #outer: AbortSignal | undefined;
  #bytes = 0;
  #paused = false;

  constructor(limits: SpeedLimits, blame: 'host' | 'proxy', outer: AbortSignal | undefined) {
    this.#limits = limits;
    this.#blame = blame;
    this.#outer = outer;
    this.#window = setInterval(() => this.#look(), limits.timeoutMs);
    this.#total = setTimeout(() => this.#end(`took longer than ${limits.totalMs} ms`), limits.totalMs);
    outer?.addEventListener('abort', this.#pass);
    if (outer?.aborted) this.#pass();
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  arrived(bytes: number): void {
    this.#bytes += bytes;
  }

  /** While we ourselves do not read, the server is not to blame. */
  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
  }

  stop(): void {
    clearInterval(this.#window);
    clearTimeout(this.#total);
    this.#outer?.removeEventListener('abort', this.#pass);
  }

  #look(): void {
    const { timeoutMs, lowSpeed } = this.#limits;
    const tooSlow = this.#bytes < (lowSpeed * timeoutMs) / 1000;
    if (tooSlow && !this.#paused) this.#end(`sent ${this.#bytes} bytes within ${timeoutMs} ms`);
    this.#bytes = 0;
  }

  #end(message: string): void {
    this.#abort.abort(new TransferFailure(this.#blame, message, { accident: true }));
  }

  readonly #pass = (): void => {
    this.#abort.abort(this.#outer?.reason);
  };
}
