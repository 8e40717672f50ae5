/**
 * Which server is asked, and through which proxy: shared by all requests, so that one request's experience spares the
 * others the same. Servers and proxy groups are rings; after a while the first of each is given another chance.
 */

import type { Clock } from '../clock.js';

/** A URL; null for the way without a proxy. */
export type Proxy = string | null;

export interface Route {
  /** Base URL of the repository, without a slash at its end. */
  readonly host: string;
  readonly proxy: Proxy;
}

/** What one request has tried in vain. */
export interface Tried {
  readonly hosts: ReadonlySet<string>;
  readonly proxies: ReadonlySet<Proxy>;
}

export interface RouteOptions {
  readonly hosts: readonly string[];
  readonly proxies: readonly (readonly Proxy[])[];
  /** CVMFS_HOST_RESET_AFTER. */
  readonly hostResetMs: number;
  /** CVMFS_PROXY_RESET_AFTER. */
  readonly proxyResetMs: number;
  readonly clock: Pick<Clock, 'ticks'>;
  /** Between 0 and 1, as Math.random. */
  readonly random: () => number;
}

export class Routes {
  readonly #options: RouteOptions;
  #host = 0;
  #hostLeftAt: number | null = null;
  #group = 0;
  #proxiesLeftAt: number | null = null;
  /** Members of the current group that failed. */
  readonly #burned = new Set<Proxy>();
  /** All proxies in the order in which they are asked now. */
  #order: readonly Proxy[];

  constructor(options: RouteOptions) {
    this.#options = options;
    this.#order = this.#ordered();
  }

  /** The way to go for a request that tried these. Null: there is none left. */
  next(tried: Tried): Route | null {
    this.#resetWhenDue();
    const host = ring(this.#options.hosts, this.#host).find((h) => !tried.hosts.has(h));
    const proxy = this.#order.find((p) => !tried.proxies.has(p));
    return host === undefined || proxy === undefined ? null : { host, proxy };
  }

  /** Later requests begin with the next server, unless another request has seen to that already. */
  hostFailed(host: string): void {
    const { hosts, clock } = this.#options;
    if (hosts[this.#host] !== host) return;
    this.#host = (this.#host + 1) % hosts.length;
    this.#hostLeftAt ??= clock.ticks();
  }

  /** Later requests take another one of its group; when all of them failed, the next group. */
  proxyFailed(proxy: Proxy): void {
    const { proxies, clock } = this.#options;
    const group = proxies[this.#group] ?? [];
    if (!group.includes(proxy) || this.#burned.has(proxy)) return;
    this.#burned.add(proxy);
    if (this.#burned.size === new Set(group).size) {
      this.#burned.clear();
      this.#group = (this.#group + 1) % proxies.length;
    }
    this.#proxiesLeftAt ??= clock.ticks();
    this.#order = this.#ordered();
  }

  /** When all of them failed for one server it may have been the server: the next one is asked through all of them. */
  resetProxies(): void {
    this.#burned.clear();
    this.#group = 0;
    this.#proxiesLeftAt = null;
    this.#order = this.#ordered();
  }

  #resetWhenDue(): void {
    const { hostResetMs, proxyResetMs, clock } = this.#options;
    if (this.#hostLeftAt !== null && clock.ticks() - this.#hostLeftAt >= hostResetMs) {
      this.#host = 0;
      this.#hostLeftAt = null;
    }
    if (this.#proxiesLeftAt !== null && clock.ticks() - this.#proxiesLeftAt >= proxyResetMs)
      this.resetProxies();
  }

  #ordered(): Proxy[] {
    const [current = [], ...others] = ring(this.#options.proxies, this.#group);
    const sound = current.filter((proxy) => !this.#burned.has(proxy));
    const { random } = this.#options;
    return [sound, ...others, [...this.#burned]].flatMap((group) => shuffled(group, random));
  }
}

function ring<T>(items: readonly T[], start: number): T[] {
  return [...items.slice(start), ...items.slice(0, start)];
}

function shuffled<T>(items: readonly T[], random: () => number): T[] {
  return items
    .map((item) => ({ item, rank: random() }))
    .sort((a, b) => a.rank - b.rank)
    .map(({ item }) => item);
}
