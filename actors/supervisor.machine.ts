/**
 * The daemon's own life: starting → recovering → serving → draining → stopped. A home can be opened again at any
 * time (Init comes at each start of dockerd): running calls end first, then recovery starts from the disk.
 */

import { assign, fromPromise, setup } from 'xstate';

import { asThinlayerError } from '../src/core/errors.js';
import type { ThinlayerError } from '../src/core/errors.js';
import type { Engine } from '../src/core/ports.js';
import type { HomeConfig } from '../src/core/service.js';

export type SupervisorEvent =
  { readonly type: 'home.open'; readonly config: HomeConfig } | { readonly type: 'daemon.drain' };

export interface SupervisorContext {
  readonly config: HomeConfig | null;
  readonly engine: Engine | null;
  /** Why the last opening failed; null if it did not. */
  readonly cause: ThinlayerError | null;
  /** The daemon's end was asked for, be it in the middle of an opening. */
  readonly ending: boolean;
}

/** The two works of the supervisor, given by `provide()`: `previous` is closed before the next home is opened. */
export interface SupervisorWork {
  readonly openHome: (config: HomeConfig, previous: Engine | null) => Promise<Engine>;
  readonly closeHome: (engine: Engine | null) => Promise<void>;
}

const setupSupervisor = setup({
  types: {} as { context: SupervisorContext; events: SupervisorEvent },
  actors: {
    openHome: fromPromise<Engine, { config: HomeConfig; previous: Engine | null }>(notProvided),
    closeHome: fromPromise<void, { engine: Engine | null }>(notProvided),
  },
  actions: {
    end: assign({ ending: true }),
    wish: assign(({ event }) => (event.type === 'home.open' ? { config: event.config, cause: null } : {})),
    opened: assign((_, params: { engine: Engine }) => ({ engine: params.engine, cause: null })),
    openingFailed: assign((_, params: { error: unknown }) => ({
      engine: null,
      cause: asThinlayerError(params.error, { op: 'open' }),
    })),
  },
  guards: {
    isEnding: ({ context }) => context.ending,
  },
});

function notProvided(): Promise<never> {
  return Promise.reject(new Error('this actor was not provided'));
}

const OPENED = {
  type: 'opened',
  params: ({ event }: { event: { output: Engine } }) => ({ engine: event.output }),
} as const;

const FAILED = {
  type: 'openingFailed',
  params: ({ event }: { event: { error: unknown } }) => event,
} as const;

export const supervisorMachine = setupSupervisor.createMachine({
  id: 'supervisor',
  context: { config: null, engine: null, cause: null, ending: false },
  initial: 'starting',
  states: {
    /** No home is open: none was named yet, or opening it failed. */
    starting: {
      on: {
        'home.open': { target: 'recovering', actions: 'wish' },
        'daemon.drain': { target: 'stopped', actions: 'end' },
      },
    },
    /** What was begun is ended, also when the daemon is to end: a half-opened home would keep its lock, and work on. */
    recovering: {
      on: { 'daemon.drain': { actions: 'end' } },
      invoke: {
        src: 'openHome',
        input: ({ context }) => ({ config: context.config as HomeConfig, previous: context.engine }),
        onDone: [
          { guard: 'isEnding', target: 'draining', actions: OPENED },
          { target: 'serving', actions: OPENED },
        ],
        onError: [
          { guard: 'isEnding', target: 'stopped', actions: FAILED },
          { target: 'starting', actions: FAILED },
        ],
      },
    },
    serving: {
      on: {
        'home.open': { target: 'recovering', actions: 'wish' },
        'daemon.drain': { target: 'draining', actions: 'end' },
      },
    },
    /** Running calls end; mounts of running containers stay. */
    draining: {
      invoke: {
        src: 'closeHome',
        input: ({ context }) => ({ engine: context.engine }),
        onDone: 'stopped',
        onError: { target: 'stopped', actions: FAILED },
      },
    },
    stopped: { type: 'final' },
  },
});

export function supervisorMachineWith(work: SupervisorWork) {
  return supervisorMachine.provide({
    actors: {
      openHome: fromPromise<Engine, { config: HomeConfig; previous: Engine | null }>(({ input }) =>
        work.openHome(input.config, input.previous),
      ),
      closeHome: fromPromise<void, { engine: Engine | null }>(({ input }) => work.closeHome(input.engine)),
    },
  });
}
