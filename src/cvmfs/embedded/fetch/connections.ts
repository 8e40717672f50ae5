/** Connections that are kept: to each server, and to each proxy. */

import { Pool, ProxyAgent } from 'undici';
import type { Dispatcher } from 'undici';

import { VERSION } from '../../../core/version.js';
import type { Route } from './routes.js';

export interface ConnectionOptions {
  /** At once to one server or proxy. */
  readonly connections: number;
  readonly connectMs: number;
}

export interface Question {
  /** Below the repository's base URL. */
  readonly path: string;
  readonly noCache: boolean;
  readonly signal: AbortSignal;
}

const KEEP_ALIVE_MS = 20_000;
/**
 * What may arrive ahead of its reader. Plenty, because undici 7 asserts, and so ends the process, if a server closes its
 * connection after a body whose last bytes wait for a reader that lags (Parser.finish in client-h1.js).
 */
const AHEAD = 8 * 1024 * 1024;
const PAST_CACHES = { pragma: 'no-cache', 'cache-control': 'no-cache' };
/** Some sites let nothing pass but what calls itself a client of CVMFS. */
const USER_AGENT = { 'user-agent': `cvmfs Fuse thinlayer-${VERSION}` };

export class Connections {
  readonly #options: ConnectionOptions;
  readonly #pools = new Map<string, Dispatcher>();

  constructor(options: ConnectionOptions) {
    this.#options = options;
  }

  ask(route: Route, { path, noCache, signal }: Question): Promise<Dispatcher.ResponseData> {
    const url = new URL(`${route.host}/${path}`);
    const headers = { ...USER_AGENT, ...(noCache ? PAST_CACHES : {}) };
    // What takes too long is for the caller's watch to say, which knows more than these two.
    const common = {
      method: 'GET',
      signal,
      headersTimeout: 0,
      bodyTimeout: 0,
      highWaterMark: AHEAD,
    } as const;
    if (route.proxy === null) {
      const direct = { ...common, headers, path: url.pathname };
      return this.#pool(url.origin, () => new Pool(url.origin, this.#poolOptions())).request(direct);
    }
    if (url.protocol === 'https:') {
      const tunnelled = { ...common, headers, origin: url.origin, path: url.pathname };
      return this.#pool(`tunnel ${route.proxy}`, () => this.#tunnel(route.proxy)).request(tunnelled);
    }
    // A proxy of plain HTTP is asked for the whole URL (RFC 9112, section 3.2.2): caches are of no use to a tunnel.
    const proxy = new URL(route.proxy);
    const asked = { ...headers, ...credentials(proxy), host: url.host };
    return this.#pool(proxy.origin, () => new Pool(proxy.origin, this.#poolOptions())).request({
      ...common,
      headers: asked,
      path: url.href,
    });
  }

  async close(): Promise<void> {
    const pools = [...this.#pools.values()];
    this.#pools.clear();
    await Promise.all(pools.map((pool) => pool.destroy()));
  }

  #pool(key: string, make: () => Dispatcher): Dispatcher {
    const pool = this.#pools.get(key) ?? make();
    this.#pools.set(key, pool);
    return pool;
  }

  #tunnel(proxy: string | null): Dispatcher {
    return new ProxyAgent({ uri: String(proxy), ...this.#poolOptions() });
  }

  #poolOptions(): Pool.Options {
    const { connections, connectMs } = this.#options;
    return { connections, connect: { timeout: connectMs }, keepAliveTimeout: KEEP_ALIVE_MS };
  }
}

function credentials({ username, password }: URL): Record<string, string> {
  if (username === '') return {};
  const pair = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  return { 'proxy-authorization': `Basic ${Buffer.from(pair).toString('base64')}` };
}
