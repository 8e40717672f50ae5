/**
 * The life of one CVMFS repository: absent → created → applied → mounted (ARCHITECTURE.md, "States of a repository").
 *
 * However many layers ask at once, there is one mount: those that ask while it is being made wait for it here. A repository
 * that nobody holds is unmounted after a grace period. A failed one refuses at once, with its cause, until its back-off is
 * over; then the next lease tries again.
 */

import { assign, enqueueActions, fromPromise, setup } from 'xstate';

import { asThinlayerError, ThinlayerError } from '../src/core/errors.js';
import type { RepositoryMount, RepositoryReply, RepositoryRequest } from '../src/core/repository.js';

const FIRST_BACK_OFF_MS = 1000;
const MAX_BACK_OFF_MS = 60_000;

export interface RepositoryContext {
  readonly repository: string;
  readonly holders: ReadonlySet<string>;
  /** Leases that wait for the mount. */
  readonly waiting: readonly { readonly request: number; readonly holder: string }[];
  readonly mount: RepositoryMount | null;
  /** Why it is not mounted although somebody wanted it. */
  readonly cause: ThinlayerError | null;
  /** Failures since it was last mounted. */
  readonly failures: number;
  /** Requests that wait for the refresh under way. */
  readonly refreshing: readonly number[];
  /** Requests that came after it was begun, and so wait for another: what they know of may have been published since. */
  readonly refreshingNext: readonly number[];
  /** Requests that wait for the unmount under way. */
  readonly retiring: readonly number[];
  /** It was found mounted, and was not taken over yet. */
  readonly left: boolean;
  readonly graceMs: number;
}

export type RepositoryEvent =
  RepositoryRequest | { readonly type: 'mount.lost'; readonly reason: ThinlayerError };

type Work = { readonly repository: string };

function work<V>() {
  return fromPromise<V, Work>(() => Promise.reject(new Error('this actor was not provided')));
}

const workOf = ({ context }: { context: RepositoryContext }): Work => ({ repository: context.repository });

const setupRepository = setup({
  types: {} as {
    context: RepositoryContext;
    events: RepositoryEvent;
    emitted: RepositoryReply;
    input: {
      readonly repository: string;
      /** Null: it was found mounted, and nobody needs it. */
      readonly holders: readonly string[] | null;
      readonly graceMs: number;
    };
  },
  actors: {
    resolveRepository: work<void>(),
    mountRepository: work<RepositoryMount>(),
    refreshRepository: work<RepositoryMount>(),
    unmountRepository: work<void>(),
  },
  actions: {
    wait: assign(({ context, event }) =>
      event.type === 'repository.lease' ? { waiting: [...context.waiting, event] } : {},
    ),
    /** A holder that still waits gives up its place, and is told so. */
    drop: enqueueActions(({ context, event, enqueue }) => {
      if (event.type !== 'repository.release') return;
      const left = context.waiting.filter(({ holder }) => holder === event.holder);
      enqueue.assign({
        holders: without(context.holders, event.holder),
        waiting: context.waiting.filter(({ holder }) => holder !== event.holder),
      });
      for (const { request } of left) enqueue.emit(failed(request, gaveUp(context.repository)));
      enqueue.emit(done(event.request, undefined));
    }),
    grant: enqueueActions(({ context, event, enqueue }) => {
      if (event.type !== 'repository.lease' || !context.mount) return;
      enqueue.assign({ holders: new Set([...context.holders, event.holder]) });
      enqueue.emit(done(event.request, context.mount));
    }),
    nowMounted: enqueueActions(({ context, enqueue }, { mount }: { mount: RepositoryMount }) => {
      enqueue.assign({
        mount,
        cause: null,
        failures: 0,
        left: false,
        waiting: [],
        holders: new Set([...context.holders, ...context.waiting.map(({ holder }) => holder)]),
      });
      for (const { request } of context.waiting) enqueue.emit(done(request, mount));
    }),
    fail: enqueueActions(({ context, enqueue }, { error }: { error: unknown }) => {
      const cause = asThinlayerError(error, { op: 'mount' });
      const failures = context.failures + 1;
      enqueue.assign({ mount: null, cause, failures, left: false, waiting: [], retiring: [] });
      const asked = [...context.waiting.map(({ request }) => request), ...context.retiring];
      for (const request of asked) enqueue.emit(failed(request, cause));
    }),
    lose: assign(({ event }) => (event.type === 'mount.lost' ? { mount: null, cause: event.reason } : {})),
    nowUnmounted: enqueueActions(({ context, enqueue }) => {
      enqueue.assign({ mount: null, left: false, retiring: [] });
      for (const request of context.retiring) enqueue.emit(done(request, undefined));
    }),
    awaitUnmount: assign(({ context, event }) =>
      event.type === 'repository.retire' ? { retiring: [...context.retiring, event.request] } : {},
    ),
    /** Those that waited to know whether it can be unmounted: somebody needs it, or it is not mounted. */
    stayForAll: enqueueActions(({ context, enqueue }) => {
      enqueue.assign({ retiring: [] });
      for (const request of context.retiring) enqueue.emit(done(request, undefined));
    }),
    /** There is nothing to unmount, or somebody needs it. */
    stay: enqueueActions(({ event, enqueue }) => {
      if (event.type === 'repository.retire') enqueue.emit(done(event.request, undefined));
    }),
    awaitRefresh: assign(({ context, event }) =>
      event.type === 'repository.refresh' ? { refreshing: [...context.refreshing, event.request] } : {},
    ),
    awaitNextRefresh: assign(({ context, event }) =>
      event.type === 'repository.refresh'
        ? { refreshingNext: [...context.refreshingNext, event.request] }
        : {},
    ),
    refreshed: enqueueActions(({ context, enqueue }, { mount }: { mount: RepositoryMount }) => {
      enqueue.assign({ mount, refreshing: context.refreshingNext, refreshingNext: [] });
      for (const request of context.refreshing) enqueue.emit(done(request, mount));
    }),
    refreshFailed: enqueueActions(({ context, enqueue }, { error }: { error: unknown }) => {
      enqueue.assign({ refreshing: context.refreshingNext, refreshingNext: [] });
      for (const request of context.refreshing) enqueue.emit(failed(request, asThinlayerError(error)));
    }),
    refuse: enqueueActions(({ context, event, enqueue }) => {
      if ('request' in event) enqueue.emit(failed(event.request, refusal(context, event.type)));
    }),
  },
  guards: {
    isWanted: ({ context }) => context.waiting.length > 0,
    isHeld: ({ context }) => context.holders.size > 0,
    isRetiring: ({ context }) => context.retiring.length > 0,
    isLeft: ({ context }) => context.left,
    isAskedAgain: ({ context }) => context.refreshingNext.length > 0,
  },
  delays: {
    grace: ({ context }) => context.graceMs,
    backOff: ({ context }) => Math.min(FIRST_BACK_OFF_MS * 2 ** (context.failures - 1), MAX_BACK_OFF_MS),
  },
});

function done(request: number, value: RepositoryMount | undefined): RepositoryReply {
  return { type: 'reply', request, ok: true, value };
}

function failed(request: number, error: ThinlayerError): RepositoryReply {
  return { type: 'reply', request, ok: false, error };
}

function without(holders: ReadonlySet<string>, holder: string): ReadonlySet<string> {
  return new Set([...holders].filter((other) => other !== holder));
}

function gaveUp(repository: string): ThinlayerError {
  return new ThinlayerError('aborted', `the wait for the repository ${repository} was given up`, {
    op: 'lease',
  });
}

function refusal({ repository, cause }: RepositoryContext, type: string): ThinlayerError {
  if (type === 'repository.refresh') {
    const message = `the repository ${repository} is not mounted, so it has nothing to refresh`;
    return new ThinlayerError('failed_precondition', message, { op: 'refresh' });
  }
  const reason = cause?.message ?? 'it could not be mounted';
  return new ThinlayerError(
    cause?.code ?? 'unavailable',
    `${reason} (tried a moment ago; the next try is soon)`,
    {
      op: 'lease',
      cause,
    },
  );
}

const REFRESHED = {
  type: 'refreshed',
  params: ({ event }: { event: { output: RepositoryMount } }) => ({ mount: event.output }),
} as const;
const REFRESH_FAILED = {
  type: 'refreshFailed',
  params: ({ event }: { event: { error: unknown } }) => event,
} as const;
const REFRESH_LOST = {
  type: 'refreshFailed',
  params: ({ event }: { event: { reason: ThinlayerError } }) => ({ error: event.reason }),
} as const;

const FAIL = { type: 'fail', params: ({ event }: { event: { error: unknown } }) => event } as const;

/** At rest, with no mount. */
const UNMOUNTED = {
  'repository.lease': { target: 'creating', actions: 'wait' },
  'repository.retire': { actions: 'stay' },
} as const;

export const repositoryMachine = setupRepository.createMachine({
  id: 'repository',
  context: ({ input }) => ({
    repository: input.repository,
    holders: new Set(input.holders),
    left: input.holders === null || input.holders.length > 0,
    retiring: [],
    waiting: [],
    mount: null,
    cause: null,
    failures: 0,
    refreshing: [],
    refreshingNext: [],
    graceMs: input.graceMs,
  }),
  initial: 'settling',
  on: {
    // While something is under way a lease waits for its end, and so does who wants it unmounted.
    'repository.lease': { actions: 'wait' },
    'repository.release': { actions: 'drop' },
    'repository.refresh': { actions: 'refuse' },
    'repository.retire': { actions: 'awaitUnmount' },
  },
  states: {
    /** Layers that were found mounted hold it already: their containers read from it. */
    settling: {
      always: [
        { guard: 'isHeld', target: 'creating' },
        { guard: 'isLeft', target: 'creating' },
        { target: 'absent' },
      ],
    },
    absent: { on: UNMOUNTED },
    creating: {
      invoke: {
        src: 'resolveRepository',
        input: workOf,
        onDone: 'created',
        onError: { target: 'failed', actions: ['stayForAll', FAIL] },
      },
    },
    created: {
      always: [
        { guard: 'isWanted', target: 'mounting' },
        { guard: 'isHeld', target: 'mounting' },
        { guard: 'isLeft', target: 'unmounting' },
        { guard: 'isRetiring', target: 'unmounting' },
      ],
      on: UNMOUNTED,
    },
    mounting: {
      invoke: {
        src: 'mountRepository',
        input: workOf,
        onDone: {
          target: 'mounted',
          actions: { type: 'nowMounted', params: ({ event }) => ({ mount: event.output }) },
        },
        onError: { target: 'failed', actions: ['stayForAll', FAIL] },
      },
    },
    mounted: {
      initial: 'choosing',
      on: {
        'repository.lease': { target: '.choosing', actions: 'grant' },
        'repository.release': { target: '.choosing', actions: 'drop' },
        'repository.refresh': { target: 'refreshing', actions: 'awaitRefresh' },
        'mount.lost': [
          { guard: 'isHeld', target: 'mounting', actions: 'lose' },
          { target: 'unmounting', actions: 'lose' },
        ],
      },
      states: {
        choosing: {
          always: [
            { guard: 'isHeld', target: 'held', actions: 'stayForAll' },
            { guard: 'isRetiring', target: '#repository.unmounting' },
            { target: 'idle' },
          ],
        },
        held: { on: { 'repository.retire': { actions: 'stay' } } },
        idle: {
          on: { 'repository.retire': { target: '#repository.unmounting', actions: 'awaitUnmount' } },
          after: { grace: '#repository.unmounting' },
        },
      },
    },
    refreshing: {
      on: {
        'repository.lease': { actions: 'grant' },
        'repository.refresh': { actions: 'awaitNextRefresh' },
        'mount.lost': {
          target: 'mounting',
          // For those who wait for this one, and for the others.
          actions: ['lose', REFRESH_LOST, REFRESH_LOST],
        },
      },
      invoke: {
        src: 'refreshRepository',
        input: workOf,
        onDone: [
          { guard: 'isAskedAgain', target: 'refreshing', reenter: true, actions: REFRESHED },
          { target: 'mounted', actions: REFRESHED },
        ],
        onError: [
          { guard: 'isAskedAgain', target: 'refreshing', reenter: true, actions: REFRESH_FAILED },
          { target: 'mounted', actions: REFRESH_FAILED },
        ],
      },
    },
    unmounting: {
      invoke: {
        src: 'unmountRepository',
        input: workOf,
        onDone: { target: 'applied', actions: 'nowUnmounted' },
        onError: { target: 'failed', actions: FAIL },
      },
    },
    /** A revision is known and cached, nothing is mounted. */
    applied: { always: { guard: 'isWanted', target: 'mounting' }, on: UNMOUNTED },
    /** What held it keeps its hold: a layer that is mounted over a lost repository must be told apart from one that is not. */
    failed: {
      on: { 'repository.lease': { actions: 'refuse' }, 'repository.retire': { actions: 'stay' } },
      after: { backOff: 'settling' },
    },
  },
});
