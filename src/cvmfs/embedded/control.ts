/** What others may ask of a running `thinlayer-cvmfs`: JSON over HTTP on its unix socket. */

import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';

import { asThinlayerError, ThinlayerError } from '../../core/errors.js';
import type { Client } from './client.js';

type Route = (client: Client, body: unknown) => unknown;

export interface ControlOptions {
  readonly client: Client;
  /** Unmounts and ends the process, after the answer. */
  readonly quit: () => void;
}

/** 500 layers with long names. */
const MAX_BODY = 256 * 1024;

/** Not listening yet. */
export function createClientControl({ client, quit }: ControlOptions): Server {
  const routes: Readonly<Record<string, Route>> = {
    'GET /status': () => client.status(),
    'POST /refresh': () => client.refresh(),
    'POST /quit': () => ({}),
    'POST /start/begin': (client, body) => {
      const { holder, layers } = startOf(body);
      return client.beginStart(holder, layers).then(() => ({}));
    },
    'POST /start/end': (client, body) => client.endStart(startOf(body).holder).then(() => ({})),
  };
  return createServer((request, response) => {
    const key = `${request.method} ${request.url}`;
    // Never answered: the connection ends with the process, and that is how its end is noticed.
    if (key === 'GET /watch') return void response.writeHead(200).flushHeaders();
    const route = Object.hasOwn(routes, key) ? routes[key] : undefined;
    void answer(response, async () => {
      if (!route) throw new ThinlayerError('not_found', `unknown request ${key}`);
      return route(client, await bodyOf(request));
    }).then(() => {
      if (key === 'POST /quit') quit();
    });
  });
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
  response.writeHead(status, { 'Content-Type': 'application/json' }).end(`${JSON.stringify(value)}\n`);
}
