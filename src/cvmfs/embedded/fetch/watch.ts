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
  readonly #window: NodeJS.Timeout;
  readonly #total: NodeJS.Timeout;
  readonly #outer: AbortSignal | undefined;
  #bytes = 0;
  #paused = false;
  #reason: Error | null = null;
  #tell: (reason: Error) => void = () => {};

  constructor(limits: SpeedLimits, blame: 'host' | 'proxy', outer: AbortSignal | undefined) {
    this.#limits = limits;
    this.#blame = blame;
    this.#outer = outer;
    this.#window = setInterval(() => this.#look(), limits.timeoutMs);
    this.#total = setTimeout(() => this.#tooSlow(`took longer than ${limits.totalMs} ms`), limits.totalMs);
    outer?.addEventListener('abort', this.#pass);
    if (outer?.aborted) this.#pass();
  }

  /** Called once, when the transfer has to end: with why. */
  onEnd(tell: (reason: Error) => void): void {
    this.#tell = tell;
    if (this.#reason) tell(this.#reason);
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
    if (tooSlow && !this.#paused) this.#tooSlow(`sent ${this.#bytes} bytes within ${timeoutMs} ms`);
    this.#bytes = 0;
  }

  #tooSlow(message: string): void {
    this.#end(new TransferFailure(this.#blame, message, { accident: true }));
  }

  #end(reason: Error): void {
    if (this.#reason) return;
    this.#reason = reason;
    this.#tell(reason);
  }

  readonly #pass = (): void => this.#end(new Error('the caller gave up'));
}
