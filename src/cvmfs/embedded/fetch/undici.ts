/**
 * The parts of undici that are needed, from where they lie: its index loads `fetch`, WebSockets and caches as well, which
 * costs each repository's process 9 MiB and its start 50 ms. The version is pinned, and a test of the fetcher finds a move.
 */

import { createRequire, Module } from 'node:module';

import type * as undici from 'undici';

const load = createRequire(import.meta.url);

/** HTTP/2 is asked for nowhere (`allowH2` is off), and its part of undici would load that of Node: 7 ms and 2 MiB more. */
const http2 = new Module(load.resolve('undici/lib/dispatcher/client-h2.js'));
http2.loaded = true;
http2.exports = () => {
  throw new Error('HTTP/2 is not spoken here');
};
load.cache[http2.id] = http2;

export const Client = load('undici/lib/dispatcher/client.js') as typeof undici.Client;
export type Client = undici.Client;
export type Connector = undici.buildConnector.connector;
export const buildConnector = load('undici/lib/core/connect.js') as typeof undici.buildConnector;

/** What the index does, for all of its ways to ask. */
const dispatcher = load('undici/lib/dispatcher/dispatcher.js') as { prototype: object };
Object.assign(dispatcher.prototype, { connect: load('undici/lib/api/api-connect.js') as unknown });
