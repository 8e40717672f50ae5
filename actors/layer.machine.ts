/**
 * The life of one layer: absent → created → applied → mounted (ARCHITECTURE.md, "States of a layer").
 *
 * A machine decides, it does not work: everything that can take time or fail is one promise actor, given by
 * `provide()`. Every state answers every request, with a result or with a refusal that names the state. Actions must
 * not throw (a throwing action kills the actor), so they only assign and emit.
 */

import { assign, emit, fromPromise, setup } from 'xstate';

import type { ThinlayerError } from '../src/core/errors.js';
import { asThinlayerError } from '../src/core/errors.js';
import type { LayerId, LayerInfo } from '../src/core/model.js';
import type { LayerReply, LayerRequest, ReplyValue, RequestOf } from '../src/core/request.js';
import { alreadyExists, refusal } from './layer.refusals.js';

export interface LayerInput {
  readonly id: LayerId;
  /** Undefined: there is no record of it. */
  readonly info: LayerInfo | undefined;
  /** Why the record cannot be trusted; undefined if it can. */
  readonly broken: string | undefined;
  /** At least 1 if the layer is mounted although this actor never did it. */
  readonly uses: number;
}

export interface LayerContext {
  readonly id: LayerId;
  readonly info: LayerInfo | undefined;
  readonly broken: string | undefined;
  /** True while the kernel has the mount, whatever the number of uses. */
  readonly mounted: boolean;
  readonly uses: number;
  /** The request under way; null at rest. */
  readonly request: LayerRequest | null;
}

/** What an actor of work gets: the request with all it says, and the layer as the machine knows it. */
export interface Work<T extends LayerRequest['type'] = LayerRequest['type']> {
  readonly id: LayerId;
  readonly request: RequestOf<T>;
}

/** Requests for which a layer is unmounted; an attach mounts it again. */
export type Unmounting = 'layer.attach' | 'layer.detach' | 'layer.remove';

function work<V, T extends LayerRequest['type']>() {
  return fromPromise<V, Work<T>>(() => Promise.reject(new Error('this actor was not provided')));
}

/** `request` is set before any state that works is entered. */
function workOf<T extends LayerRequest['type']>({ context }: { context: LayerContext }): Work<T> {
  return { id: context.id, request: context.request as RequestOf<T> };
}

const setupLayer = setup({
  types: {} as {
    context: LayerContext;
    events: LayerRequest;
    emitted: LayerReply;
    input: LayerInput;
  },
  actors: {
    createLayer: work<LayerInfo, 'layer.create'>(),
    applyLayer: work<LayerInfo, 'layer.apply'>(),
    mountLayer: work<string, 'layer.attach'>(),
    unmountLayer: work<void, Unmounting>(),
    removeLayer: work<void, 'layer.remove'>(),
    reloadLayer: work<LayerInfo | undefined, 'layer.repair'>(),
  },
  actions: {
    remember: assign({ request: ({ event }) => event }),
    forget: assign({ request: null }),
    learn: assign((_, params: { info: LayerInfo | undefined }) => ({ info: params.info, broken: undefined })),
    breakDown: assign((_, params: { error: unknown }) => ({
      broken: asThinlayerError(params.error).message,
    })),
    nowMounted: assign({ mounted: true, uses: ({ context }) => context.uses + 1 }),
    /** For a moment: those who use it go on to do so. */
    nowBetweenMounts: assign({ mounted: false }),
    nowUnmounted: assign({ mounted: false, uses: 0 }),
    nowUnused: assign({ uses: 0 }),
    addUse: assign({ uses: ({ context }) => context.uses + 1 }),
    dropUse: assign({ uses: ({ context }) => context.uses - 1 }),

    /** Answers the event itself: nothing had to be done. */
    answer: emit(({ event }) => succeed(event.request, undefined)),
    answerWith: emit(({ event }, params: { value: ReplyValue }) => succeed(event.request, params.value)),
    refuse: emit(({ context, event }, params: { state: string }) =>
      fail(event.request, refusal(context, event, params.state)),
    ),
    answerSameCreation: emit(({ context, event }) => {
      const conflict = alreadyExists(context, event as RequestOf<'layer.create'>);
      return conflict ? fail(event.request, conflict) : succeed(event.request, undefined);
    }),
    /** Answers the remembered request, whose work is done. */
    reply: emit(({ context }) => succeed(numberOf(context), undefined)),
    replyWith: emit(({ context }, params: { value: ReplyValue }) => succeed(numberOf(context), params.value)),
    replyError: emit(({ context }, params: { error: unknown }) =>
      fail(numberOf(context), asThinlayerError(params.error, { layer: context.id })),
    ),
  },
  guards: {
    isBroken: ({ context }) => context.broken !== undefined,
    isAbsent: ({ context }) => context.info === undefined,
    isMounted: ({ context }) => context.mounted,
    /** It is mounted on a repository's mount that is no more: all that it shows is errors. See layer.logic.ts. */
    isStranded: () => false,
    isApplied: ({ context }) => context.info?.record.state === 'applied',
    needsMount: ({ context }) => context.info !== undefined && needsMount(context.info),
    hasOtherUses: ({ context }) => context.uses > 1,
    isRemoval: ({ context }) => context.request?.type === 'layer.remove',
  },
});

/**
 * A layer with no lower layers is what its `diff` is: nothing is mounted, so nothing is counted (as overlay2 has it).
 * So is a thin one: dockerd reads its descriptor; what it describes is below its children.
 */
export function needsMount({ record }: LayerInfo): boolean {
  return !record.thin && record.parent !== null;
}

function numberOf(context: LayerContext): number {
  return context.request?.request ?? 0;
}

function succeed(request: number, value: ReplyValue): LayerReply {
  return { type: 'reply', request, ok: true, value };
}

function fail(request: number, error: ThinlayerError): LayerReply {
  return { type: 'reply', request, ok: false, error };
}

const REPLY_PATH = {
  type: 'replyWith',
  params: ({ event }: { event: { output: string } }) => ({ value: event.output }),
} as const;

/** What `created` and `applied` have in common: a layer that is there and not mounted. */
const UNMOUNTED = {
  'layer.create': { actions: 'answerSameCreation' },
  'layer.attach': [
    { guard: 'needsMount', target: 'mounting', actions: 'remember' },
    {
      actions: {
        type: 'answerWith',
        params: ({ context }: { context: LayerContext }) => ({ value: context.info?.paths.diff }),
      },
    },
  ],
  'layer.detach': { actions: 'answer' },
  'layer.remove': { target: 'removing', actions: 'remember' },
} as const;

export const layerMachine = setupLayer.createMachine({
  id: 'layer',
  context: ({ input }) => ({
    id: input.id,
    info: input.info,
    broken: input.broken,
    mounted: input.uses > 0,
    uses: input.uses,
    request: null,
  }),
  initial: 'settling',
  on: {
    'layer.repair': { actions: 'answer' },
    'layer.*': { actions: { type: 'refuse', params: { state: 'busy' } } },
  },
  states: {
    /** Where to rest, by the facts alone: the way in at start, and out of every state of work. */
    settling: {
      entry: 'forget',
      always: [
        { guard: 'isBroken', target: 'failed' },
        { guard: 'isAbsent', target: 'absent' },
        { guard: 'isMounted', target: 'mounted' },
        { guard: 'isApplied', target: 'applied' },
        { target: 'created' },
      ],
    },
    absent: {
      on: {
        'layer.create': { target: 'creating', actions: 'remember' },
        'layer.detach': { actions: 'answer' },
        'layer.remove': { actions: 'answer' },
        'layer.*': { actions: { type: 'refuse', params: { state: 'absent' } } },
      },
    },
    creating: {
      invoke: {
        src: 'createLayer',
        input: workOf<'layer.create'>,
        onDone: {
          target: 'settling',
          actions: [{ type: 'learn', params: ({ event }) => ({ info: event.output }) }, 'reply'],
        },
        onError: { target: 'settling', actions: { type: 'replyError', params: ({ event }) => event } },
      },
    },
    created: {
      on: { ...UNMOUNTED, 'layer.apply': { target: 'applying', actions: 'remember' } },
    },
    applying: {
      invoke: {
        src: 'applyLayer',
        input: workOf<'layer.apply'>,
        onDone: {
          target: 'settling',
          actions: [
            { type: 'learn', params: ({ event }) => ({ info: event.output }) },
            { type: 'replyWith', params: ({ event }) => ({ value: event.output.record.size ?? 0 }) },
          ],
        },
        onError: { target: 'settling', actions: { type: 'replyError', params: ({ event }) => event } },
      },
    },
    applied: {
      on: { ...UNMOUNTED, 'layer.apply': { actions: { type: 'refuse', params: { state: 'applied' } } } },
    },
    mounting: {
      invoke: {
        src: 'mountLayer',
        input: workOf<'layer.attach'>,
        onDone: [
          {
            // Below it is nothing but thin layers that name none: it is what its `diff` is, as a layer without a parent.
            guard: ({ context, event }) => event.output === context.info?.paths.diff,
            target: 'settling',
            actions: ['nowUnmounted', REPLY_PATH],
          },
          { target: 'settling', actions: ['nowMounted', REPLY_PATH] },
        ],
        onError: {
          target: 'settling',
          actions: ['nowUnmounted', { type: 'replyError', params: ({ event }) => event }],
        },
      },
    },
    mounted: {
      on: {
        'layer.create': { actions: 'answerSameCreation' },
        'layer.attach': [
          { guard: 'isStranded', target: 'renewing', actions: 'remember' },
          {
            actions: [
              'addUse',
              { type: 'answerWith', params: ({ context }) => ({ value: context.info?.paths.merged }) },
            ],
          },
        ],
        'layer.detach': [
          { guard: 'hasOtherUses', actions: ['dropUse', 'answer'] },
          { target: 'unmounting', actions: 'remember' },
        ],
        // As overlay2 does: dockerd removes only what it no longer uses, and a use whose end got lost must not keep a layer for ever.
        'layer.remove': { target: 'unmounting', actions: 'remember' },
        'layer.apply': { actions: { type: 'refuse', params: { state: 'mounted' } } },
      },
    },
    /** `docker restart` attaches before it lets go: with the old mount nothing could start. */
    renewing: {
      invoke: {
        src: 'unmountLayer',
        input: workOf<Unmounting>,
        onDone: { target: 'mounting', actions: 'nowBetweenMounts' },
        onError: { target: 'settling', actions: { type: 'replyError', params: ({ event }) => event } },
      },
    },
    unmounting: {
      invoke: {
        src: 'unmountLayer',
        input: workOf<Unmounting>,
        onDone: [
          { guard: 'isRemoval', target: 'removing', actions: 'nowUnmounted' },
          { target: 'settling', actions: ['nowUnmounted', 'reply'] },
        ],
        // Docker does not repeat a failed Put: the use is over, the mount stays; the next detach or removal tries again.
        onError: {
          target: 'settling',
          actions: ['nowUnused', { type: 'replyError', params: ({ event }) => event }],
        },
      },
    },
    removing: {
      invoke: {
        src: 'removeLayer',
        input: workOf<'layer.remove'>,
        onDone: {
          target: 'settling',
          actions: [{ type: 'learn', params: { info: undefined } }, 'reply'],
        },
        onError: { target: 'settling', actions: { type: 'replyError', params: ({ event }) => event } },
      },
    },
    repairing: {
      invoke: {
        src: 'reloadLayer',
        input: workOf<'layer.repair'>,
        onDone: {
          target: 'settling',
          actions: [{ type: 'learn', params: ({ event }) => ({ info: event.output }) }, 'reply'],
        },
        onError: {
          target: 'settling',
          actions: [
            { type: 'breakDown', params: ({ event }) => event },
            { type: 'replyError', params: ({ event }) => event },
          ],
        },
      },
    },
    /** The sink: keeps its cause; out of it by `repair`, or by removal. The kernel may still have it mounted, from before. */
    failed: {
      on: {
        'layer.repair': { target: 'repairing', actions: 'remember' },
        'layer.remove': [
          { guard: 'isMounted', target: 'unmounting', actions: 'remember' },
          { target: 'removing', actions: 'remember' },
        ],
        'layer.detach': [
          { guard: 'isMounted', target: 'unmounting', actions: 'remember' },
          { actions: 'answer' },
        ],
        'layer.*': { actions: { type: 'refuse', params: { state: 'failed' } } },
      },
    },
  },
});
