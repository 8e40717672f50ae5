/** What others may ask of a running `thinlayer-cvmfs`: JSON over HTTP on its unix socket; metrics as text. */

import { createServer } from 'node:http';
import type { Server, ServerResponse } from 'node:http';

import { asThinlayerError, ThinlayerError } from '../../core/errors.js';
import type { Client } from './client.js';

type Route = (client: Client, query: URLSearchParams) => unknown;

export interface ControlOptions {
  readonly client: Client;
  /** Unmounts and ends the process, after the answer. */
  readonly quit: () => void;
}

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
};

/** Not listening yet. */
export function createClientControl({ client, quit }: ControlOptions): Server {
  return createServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://control');
    const key = `${request.method} ${pathname}`;
    // Never answered: the connection ends with the process, and that is how its end is noticed.
    if (key === 'GET /watch') return void response.writeHead(200).flushHeaders();
    const route = Object.hasOwn(ROUTES, key) ? ROUTES[key] : undefined;
    void answer(response, async () => {
      if (!route) throw new ThinlayerError('not_found', `unknown request ${key}`);
      return route(client, searchParams);
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
