/**
 * One question, one answer: the only way that code talks to the actor of a layer or a repository.
 *
 * XState drops an event that a stopped actor gets without a word, and has no reply. So a mailbox numbers its
 * requests, listens to the actor's `reply` emissions once for the actor's life, and answers everybody who still
 * waits when the actor ends or dies.
 */

import { ThinlayerError } from '../src/core/errors.js';
import type { Reply, Unnumbered } from '../src/core/request.js';

/** What a mailbox needs of an actor that answers each `Request` with one `reply`. */
export interface AnsweringActor<Request, Value> {
  readonly id: string;
  send(event: Request): void;
  on(type: 'reply', listener: (reply: Reply<Value>) => void): unknown;
  subscribe(observer: { error: (cause: unknown) => void; complete: () => void }): unknown;
  getSnapshot(): { readonly status: string };
}

interface Waiter<Value> {
  readonly resolve: (value: Value) => void;
  readonly reject: (error: ThinlayerError) => void;
}

/** Numbers are unique in the process, so that a log or the feed can follow one request through several actors. */
let lastRequest = 0;

export class Mailbox<Request extends { readonly request: number }, Value> {
  readonly #actor: AnsweringActor<Request, Value>;
  /** What its actor is the actor of, for messages: `layer abc`. */
  readonly #subject: string;
  readonly #waiting = new Map<number, Waiter<Value>>();

  /** `died` is told of an actor that ended by an error, after its waiters were answered. */
  constructor(actor: AnsweringActor<Request, Value>, subject: string, died: (cause: unknown) => void) {
    this.#actor = actor;
    this.#subject = subject;
    actor.on('reply', (reply) => this.#settle(reply));
    actor.subscribe({
      error: (cause) => {
        this.#settleAll(cause);
        died(cause);
      },
      complete: () => this.#settleAll(undefined),
    });
  }

  ask(request: Unnumbered<Request>): Promise<Value> {
    if (this.#actor.getSnapshot().status !== 'active') return Promise.reject(this.#gone(undefined));
    return new Promise((resolve, reject) => {
      const number = ++lastRequest;
      this.#waiting.set(number, { resolve, reject });
      this.#actor.send({ ...request, request: number } as unknown as Request);
    });
  }

  #settle(reply: Reply<Value>): void {
    const waiter = this.#waiting.get(reply.request);
    this.#waiting.delete(reply.request);
    if (reply.ok) waiter?.resolve(reply.value);
    else waiter?.reject(reply.error);
  }

  #settleAll(cause: unknown): void {
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const waiter of waiting) waiter.reject(this.#gone(cause));
  }

  #gone(cause: unknown): ThinlayerError {
    return new ThinlayerError(
      'unavailable',
      `the actor of ${this.#subject} ended before it answered; what is on disk stands, ask again`,
      { layer: this.#actor.id, cause },
    );
  }
}
