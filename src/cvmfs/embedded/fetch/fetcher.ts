/** Fetches one thing from whichever server has it, sound. */

import { ThinlayerError } from '../../../core/errors.js';
import type { Clock } from '../clock.js';
import { isRefusal } from '../refusal.js';
import { Connections } from './connections.js';
import { FetchCounters } from './counters.js';
import { TransferFailure } from './failure.js';
import { Failover } from './failover.js';
import type { RetryOptions } from './failover.js';
import type { ByteRange } from './range.js';
import { Routes } from './routes.js';
import type { Proxy, Route } from './routes.js';
import { Slots } from './slots.js';
import { transfer } from './transfer.js';
import type { Arriving } from './transfer.js';
import type { SpeedLimits } from './watch.js';

export interface FetchOptions extends RetryOptions {
  readonly hosts: readonly string[];
  readonly proxies: readonly (readonly Proxy[])[];
  readonly hostResetMs: number;
  readonly proxyResetMs: number;
  /** Through a proxy, CVMFS_TIMEOUT. */
  readonly timeoutMs: number;
  /** Without one, CVMFS_TIMEOUT_DIRECT. */
  readonly timeoutDirectMs: number;
  readonly lowSpeed: number;
  readonly totalMs: number;
  /** Transfers at once. */
  readonly connections: number;
  readonly clock: Clock;
}

/** CERN's defaults. */
export const FETCH_DEFAULTS = {
  hostResetMs: 1_800_000,
  proxyResetMs: 300_000,
  timeoutMs: 5_000,
  timeoutDirectMs: 10_000,
  lowSpeed: 1024,
  totalMs: 3_600_000,
  connections: 16,
  maxRetries: 1,
  backoffInitMs: 2_000,
  backoffMaxMs: 10_000,
  random: () => Math.random(),
} as const;

export interface Wanted<R, T> {
  /** Below the repository's base URL. */
  readonly path: string;
  /** For messages; the path, if it is not given. */
  readonly subject?: string;
  /** In place of the whole. */
  readonly range?: ByteRange | undefined;
  /** Bytes of its body at most. */
  readonly bound: number;
  readonly signal?: AbortSignal | undefined;
  /** Once for each attempt. A refusal leads to the next server; anything else it throws ends the fetch. */
  readonly receive: (body: Arriving) => Promise<R>;
  /** What takes no transfer but others of its own: a refusal, or `unavailable`, leads to the next server as well. */
  readonly accept: (received: R) => Promise<T>;
}

export class Fetcher {
  readonly #options: FetchOptions;
  readonly #routes: Routes;
  readonly #connections: Connections;
  readonly #slots: Slots;
  readonly counters: FetchCounters;

  constructor(options: FetchOptions, counters = new FetchCounters(options.hosts)) {
    this.#options = options;
    this.#routes = new Routes(options);
    const connectMs = Math.max(options.timeoutMs, options.timeoutDirectMs);
    this.#connections = new Connections({ connectMs });
    this.#slots = new Slots(options.connections);
    this.counters = counters;
  }

  /** Rejects with `unavailable`, which names what was tried, `data_loss` if every server's answer was refused, `aborted`. */
  async get<R, T>(wanted: Wanted<R, T>): Promise<T> {
    const failover = new Failover(this.#routes, this.#options);
    for (let route = failover.route(); route !== null; route = failover.route()) {
      try {
        return await this.#attempt(route, failover.noCache, wanted);
      } catch (error) {
        this.counters.of(route.host).errors += 1;
        await this.#pause(judge(failover, route, error), wanted.signal);
      }
    }
    throw failover.error(wanted.subject ?? wanted.path);
  }

  /** All that are configured. */
  get servers(): Pick<FetchOptions, 'hosts' | 'proxies'> {
    return this.#options;
  }

  /** Server and proxy that the next request goes to. */
  get route(): Route | null {
    return this.#routes.next({ hosts: new Set(), proxies: new Set() });
  }

  async close(): Promise<void> {
    await this.#connections.close();
  }

  async #attempt<R, T>(route: Route, noCache: boolean, wanted: Wanted<R, T>): Promise<T> {
    const { path, range, bound, signal } = wanted;
    const counts = this.counters.of(route.host);
    counts.requests += 1;
    const attempt = { route, path, range, bound, signal, noCache, counts, limits: this.#limits(route) };
    const work = () => transfer(this.#connections, attempt, wanted.receive);
    return await wanted.accept(await this.#slots.hold(work, signal));
  }

  #limits({ proxy }: Route): SpeedLimits {
    const { timeoutMs, timeoutDirectMs, lowSpeed, totalMs } = this.#options;
    return { timeoutMs: proxy === null ? timeoutDirectMs : timeoutMs, lowSpeed, totalMs };
  }

  async #pause(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
    if (milliseconds === 0) return;
    try {
      await this.#options.clock.sleep(milliseconds, signal);
    } catch (cause) {
      throw new ThinlayerError('aborted', 'the fetch was cancelled by its caller', { op: 'fetch', cause });
    }
  }
}

/** Milliseconds to wait before the next attempt. Throws what is no server's fault. */
function judge(failover: Failover, route: Route, error: unknown): number {
  if (error instanceof TransferFailure) return failover.failed(route, error);
  if (isRefusal(error)) {
    failover.refused(route, error);
    return 0;
  }
  if (error instanceof ThinlayerError && error.code === 'unavailable' && error.op === 'fetch') {
    return failover.failed(route, new TransferFailure('host', error.message));
  }
  throw error;
}
