/** One question on a connection, and its answer. */

import type { Dispatcher } from 'undici';

import { Body } from './body.js';

export type Headers = Readonly<Record<string, string | string[] | undefined>>;

export interface Answer {
  readonly statusCode: number;
  readonly headers: Headers;
  readonly body: Body;
  /** Something of the body was read: more may come. */
  readonly readOn: () => void;
}

export interface ExchangeOptions {
  readonly readOn: () => void;
  /** The connection is free for the next question, or gone. */
  readonly released: () => void;
}

/** What undici tells of it. */
export class Exchange implements Dispatcher.DispatchHandler {
  readonly body = new Body((reason) => this.abort(reason));
  readonly answer: Promise<Answer>;
  readonly #options: ExchangeOptions;
  #answered: (answer: Answer) => void = () => {};
  #failed: (error: Error) => void = () => {};
  #controller: Dispatcher.DispatchController | null = null;
  #aborted: Error | null = null;

  constructor(options: ExchangeOptions) {
    this.#options = options;
    this.answer = new Promise((resolve, reject) => {
      this.#answered = resolve;
      this.#failed = reject;
    });
  }

  /** Before there is a connection, which has a time limit of its own, it is but noted. */
  abort(reason: Error): void {
    this.#aborted ??= reason;
    this.#controller?.abort(reason);
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#aborted) controller.abort(this.#aborted);
  }

  onResponseStart(_controller: Dispatcher.DispatchController, statusCode: number, headers: Headers): void {
    const isInterim = statusCode < 200;
    if (isInterim) return;
    const { readOn } = this.#options;
    this.#answered({ statusCode, headers, body: this.body, readOn });
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.body.push(chunk);
  }

  onResponseEnd(): void {
    this.body.end();
    this.#options.released();
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.#failed(error);
    this.body.end(error);
    this.#options.released();
  }
}
