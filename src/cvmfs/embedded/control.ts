/** What others may ask of a running `thinlayer-cvmfs`: JSON over HTTP on its unix socket; metrics as text. */

import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';

import { asThinlayerError, ThinlayerError } from '../../core/errors.js';
import type { Client } from './client.js';

type Route = (client: Client, query: URLSearchParams, body: unknown) => unknown;

export interface ControlOptions {
  readonly client: Client;
  /** Unmounts and ends the process, after the answer. */
  readonly quit: () => void;
}

/** 500 layers with long names. */
const MAX_BODY = 256 * 1024;

const ROUTES: Readonly<Record<string, Route>> = {
  'GET /status': (client) => client.status(),
  'GET /revision': (client) => client.revision(),
  'GET /hosts': (client) => client.hosts(),
  'GET /proxies': (client) => client.proxies(),
  'GET /metrics': (client) => client.metrics(),
  'POST /refresh': (client) => client.refresh(),
  // cvmfs_talk's word for the same.
  'POST /remount': (client) => client.refresh(),
  'GET /cache': (client) => client.cache.facts(),
  'GET /cache/list': (client) => client.cache.list(),
  'POST /cache/limit': (client, query) => client.cache.setLimit(needed(query, 'megabytes')),
  'POST /cache/evict': (client, query) => client.cache.evict(needed(query, 'object')),
  'POST /cache/pin': (client, query) => client.cache.pin(needed(query, 'object')),
  'POST /cache/unpin': (client, query) => client.cache.unpin(needed(query, 'object')),
  'POST /cache/check': (client) => client.cache.check(),
  'POST /quit': () => ({}),
  'POST /start/begin': (client, _query, body) => {
    const { holder, layers } = startOf(body);
    return client.beginStart(holder, layers).then(() => ({}));
  },
  'POST /start/end': (client, _query, body) => client.endStart(startOf(body).holder).then(() => ({})),
};

/** Not listening yet. */
export function createClientControl({ client, quit }: ControlOptions): Server {
  return createServer((request, response) => {
    const [pathname = '', search = ''] = (request.url ?? '').split('?', 2);
    const key = `${request.method} ${pathname}`;
    // Never answered: the connection ends with the process, and that is how its end is noticed.
    if (key === 'GET /watch') return void response.writeHead(200).flushHeaders();
    const route = Object.hasOwn(ROUTES, key) ? ROUTES[key] : undefined;
    void answer(response, async () => {
      if (!route) throw new ThinlayerError('not_found', `unknown request ${key}`);
      return route(client, new URLSearchParams(search), await bodyOf(request));
    }).then(() => {
      if (key === 'POST /quit') quit();
    });
  });
}

function needed(query: URLSearchParams, name: string): string {
  const value = query.get(name);
  if (value !== null) return value;
  throw new ThinlayerError('invalid_argument', `${name} is missing`);
}

/** JSON; null if there is none. */
async function bodyOf(request: IncomingMessage): Promise<unknown> {
  let text = '';
  for await (const chunk of request.setEncoding('utf8')) {
    text += chunk as string;
    if (text.length > MAX_BODY) throw invalid(`more than ${MAX_BODY} characters`);
  }
  if (text === '') return null;
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    throw invalid((error as Error).message);
  }
}

/** Who starts, and on which layers: paths in the repository, uppermost first. */
function startOf(body: unknown): { readonly holder: string; readonly layers: readonly string[] } {
  const { holder, layers = [] } = (body ?? {}) as { holder?: unknown; layers?: unknown };
  const isPath = (path: unknown) => typeof path === 'string' && path !== '' && !path.startsWith('/');
  if (typeof holder !== 'string') throw invalid('"holder" is not a text');
  if (!Array.isArray(layers) || !layers.every(isPath)) throw invalid('"layers" are not relative paths');
  return { holder, layers: layers as string[] };
}

function invalid(what: string): ThinlayerError {
  return new ThinlayerError('invalid_argument', `the request's body cannot be used: ${what}`);
}

async function answer(response: ServerResponse, work: () => Promise<unknown>): Promise<void> {
  try {
    send(response, 200, await work());
  } catch (failure) {
    const { code, message } = asThinlayerError(failure);
    send(response, 400, { code, message });
  }
}

function send(response: ServerResponse, status: number, value: unknown): void {
  const isText = typeof value === 'string';
  response
    .writeHead(status, { 'Content-Type': isText ? 'text/plain; version=0.0.4' : 'application/json' })
    .end(isText ? value : `${JSON.stringify(value)}\n`);
}
