/**
 * Where one request goes next after a failure. As CERN's client: an accident of the network is repeated where it
 * happened, after a pause; then comes the next proxy, or the next server, through all proxies anew. What was refused is
 * asked once more of a proxy, past its cache, and never again of the same server.
 */

import { ThinlayerError } from '../../../core/errors.js';
import { refusal } from '../refusal.js';
import type { TransferFailure } from './failure.js';
import type { Proxy, Route, Routes } from './routes.js';

export interface RetryOptions {
  /** CVMFS_MAX_RETRIES, of a whole request. */
  readonly maxRetries: number;
  /** CVMFS_BACKOFF_INIT; the pause doubles up to CVMFS_BACKOFF_MAX. */
  readonly backoffInitMs: number;
  readonly backoffMaxMs: number;
  readonly random: () => number;
}

export class Failover {
  readonly #routes: Routes;
  readonly #options: RetryOptions;
  readonly #hosts = new Set<string>();
  readonly #proxies = new Set<Proxy>();
  readonly #refused = new Map<string, ThinlayerError>();
  /** How often each came. */
  readonly #failures = new Map<string, number>();
  #again: Route | null = null;
  #noCache = false;
  #retries = 0;
  #pause = 0;

  constructor(routes: Routes, options: RetryOptions) {
    this.#routes = routes;
    this.#options = options;
  }

  /** Null: everything was tried. */
  route(): Route | null {
    return this.#again ?? this.#routes.next({ hosts: this.#hosts, proxies: this.#proxies });
  }

  /** The next attempt has to go past caches. */
  get noCache(): boolean {
    return this.#noCache;
  }

  /** What could not be trusted. */
  refused(route: Route, error: ThinlayerError): void {
    this.#note(route, error.message);
    const askPastCache = route.proxy !== null && !this.#noCache;
    this.#noCache = askPastCache;
    this.#again = askPastCache ? route : null;
    if (askPastCache) return;
    this.#refused.set(route.host, error);
    this.#leaveHost(route.host);
  }

  /** What did not arrive. Answers the milliseconds to wait before the next attempt. */
  failed(route: Route, failure: TransferFailure): number {
    this.#note(route, failure.message);
    const repeat = failure.accident && !this.#noCache && this.#retries < this.#options.maxRetries;
    this.#noCache = false;
    this.#again = repeat ? route : null;
    if (repeat) return this.#backoff();
    if (failure.blame === 'host') this.#leaveHost(route.host);
    else this.#leaveProxy(route);
    return 0;
  }

  /** When there is no route left. `data_loss` if each server's answer was refused, else `unavailable`. */
  error(subject: string): ThinlayerError {
    const [first] = this.#refused.values();
    if (first && this.#refused.size === this.#hosts.size) {
      if (this.#refused.size === 1) return first;
      return refusal(`${subject} is wrong on every server: ${this.#told()}`, first);
    }
    const tried = this.#told() || 'no server is configured';
    return new ThinlayerError('unavailable', `${subject} cannot be fetched: ${tried}`, { op: 'fetch' });
  }

  #note({ host, proxy }: Route, message: string): void {
    const cache = this.#noCache ? ', past its cache' : '';
    const failure = `${host}${proxy === null ? '' : ` through ${withoutPassword(proxy)}${cache}`}: ${message}`;
    this.#failures.set(failure, (this.#failures.get(failure) ?? 0) + 1);
  }

  #told(): string {
    const times = (count: number) => (count === 1 ? '' : ` (${count} times)`);
    return [...this.#failures].map(([failure, count]) => failure + times(count)).join('; ');
  }

  /** Random at first, so that a cluster of clients does not come back at once. */
  #backoff(): number {
    const { backoffInitMs, backoffMaxMs, random } = this.#options;
    this.#retries += 1;
    this.#pause = this.#pause === 0 ? Math.ceil(random() * backoffInitMs) : this.#pause * 2;
    this.#pause = Math.min(this.#pause, backoffMaxMs);
    return this.#pause;
  }

  #leaveHost(host: string): void {
    this.#hosts.add(host);
    this.#routes.hostFailed(host);
  }

  #leaveProxy({ host, proxy }: Route): void {
    this.#proxies.add(proxy);
    this.#routes.proxyFailed(proxy);
    if (this.route() !== null) return;
    this.#proxies.clear();
    this.#routes.resetProxies();
    this.#leaveHost(host);
  }
}

export function withoutPassword(proxy: string): string {
  const url = new URL(proxy);
  url.password = '';
  return url.href;
}
