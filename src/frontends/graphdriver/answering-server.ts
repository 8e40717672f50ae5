/** An HTTP server that can tell when all it has to say is said. */

import { Server } from 'node:http';
import type { RequestListener, ServerOptions } from 'node:http';

export class AnsweringServer extends Server {
  #answering = 0;
  #waiting: (() => void)[] = [];

  constructor(options: ServerOptions, listener: RequestListener) {
    super(options, (request, response) => {
      this.#answering += 1;
      response.once('close', () => this.#closed());
      listener(request, response);
    });
  }

  /** Resolves when no answer is owed: each has been given to the kernel whole, or its caller is gone. */
  answered(): Promise<void> {
    return this.#answering === 0 ? Promise.resolve() : new Promise((resolve) => this.#waiting.push(resolve));
  }

  #closed(): void {
    this.#answering -= 1;
    if (this.#answering > 0) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }
}
