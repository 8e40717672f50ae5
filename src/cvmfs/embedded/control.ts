/** What others may ask of a running `thinlayer-cvmfs`: JSON over HTTP on its unix socket. */

import { createServer } from 'node:http';
import type { Server, ServerResponse } from 'node:http';

import { asThinlayerError, ThinlayerError } from '../../core/errors.js';
import type { Client } from './client.js';

type Route = (client: Client) => unknown;

export interface ControlOptions {
  readonly client: Client;
  /** Unmounts and ends the process, after the answer. */
  readonly quit: () => void;
}

/** Not listening yet. */
export function createClientControl({ client, quit }: ControlOptions): Server {
  const routes: Readonly<Record<string, Route>> = {
    'GET /status': () => client.status(),
    'POST /refresh': () => client.refresh(),
    'POST /quit': () => ({}),
  };
  return createServer((request, response) => {
    const key = `${request.method} ${request.url}`;
    // Never answered: the connection ends with the process, and that is how its end is noticed.
    if (key === 'GET /watch') return void response.writeHead(200).flushHeaders();
    const route = Object.hasOwn(routes, key) ? routes[key] : undefined;
    void answer(response, async () => {
      if (!route) throw new ThinlayerError('not_found', `unknown request ${key}`);
      return route(client);
    }).then(() => {
      if (key === 'POST /quit') quit();
    });
  });
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
