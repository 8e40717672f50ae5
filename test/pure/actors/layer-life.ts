/** A layer's machine whose works end when and as the test says; all states and replies are kept. */

import { createActor, fromPromise } from 'xstate';
import type { ActorRefFrom } from 'xstate';

import { Mailbox } from '../../../actors/ask.js';
import { layerMachine } from '../../../actors/layer.machine.js';
import type { LayerInput } from '../../../actors/layer.machine.js';
import { asThinlayerError, ThinlayerError } from '../../../src/core/errors.js';
import type { LayerId, LayerInfo, LayerRecord } from '../../../src/core/model.js';
import type { LayerReply, LayerRequest, ReplyValue, Unnumbered } from '../../../src/core/request.js';

export const ID = 'child' as LayerId;
export const PARENT = 'parent' as LayerId;

export const REQUESTS = {
  create: { type: 'layer.create', parent: PARENT, kind: 'image', options: {} },
  apply: { type: 'layer.apply', parent: PARENT, tar: (async function* () {})() },
  attach: { type: 'layer.attach', label: null },
  detach: { type: 'layer.detach' },
  remove: { type: 'layer.remove' },
  repair: { type: 'layer.repair' },
} as const satisfies Record<string, Unnumbered>;

export type RequestName = keyof typeof REQUESTS;

export function infoOf(record: Partial<LayerRecord> = {}, lowers = ['/home/parent/diff']): LayerInfo {
  const root = `/home/${ID}`;
  return {
    record: {
      version: 1,
      id: ID,
      parent: PARENT,
      kind: 'image',
      state: 'created',
      link: 'L'.repeat(26),
      size: null,
      quota: null,
      mountLabel: null,
      ...record,
    },
    paths: { root, diff: `${root}/diff`, work: `${root}/work`, merged: `${root}/merged` },
    lowers,
    depth: lowers.length,
    committed: false,
  };
}

/** The result that a work has when all goes well. */
const RESULTS: Readonly<Record<string, unknown>> = {
  createLayer: infoOf(),
  applyLayer: infoOf({ state: 'applied', size: 7 }),
  mountLayer: `/home/${ID}/merged`,
  unmountLayer: undefined,
  removeLayer: undefined,
  reloadLayer: infoOf(),
};

export type Outcome = 'ok' | 'fail';

interface Job {
  readonly end: () => void;
  readonly fail: (error: Error) => void;
}

export interface Met extends Partial<LayerInput> {
  /** What it is mounted on is no more, whenever one asks. */
  readonly stranded?: boolean;
}

export class LayerLife {
  readonly actor: ActorRefFrom<typeof layerMachine>;
  readonly mailbox: Mailbox<LayerRequest, ReplyValue>;
  /** Each value that the machine had, from its start on. */
  readonly states: string[] = [];
  readonly replies: LayerReply[] = [];
  /** The least number of uses ever seen. */
  leastUses = 0;
  readonly #jobs: Job[] = [];
  readonly #started: (() => void)[] = [];
  /** How the next work ends, at once; undefined: by `end`. */
  #next: (() => Outcome) | undefined;

  constructor({ stranded = false, ...input }: Met = {}) {
    const actors = Object.fromEntries(Object.keys(RESULTS).map((name) => [name, this.#work(name)]));
    const machine = layerMachine.provide({
      actors,
      guards: { isStranded: () => stranded },
    } as Parameters<typeof layerMachine.provide>[0]);
    this.actor = createActor(machine, {
      id: ID,
      input: { id: ID, info: undefined, broken: undefined, uses: 0, ...input },
    });
    this.actor.subscribe(({ value, context }) => {
      if (this.states.at(-1) !== value) this.states.push(String(value));
      this.leastUses = Math.min(this.leastUses, context.uses);
    });
    this.actor.on('reply', (reply) => this.replies.push(reply));
    this.mailbox = new Mailbox(this.actor, `layer ${ID}`, () => undefined);
    this.actor.start();
  }

  /** The reply to a request whose works end as `outcomes` say one after the other (the rest well). */
  async ask(name: RequestName, ...outcomes: Outcome[]): Promise<string> {
    this.endAs(() => outcomes.shift() ?? 'ok');
    const reply = await this.mailbox.ask(REQUESTS[name]).then(
      (value) => (value === undefined ? 'ok' : `ok ${value}`),
      (error: unknown) => asThinlayerError(error).code,
    );
    this.#next = undefined;
    return reply;
  }

  /** From now on every work ends at once. */
  endAs(next: () => Outcome): void {
    this.#next = next;
  }

  send(name: RequestName, request: number): void {
    this.actor.send({ ...REQUESTS[name], request } as LayerRequest);
  }

  get working(): boolean {
    return this.#jobs.length > 0;
  }

  end(outcome: Outcome): void {
    if (outcome === 'ok') this.#jobs.shift()?.end();
    else this.endWith(new ThinlayerError('unavailable', 'the work failed (injected)'));
  }

  endWith(error: Error): void {
    this.#jobs.shift()?.fail(error);
  }

  /** Resolves when a work has begun. */
  started(): Promise<void> {
    return this.working ? Promise.resolve() : new Promise((resolve) => this.#started.push(resolve));
  }

  #work(name: string) {
    return fromPromise(
      () =>
        new Promise((resolve, reject) => {
          this.#jobs.push({ end: () => resolve(RESULTS[name]), fail: reject });
          if (this.#next) this.end(this.#next());
          for (const started of this.#started.splice(0)) started();
        }),
    );
  }
}
