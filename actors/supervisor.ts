/** The LayerService that front ends hold: knows whether a home is open, and hands each call to its session. */

import { setImmediate } from 'node:timers/promises';

import { createActor, waitFor } from 'xstate';
import type { ActorRefFrom } from 'xstate';

import { ThinlayerError } from '../src/core/errors.js';
import type { Change, CreateOptions, LayerId, LayerInfo, LayerKind } from '../src/core/model.js';
import type { OverlayMount } from '../src/core/mount-plan.js';
import { descriptorRepository } from '../src/core/options.js';
import type { Engine } from '../src/core/ports.js';
import type { RepositoryReport } from '../src/core/repository.js';
import type { ByteStream, Cancel, HomeConfig, LayerReport, LayerService } from '../src/core/service.js';
import { publicPathOf } from '../src/core/thin-descriptor.js';
import type { Calls } from './calls.js';
import { LONG_MS } from './delays.js';
import { Feed } from './feed.js';
import { Gate } from './gate.js';
import { mountOf } from './layer.logic.js';
import { reportOn } from './repository-report.js';
import { restingState } from './registry.js';
import { holderOf } from './layer.logic.js';
import { Session } from './session.js';
import { supervisorMachineWith } from './supervisor.machine.js';

export interface SupervisorOptions {
  /** Probes, locks and recovers a home. Rejects with what to do; then the home is as it was. */
  readonly openEngine: (config: HomeConfig) => Promise<Engine>;
  readonly now: () => number;
  /** Told of each layer actor that died. */
  readonly died: (id: LayerId, cause: unknown) => void;
  /** Told of each layer that Docker forgot, and that went with what it stood on. */
  readonly leftoverRemoved: (id: LayerId) => void;
  /** Told why the number of a layer's uses could not be kept for the next daemon. */
  readonly usesUnkept: (id: LayerId, cause: unknown) => void;
  readonly repositoryDied: (repository: string, cause: unknown) => void;
  /** Told of a repository that nobody uses and that could not be unmounted at the end. */
  readonly repositoryLeft: (cause: unknown) => void;
  /** Told of each repository whose mount ended under its containers. */
  readonly repositoryLost: (repository: string, reason: ThinlayerError) => void;
  /** Told of each layer that waits long for a repository, which may hang. */
  readonly repositoryLate: (cause: ThinlayerError) => void;
  readonly repositoryUnprepared: (cause: unknown) => void;
  /** Told of an Init, or an end, that waits long for so many calls to end. */
  readonly closingLate: (calls: number) => void;
  readonly version: string;
}

export class Supervisor implements LayerService {
  readonly feed: Feed;
  readonly #options: SupervisorOptions;
  readonly #actor: ActorRefFrom<ReturnType<typeof supervisorMachineWith>>;
  /** Openings come one after the other. */
  readonly #openings = new Gate('the home');
  #session: Session | null = null;

  constructor(options: SupervisorOptions) {
    this.#options = options;
    this.feed = new Feed(options.now);
    const machine = supervisorMachineWith({
      openHome: (config) => this.#openHome(config),
      closeHome: () => this.#closeHome(),
    });
    this.#actor = createActor(machine, { id: 'supervisor' }).start();
  }

  open(config: HomeConfig): Promise<void> {
    return this.#openings.pass(async () => {
      this.#refuseIfEnding();
      this.#actor.send({ type: 'home.open', config });
      const settled = await waitFor(this.#actor, (s) => !s.matches('recovering'));
      // Who waited for this home is let in before the next opening closes it.
      await setImmediate();
      this.#refuseIfEnding();
      if (settled.context.cause) throw settled.context.cause;
    });
  }

  /** Ends when the running calls have; new ones are refused from now on. Mounts stay. */
  async drain(): Promise<void> {
    this.#actor.send({ type: 'daemon.drain' });
    await waitFor(this.#actor, (s) => s.status === 'done');
  }

  create(id: LayerId, parent: LayerId | null, kind: LayerKind, options: CreateOptions): Promise<void> {
    return this.#call((s) => s.create(id, parent, kind, options));
  }

  attach(id: LayerId, label: string | null, cancel: Cancel = {}): Promise<string> {
    return this.#call((s) => s.attach(id, label, cancel));
  }

  detach(id: LayerId): Promise<void> {
    return this.#call((s) => s.detach(id));
  }

  applyDiff(id: LayerId, parent: LayerId | null, tar: ByteStream, cancel: Cancel = {}): Promise<number> {
    return this.#call((s) => s.applyDiff(id, parent, tar, cancel));
  }

  diff(id: LayerId, parent: LayerId | null, cancel: Cancel = {}): Promise<ByteStream> {
    return this.#call((s) => s.diff(id, parent, cancel));
  }

  changes(id: LayerId, parent: LayerId | null, cancel: Cancel = {}): Promise<Change[]> {
    return this.#call((s) => s.changes(id, parent, cancel));
  }

  size(id: LayerId, parent: LayerId | null, cancel: Cancel = {}): Promise<number> {
    return this.#call((s) => s.size(id, parent, cancel));
  }

  remove(id: LayerId, what?: 'alone'): Promise<void> {
    return this.#call((s) => s.remove(id, what));
  }

  repair(id: LayerId): Promise<void> {
    return this.#call((s) => s.repair(id));
  }

  cleanup(): Promise<void> {
    return this.#call((s) => s.cleanup());
  }

  async settled(): Promise<void> {
    if (!this.#isOpening) return;
    await waitFor(this.#actor, (s) => !s.matches('recovering'));
  }

  mounts(id: LayerId): OverlayMount[] {
    const { engine } = this.#opened();
    const mount = mountOf(engine, id, engine.store.links(id).lowers.map(publicPathOf), null);
    return mount ? [mount] : [];
  }

  stat(id: LayerId): LayerInfo | undefined {
    return this.#opened().engine.store.get(id);
  }

  list(): Iterable<LayerInfo> {
    return this.#opened().engine.store.list();
  }

  *report(): Iterable<LayerReport> {
    const { engine, registry, repositories } = this.#opened();
    const { stranded, delays } = repositories;
    const live = new Map([...registry.states()].map((s) => [s.id, s]));
    for (const { record } of engine.store.list()) {
      const state = live.get(record.id)?.state ?? restingState(engine, record.id);
      yield {
        id: record.id,
        state,
        uses: live.get(record.id)?.uses ?? 0,
        parent: record.parent,
        cause: delays.causeOf(holderOf(record.id)) ?? stranded.causeOf(holderOf(record.id)),
      };
    }
    for (const [id, cause] of engine.store.broken()) {
      yield { id, state: 'failed', uses: live.get(id)?.uses ?? 0, parent: null, cause };
    }
  }

  async repositories(): Promise<RepositoryReport[]> {
    const { engine, repositories } = this.#opened();
    return await Promise.all([...repositories.states()].map((state) => reportOn(engine.repositories, state)));
  }

  status(): [string, string][] {
    const { engine, registry } = this.#opened();
    const { facts, store, config } = engine;
    return [
      ['Backing Filesystem', facts.backingFileSystem],
      ['Supports d_type', String(facts.supportsDType)],
      ['Native Overlay Diff', String(facts.nativeDiff)],
      ['Mount API', facts.mountApi],
      ['Project Quota', facts.projectQuota ? 'available' : 'not available'],
      ['Sync', config.options.sync],
      ['CVMFS Mount', engine.repositories.name],
      ['CVMFS Repository', descriptorRepository(config.options)],
      ['CVMFS Layers', config.options.cvmfsLayers ?? 'none'],
      ['Layers', String([...store.list()].length)],
      ['Layers Mounted', String(registry.mountedLayers().length)],
      ['Layers Failed', String(store.broken().size)],
      ['Thinlayer Version', this.#options.version],
    ];
  }

  async #call<T>(call: (session: Session) => Promise<T>): Promise<T> {
    await this.settled();
    const session = this.#opened();
    return session.calls.run(() => call(session));
  }

  #opened(): Session {
    this.#refuseIfEnding();
    if (this.#session && !this.#session.calls.closed) return this.#session;
    if (this.#isOpening)
      throw new ThinlayerError(
        'unavailable',
        'no layers can be served yet: the home is being opened; ask again',
      );
    const { cause } = this.#actor.getSnapshot().context;
    throw new ThinlayerError(
      cause?.code ?? 'failed_precondition',
      cause
        ? `no layers can be served, the home could not be opened: ${cause.message}`
        : 'no layers can be served yet: dockerd has not named a home (GraphDriver.Init); restart dockerd if it runs',
      { op: 'open', ...(cause && { cause }) },
    );
  }

  get #isOpening(): boolean {
    return this.#actor.getSnapshot().matches('recovering');
  }

  #refuseIfEnding(): void {
    if (!this.#actor.getSnapshot().context.ending) return;
    throw new ThinlayerError('unavailable', 'thinlayerd is stopping; ask again when it is back');
  }

  async #openHome(config: HomeConfig): Promise<Engine> {
    await this.#closeHome();
    const engine = await this.#options.openEngine(config);
    this.#session = new Session(engine, {
      feed: this.feed,
      now: this.#options.now,
      died: this.#options.died,
      usesUnkept: this.#options.usesUnkept,
      leftoverRemoved: this.#options.leftoverRemoved,
      repositoryDied: this.#options.repositoryDied,
      repositoryLost: this.#options.repositoryLost,
      repositoryLate: this.#options.repositoryLate,
      repositoryUnprepared: this.#options.repositoryUnprepared,
    });
    return engine;
  }

  async #closeHome(): Promise<void> {
    const session = this.#session;
    if (!session) return;
    await this.#ended(session.calls);
    await session.repositories.retire().catch(this.#options.repositoryLeft);
    await session.registry.usesKept();
    session.registry.stop();
    session.repositories.stop();
    this.#session = null;
    await session.engine.store.close();
  }

  /** A call that hangs below a repository holds up the next Init, and with it dockerd's start: nobody else would say why. */
  async #ended(calls: Calls): Promise<void> {
    const timer = setTimeout(() => this.#options.closingLate(calls.running), LONG_MS);
    try {
      await calls.finished();
    } finally {
      clearTimeout(timer);
    }
  }
}
