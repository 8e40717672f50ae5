/**
 * One connection that is kept, to a server or a proxy: one request at a time.
 *
 * undici's parser must never be paused: if the server closes its connection while the parser waits for a slow reader,
 * undici 7 asserts, and that ends the process (Parser.finish in client-h1.js). So a body takes whatever arrives, and a
 * reader that lags stops the socket instead: undici finds nothing to read there, and the end neither.
 */

import type { Socket } from 'node:net';

import type { Dispatcher } from 'undici';

import type { Body } from './body.js';
import { Exchange } from './exchange.js';
import { Client } from './undici.js';
import type { Connector } from './undici.js';

const KEEP_ALIVE_MS = 20_000;
/** What may arrive ahead of a body's reader. */
const AHEAD = 4 * 1024 * 1024;

export class Connection {
  readonly #client: Client;
  #socket: Socket | null = null;
  #body: Body | null = null;
  #held = false;

  constructor(origin: string, connect: Connector) {
    this.#client = new Client(origin, {
      keepAliveTimeout: KEEP_ALIVE_MS,
      connect: (options, done) =>
        connect(options, (...[error, socket]) => {
          if (error) return done(error, null);
          this.#govern(socket);
          done(null, socket);
        }),
    });
  }

  /** `released`: when the body has arrived, or nothing more of it will. */
  ask(question: Dispatcher.DispatchOptions, released: () => void): Exchange {
    const exchange = new Exchange({ released, readOn: () => this.#readOn() });
    this.#body = exchange.body;
    this.#client.dispatch({ ...question, headersTimeout: 0, bodyTimeout: 0 }, exchange);
    return exchange;
  }

  async close(): Promise<void> {
    await this.#client.destroy();
  }

  /** undici reads a socket by `read` alone, whenever it is readable. */
  #govern(socket: Socket): void {
    const read = socket.read.bind(socket);
    socket.read = (size?: number): unknown => {
      this.#held = this.#lags();
      return this.#held ? null : read(size);
    };
    this.#socket = socket;
    this.#held = false;
  }

  #readOn(): void {
    if (!this.#held || this.#lags()) return;
    this.#held = false;
    this.#socket?.emit('readable');
  }

  #lags(): boolean {
    return this.#body !== null && this.#body.waiting > AHEAD;
  }
}
