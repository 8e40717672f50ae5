/**
 * The parts of undici that are needed, from where they lie: its index loads `fetch`, WebSockets and caches as well, which
 * costs each repository's process 9 MiB and its start 50 ms. The version is pinned, and a test of the fetcher finds a move.
 */

import { createRequire } from 'node:module';

import type * as undici from 'undici';

const load = createRequire(import.meta.url);

export const Client = load('undici/lib/dispatcher/client.js') as typeof undici.Client;
export type Client = undici.Client;
export type Connector = undici.buildConnector.connector;
export const buildConnector = load('undici/lib/core/connect.js') as typeof undici.buildConnector;

/** What the index does, for all of its ways to ask. */
const dispatcher = load('undici/lib/dispatcher/dispatcher.js') as { prototype: object };
Object.assign(dispatcher.prototype, { connect: load('undici/lib/api/api-connect.js') as unknown });
