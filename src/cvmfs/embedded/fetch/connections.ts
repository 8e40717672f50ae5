/** Connections that are kept: to each server, and to each proxy. */

import type { Dispatcher } from 'undici';

import { VERSION } from '../../../core/version.js';
import { Connection } from './connection.js';
import type { Exchange } from './exchange.js';
import { rangeHeader } from './range.js';
import type { ByteRange } from './range.js';
import type { Route } from './routes.js';
import { tunnelConnector } from './tunnel.js';
import { buildConnector } from './undici.js';

export interface ConnectionOptions {
  readonly connectMs: number;
}

export interface Question {
  /** Below the repository's base URL. */
  readonly path: string;
  readonly noCache: boolean;
  readonly range?: ByteRange | undefined;
}

const PAST_CACHES = { pragma: 'no-cache', 'cache-control': 'no-cache' };
/** Some sites let nothing pass but what calls itself a client of CVMFS. */
const USER_AGENT = { 'user-agent': `cvmfs Fuse thinlayer-${VERSION}` };

export class Connections {
  readonly #connectMs: number;
  readonly #all = new Set<Connection>();
  /** Of each server or proxy: those that nobody uses, last used last. */
  readonly #idle = new Map<string, Connection[]>();

  constructor({ connectMs }: ConnectionOptions) {
    this.#connectMs = connectMs;
  }

  ask(route: Route, { path, noCache, range }: Question): Exchange {
    const url = new URL(`${route.host}/${path}`);
    const headers = { ...USER_AGENT, ...(noCache ? PAST_CACHES : {}), ...rangeHeader(range) };
    const common = { method: 'GET' } as const;
    const timeout = this.#connectMs;
    if (route.proxy === null) {
      const make = () => new Connection(url.origin, buildConnector({ timeout }));
      return this.#ask(url.origin, make, { ...common, headers, path: url.pathname });
    }
    const proxy = new URL(route.proxy);
    if (url.protocol === 'https:') {
      const tunnel = () => tunnelConnector(proxy.origin, { ...USER_AGENT, ...credentials(proxy) }, timeout);
      const make = () => new Connection(url.origin, tunnel());
      return this.#ask(`${url.origin} through ${route.proxy}`, make, {
        ...common,
        headers,
        path: url.pathname,
      });
    }
    // A proxy of plain HTTP is asked for the whole URL (RFC 9112, section 3.2.2): caches are of no use to a tunnel.
    const make = () => new Connection(proxy.origin, buildConnector({ timeout }));
    const asked = { ...headers, ...credentials(proxy), host: url.host };
    return this.#ask(proxy.origin, make, { ...common, headers: asked, path: url.href });
  }

  async close(): Promise<void> {
    const all = [...this.#all];
    this.#all.clear();
    this.#idle.clear();
    await Promise.all(all.map((connection) => connection.close()));
  }

  #ask(key: string, make: () => Connection, question: Dispatcher.DispatchOptions): Exchange {
    const idle = this.#idle.get(key) ?? [];
    this.#idle.set(key, idle);
    const connection = idle.pop() ?? make();
    this.#all.add(connection);
    return connection.ask(question, () => void idle.push(connection));
  }
}

function credentials({ username, password }: URL): Record<string, string> {
  if (username === '') return {};
  const pair = Buffer.from(`${decoded(username)}:${decoded(password)}`, 'latin1');
  return { 'proxy-authorization': `Basic ${pair.toString('base64')}` };
}

/** A byte a character. A `%` that is no escape is one, as libcurl has it: passwords are written as they are. */
function decoded(text: string): string {
  return text.replaceAll(/%([0-9a-f]{2})/gi, (_, digits: string) =>
    String.fromCharCode(parseInt(digits, 16)),
  );
}
