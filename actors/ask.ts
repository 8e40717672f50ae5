/**
 * One question, one answer: the only way that code talks to a layer's actor.
 *
 * XState drops an event that a stopped actor gets without a word, and has no reply. So a mailbox numbers its
 * requests, listens to the actor's `reply` emissions once for the actor's life, and answers everybody who still
 * waits when the actor ends or dies.
 */

import type { ActorRefFrom } from 'xstate';

import { ThinlayerError } from '../src/core/errors.js';
import type { LayerReply, LayerRequest, ReplyValue, Unnumbered } from '../src/core/request.js';
import type { layerMachine } from './layer.machine.js';

export type LayerActor = ActorRefFrom<typeof layerMachine>;

interface Waiter {
  readonly resolve: (value: ReplyValue) => void;
  readonly reject: (error: ThinlayerError) => void;
}

/** Numbers are unique in the process, so that a log or the feed can follow one request through several actors. */
let lastRequest = 0;

export class Mailbox {
  readonly #actor: LayerActor;
  readonly #waiting = new Map<number, Waiter>();

  /** `died` is told of an actor that ended by an error, after its waiters were answered. */
  constructor(actor: LayerActor, died: (cause: unknown) => void) {
    this.#actor = actor;
    actor.on('reply', (reply) => this.#settle(reply));
    actor.subscribe({
      error: (cause) => {
        this.#settleAll(cause);
        died(cause);
      },
      complete: () => this.#settleAll(undefined),
    });
  }

  ask(request: Unnumbered): Promise<ReplyValue> {
    if (this.#actor.getSnapshot().status !== 'active') return Promise.reject(this.#gone(undefined));
    return new Promise((resolve, reject) => {
      const number = ++lastRequest;
      this.#waiting.set(number, { resolve, reject });
      this.#actor.send({ ...request, request: number } as LayerRequest);
    });
  }

  #settle(reply: LayerReply): void {
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
      `the actor of layer ${this.#actor.id} ended before it answered; its record on disk stands, ask again`,
      { layer: this.#actor.id, cause },
    );
  }
}
