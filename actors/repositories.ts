/** The repository actors of one opened home, and who holds which: layers while they are mounted, readers while they read. */

import { createActor, fromPromise } from 'xstate';
import type { ActorRefFrom } from 'xstate';

import { ThinlayerError, undone } from '../src/core/errors.js';
import type { RepositoryMount, RepositoryRequest, RepositorySource } from '../src/core/repository.js';
import type { Cancel } from '../src/core/service.js';
import { Mailbox } from './ask.js';
import { Delays } from './delays.js';
import type { Feed } from './feed.js';
import { Gate } from './gate.js';
import { Losses } from './losses.js';
import { repositoryMachine } from './repository.machine.js';
import { stateName } from './state-name.js';
import { Stranded } from './stranded.js';

/** A repository that nobody holds stays mounted for so long: images are started again, and mounting takes longer than waiting. */
export const GRACE_MS = 300_000;

/** Holds what nobody has asked for yet. */
const PREPARATION = 'preparation';

/**
 * Threads that look into one repository: one that hangs would otherwise take all there are, from the others too. Who waits is
 * bounded already: by the gates of layers, and the number of their lowers.
 */
const LOOKS = { width: 4, maxWaiting: Infinity };

interface Entry {
  readonly looks: Gate;
  readonly actor: ActorRefFrom<typeof repositoryMachine>;
  readonly mailbox: Mailbox<RepositoryRequest, RepositoryMount | undefined>;
}

export interface RepositoryState {
  readonly repository: string;
  readonly state: string;
  readonly holders: number;
  readonly mount: RepositoryMount | null;
  readonly cause: string | null;
}

export interface RepositoriesOptions {
  readonly feed: Feed;
  readonly graceMs: number;
  /** Told of each actor that died, for the log. */
  readonly died: (repository: string, cause: unknown) => void;
  /** Told of each mount that ended though it was in use. */
  readonly lost: (repository: string, reason: ThinlayerError) => void;
  /** Told of each who waits long for what is beneath a mount. */
  readonly late: (cause: ThinlayerError) => void;
  /** Told why a repository could not be mounted ahead of the first who needs it, for the log. */
  readonly unprepared: (cause: unknown) => void;
}

export class Repositories {
  readonly #options: RepositoriesOptions;
  readonly #machine: typeof repositoryMachine;
  readonly #entries = new Map<string, Entry>();
  readonly #stopWatching: () => void;
  readonly stranded = new Stranded();
  readonly losses = new Losses();
  readonly delays: Delays;
  /** Holders of each mount that was lost and not replaced yet. */
  readonly #doubted = new Map<string, readonly string[]>();

  constructor(source: RepositorySource, options: RepositoriesOptions) {
    this.#options = options;
    this.delays = new Delays({
      processOf: (repository) => this.#entries.get(repository)?.actor.getSnapshot().context.mount?.pid,
      told: options.late,
    });
    this.#machine = machineOn(source, (repository, mount) => this.#acquired(repository, mount));
    const unwatch = source.watch((repository, reason) => this.#lost(repository, reason));
    const unobserve = options.feed.whenWatched(() => {
      for (const { actor } of this.#entries.values()) options.feed.observe(actor);
    });
    this.#stopWatching = () => {
      unwatch();
      unobserve();
    };
  }

  /** For layers that were found mounted: their containers read from these repositories already. */
  adopt(repository: string, holders: readonly string[]): void {
    this.#start(repository, holders);
  }

  /** Found mounted, and no mounted layer stands on it: a daemon that was killed could not unmount it. */
  drop(repository: string): void {
    this.#start(repository, null);
  }

  /** Unmounts at once what nobody holds. Rejects with the first failure, when all have ended. */
  async retire(): Promise<void> {
    const asked = [...this.#entries.values()].map(({ mailbox }) =>
      mailbox.ask({ type: 'repository.retire' }),
    );
    const failure = (await Promise.allSettled(asked)).find((result) => result.status === 'rejected');
    if (failure) throw failure.reason;
  }

  /** Mounts them all, or holds none of them. */
  async lease(
    holder: string,
    repositories: readonly string[],
    cancel: Cancel = {},
  ): Promise<ReadonlyMap<string, RepositoryMount>> {
    const results = await Promise.allSettled(
      repositories.map(
        async (repository) => [repository, await this.#lease(holder, repository, cancel)] as const,
      ),
    );
    const failure = results.find((result) => result.status === 'rejected');
    if (failure) throw await undone(failure.reason, () => this.release(holder, repositories));
    return new Map(results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : [])));
  }

  /**
   * Mounts what is going to be asked for soon, and keeps it for the time of grace. Never rejects: nobody waits for it, and
   * who asks then hears of a failure too.
   */
  async prepare(repositories: readonly string[]): Promise<void> {
    try {
      await this.lease(PREPARATION, repositories);
      await this.release(PREPARATION, repositories);
    } catch (cause) {
      this.#options.unprepared(cause);
    }
  }

  async release(holder: string, repositories: readonly string[]): Promise<void> {
    this.stranded.remove(holder);
    const held = repositories.flatMap((repository) => this.#entries.get(repository) ?? []);
    await Promise.all(held.map(({ mailbox }) => mailbox.ask({ type: 'repository.release', holder })));
  }

  /** Runs `work`, which looks beneath the mount, when its turn has come. Rejects as `Gate.pass` does. */
  look<T>(repository: string, work: () => Promise<T>, { signal }: Cancel): Promise<T> {
    return this.#entry(repository).looks.pass(work, signal);
  }

  async refresh(repository: string): Promise<RepositoryMount> {
    return mountOf(await this.#entry(repository).mailbox.ask({ type: 'repository.refresh' }));
  }

  /** Of each repository that was ever asked for, by its name in the machine; for reports. */
  *states(): Iterable<RepositoryState> {
    for (const [repository, { actor }] of this.#entries) {
      const { value, context } = actor.getSnapshot();
      const { holders, mount, cause } = context;
      yield {
        repository,
        state: stateName(value),
        holders: holders.size,
        mount,
        cause: cause?.message ?? null,
      };
    }
  }

  /** Mounts stay: containers read from them. */
  stop(): void {
    this.#stopWatching();
    for (const { actor } of this.#entries.values()) actor.stop();
    this.#entries.clear();
  }

  #lost(repository: string, reason: ThinlayerError): void {
    const actor = this.#entries.get(repository)?.actor;
    if (!actor) return;
    this.#options.lost(repository, reason);
    this.#doubted.set(repository, this.stranded.add(actor.getSnapshot().context.holders, reason));
    actor.send({ type: 'mount.lost', reason });
    this.losses.note(repository);
  }

  #acquired(repository: string, { anew }: RepositoryMount): void {
    const doubted = this.#doubted.get(repository) ?? [];
    this.#doubted.delete(repository);
    if (anew) return this.#strand(repository);
    // It was there all the time: only the connection to its process was lost.
    for (const holder of doubted) this.stranded.remove(holder);
  }

  /** Who held it before stands on a mount that is no more. Those who wait for the new one are no holders yet. */
  #strand(repository: string): void {
    const holders = this.#entries.get(repository)?.actor.getSnapshot().context.holders ?? [];
    const reason = new ThinlayerError(
      'unavailable',
      `the process that served the repository ${repository} ended while no thinlayerd ran. It is started again; containers that run on it have to be restarted`,
      { op: 'mount' },
    );
    if (this.stranded.add(holders, reason).length > 0) this.#options.lost(repository, reason);
  }

  async #lease(holder: string, repository: string, { signal }: Cancel): Promise<RepositoryMount> {
    const { mailbox } = this.#entry(repository);
    // An actor that ends meanwhile tells the lease itself.
    const giveUp = () => void mailbox.ask({ type: 'repository.release', holder }).catch(() => undefined);
    signal?.throwIfAborted();
    signal?.addEventListener('abort', giveUp, { once: true });
    try {
      return mountOf(await mailbox.ask({ type: 'repository.lease', holder }));
    } finally {
      signal?.removeEventListener('abort', giveUp);
    }
  }

  #entry(repository: string): Entry {
    return this.#entries.get(repository) ?? this.#start(repository, []);
  }

  #start(repository: string, holders: readonly string[] | null): Entry {
    const { graceMs, feed, died } = this.#options;
    const actor = createActor(this.#machine, { id: repository, input: { repository, holders, graceMs } });
    const mailbox = new Mailbox<RepositoryRequest, RepositoryMount | undefined>(
      actor,
      `repository ${repository}`,
      (cause) => {
        this.#entries.delete(repository);
        died(repository, cause);
      },
    );
    const entry = { actor, mailbox, looks: new Gate(`the repository ${repository}`, {}, LOOKS) };
    this.#entries.set(repository, entry);
    feed.observe(actor);
    actor.start();
    return entry;
  }
}

function machineOn(
  source: RepositorySource,
  acquired: (repository: string, mount: RepositoryMount) => void,
): typeof repositoryMachine {
  return repositoryMachine.provide({
    actors: {
      resolveRepository: fromPromise(({ input }) => source.resolve(input.repository)),
      mountRepository: fromPromise(async ({ input, signal }) => {
        const mount = await source.acquire(input.repository, { signal });
        acquired(input.repository, mount);
        return mount;
      }),
      refreshRepository: fromPromise(({ input }) => source.refresh(input.repository)),
      unmountRepository: fromPromise(({ input }) => source.release(input.repository)),
    },
  });
}

/** A lease and a refresh are answered with a mount: only a release has nothing to say. */
function mountOf(reply: RepositoryMount | undefined): RepositoryMount {
  if (reply) return reply;
  throw new Error('a repository answered a lease without its mount');
}
