/**
 * One opened home: routes each call to the layer's actor through its gate, or, for readers, past it under a shared
 * hold (a build's COPY reads a `diff` and feeds it into an `applyDiff` while it attaches and detaches the same
 * layers: no lock may span both).
 */

import { ThinlayerError, undone } from '../src/core/errors.js';
import type { Change, CreateOptions, LayerId, LayerKind } from '../src/core/model.js';
import type { Archive, Engine } from '../src/core/ports.js';
import type { ByteStream, Cancel } from '../src/core/service.js';
import { Calls } from './calls.js';
import { Holds } from './holds.js';
import { holderOf, known, mountpointOf } from './layer.logic.js';
import { needsMount } from './layer.machine.js';
import { leaseLowers, releaseLowers, repositoriesOf, stackOf, thinLayersOf } from './lowers.js';
import type { Grounds } from './lowers.js';
import { layersOn, Leftovers } from './leftovers.js';
import { LayerRegistry } from './registry.js';
import type { RegistryOptions } from './registry.js';
import { GRACE_MS, Repositories } from './repositories.js';
import { primed } from './stream.js';

export interface SessionOptions extends RegistryOptions {
  /** Told of each layer that Docker forgot, and that went with what it stood on, for the log. */
  readonly leftoverRemoved: (id: LayerId) => void;
  /** Told of each repository's actor that died, for the log. */
  readonly repositoryDied: (repository: string, cause: unknown) => void;
  readonly repositoryLost: (repository: string, reason: ThinlayerError) => void;
  readonly repositoryLate: (cause: ThinlayerError) => void;
  readonly repositoryUnprepared: (cause: unknown) => void;
}

export class Session {
  readonly engine: Engine;
  readonly registry: LayerRegistry;
  readonly repositories: Repositories;
  readonly #grounds: Grounds;
  readonly calls = new Calls();
  readonly #holds = new Holds();
  readonly #leftovers: Leftovers;
  #comparisons = 0;

  constructor(engine: Engine, options: SessionOptions) {
    this.engine = engine;
    this.repositories = new Repositories(engine.repositories, {
      feed: options.feed,
      graceMs: GRACE_MS,
      died: options.repositoryDied,
      lost: options.repositoryLost,
      late: options.repositoryLate,
      unprepared: options.repositoryUnprepared,
    });
    this.#grounds = { engine, repositories: this.repositories };
    this.registry = new LayerRegistry(this.#grounds, options);
    this.#leftovers = new Leftovers(engine, {
      idle: (id) => this.registry.idle(id),
      remove: (id) => this.remove(id),
      removed: options.leftoverRemoved,
    });
    this.#adopt();
  }

  async create(id: LayerId, parent: LayerId | null, kind: LayerKind, options: CreateOptions): Promise<void> {
    const release = parent === null ? () => undefined : this.#holds.take(parent);
    try {
      this.#leftovers.made(id, kind);
      await this.registry.ask(id, { type: 'layer.create', parent, kind, options });
    } finally {
      release();
    }
  }

  /** A use that was counted for a caller who is gone would never end: it is taken back. */
  async attach(id: LayerId, label: string | null, cancel: Cancel): Promise<string> {
    const asItIs = this.#unmountedTree(id);
    if (asItIs !== undefined) return asItIs;
    const { signal } = cancel;
    const path = await this.#attachedForDocker(id, label, signal);
    if (!signal?.aborted) return path;
    await this.detach(id);
    throw new ThinlayerError('aborted', `the caller went away while layer ${id} was mounted for it`, {
      layer: id,
    });
  }

  async #attachedForDocker(id: LayerId, label: string | null, signal: Cancel['signal']): Promise<string> {
    try {
      return await this.#attached(id, label, signal);
    } catch (error) {
      throw await undone(error, () => this.#leftovers.forget(id));
    }
  }

  async #attached(id: LayerId, label: string | null, signal: Cancel['signal']): Promise<string> {
    return (await this.registry.ask(id, { type: 'layer.attach', label, signal }, signal)) as string;
  }

  async detach(id: LayerId): Promise<void> {
    if (this.#unmountedTree(id) !== undefined) return;
    await this.registry.ask(id, { type: 'layer.detach' });
  }

  async applyDiff(id: LayerId, parent: LayerId | null, tar: ByteStream, { signal }: Cancel): Promise<number> {
    return (await this.registry.ask(id, { type: 'layer.apply', parent, tar, signal }, signal)) as number;
  }

  /** Readers that hold the layer end first; the check for children and the removal are one step for `create`. */
  async remove(id: LayerId, what?: 'alone'): Promise<void> {
    if (what !== 'alone') await this.#leftovers.removeFrom(id);
    await this.#holds.exclusively(id, async () => {
      this.#checkChildless(id);
      await this.registry.ask(id, { type: 'layer.remove' });
      this.#leftovers.gone(id);
    });
  }

  async repair(id: LayerId): Promise<void> {
    this.registry.forgive(id);
    await this.registry.ask(id, { type: 'layer.repair' });
  }

  async diff(id: LayerId, parent: LayerId | null, { signal }: Cancel): Promise<ByteStream> {
    const { archive, config } = this.engine;
    const options = { idMaps: config.idMaps, ...(signal && { signal }) };
    const trees = await this.#open(id, parent);
    const stream = trees.merged
      ? archive.produceBetween(trees.newer, trees.older, { ...options, remote: trees.remote })
      : archive.produce(trees.diff, options);
    const end = this.calls.begin();
    return primed(stream, () => trees.close().finally(end));
  }

  changes(id: LayerId, parent: LayerId | null, cancel: Cancel): Promise<Change[]> {
    return this.#read(id, parent, (archive, trees) =>
      trees.merged
        ? archive.changesBetween(trees.newer, trees.older, { ...cancel, remote: trees.remote })
        : this.#onLowers(id, cancel, (lowers) =>
            archive.changes(trees.diff, lowers, { ...cancel, remote: this.#showsRemote(id) }),
          ),
    );
  }

  size(id: LayerId, parent: LayerId | null, cancel: Cancel): Promise<number> {
    return this.#read(id, parent, (archive, trees) =>
      trees.merged
        ? archive.sizeBetween(trees.newer, trees.older, { ...cancel, remote: trees.remote })
        : archive.size(trees.diff, cancel),
    );
  }

  /**
   * dockerd's orderly end, with no container of its own left running. Unmounted is what a failed detach left, and layers that
   * are no container's root by the kernel's word, whatever uses were counted: their ends got lost while this daemon was
   * away. And repositories that nobody uses then. Nobody asks again: one that cannot be unmounted keeps none of the others.
   */
  async cleanup(): Promise<void> {
    const mounted = [...this.registry.states()].filter((s) => s.mounted);
    const targets = mounted.map(({ id }) => mountpointOf(this.engine, id));
    const used = await this.engine.mounter.usedByContainers(targets);
    const unused = mounted.filter(({ uses }, index) => uses === 0 || !used.has(targets[index] ?? ''));
    const failures: unknown[] = [];
    const told = (failure: unknown) => void failures.push(failure);
    for (const { id, uses } of unused) await this.#detachAll(id, uses).catch(told);
    await this.repositories.retire().catch(told);
    if (failures.length > 0) throw failures[0];
  }

  async #detachAll(id: LayerId, uses: number): Promise<void> {
    for (let use = 0; use < Math.max(uses, 1); ++use) await this.detach(id);
  }

  /**
   * The tree of a layer that nothing is mounted for, and nothing counted: to use it is to read the store, and waits for
   * an actor only while one works on it. dockerd asks for such layers again and again.
   */
  #unmountedTree(id: LayerId): string | undefined {
    if (!this.registry.idle(id)) return undefined;
    const info = this.engine.store.get(id);
    return info && !needsMount(info) ? info.paths.diff : undefined;
  }

  /** The containers of mounted layers read from their repositories already, and from masks. */
  #adopt(): void {
    const holders = new Map<string, string[]>();
    for (const id of this.engine.mounted.keys()) {
      const lowers = this.engine.store.get(id)?.lowers ?? null;
      this.engine.masks.adopt(holderOf(id), lowers && thinLayersOf(lowers));
      // Nobody can tell which of them it reads from if its record cannot be read.
      for (const repository of lowers ? repositoriesOf(lowers) : this.engine.mountedRepositories) {
        holders.set(repository, [...(holders.get(repository) ?? []), holderOf(id)]);
      }
    }
    for (const [repository, layers] of holders) this.repositories.adopt(repository, layers);
    const left = this.engine.mountedRepositories.filter((repository) => !holders.has(repository));
    for (const repository of left) this.repositories.drop(repository);
  }

  async #onLowers<T>(id: LayerId, cancel: Cancel, read: (lowers: string[]) => Promise<T>): Promise<T> {
    const { lowers } = known(this.engine, id);
    const holder = `comparison ${++this.#comparisons}`;
    const paths = stackOf(await leaseLowers(this.#grounds, holder, lowers, cancel));
    try {
      return await read(paths);
    } finally {
      await releaseLowers(this.#grounds, holder, lowers);
    }
  }

  async #read<T>(
    id: LayerId,
    parent: LayerId | null,
    read: (archive: Archive, trees: Trees) => Promise<T>,
  ): Promise<T> {
    const trees = await this.#open(id, parent);
    try {
      return await read(this.engine.archive, trees);
    } finally {
      await trees.close();
    }
  }

  /**
   * The directories to compare, held until `close`. Against the direct parent that is the layer's own `diff`, and
   * nothing is mounted. Against any other layer the merged trees of both (Docker's naive differ); against nothing,
   * the whole merged tree.
   */
  async #open(id: LayerId, parent: LayerId | null): Promise<Trees> {
    this.#checkSound(id);
    const { record, paths } = known(this.engine, id);
    if (record.parent !== parent || !this.engine.facts.nativeDiff) return this.#openMerged(id, parent);
    const release = this.#holds.take(id);
    return { merged: false, diff: paths.diff, close: () => Promise.resolve(release()) };
  }

  async #openMerged(id: LayerId, parent: LayerId | null): Promise<Trees> {
    const newer = await this.#use(id);
    const merged = { merged: true, newer: newer.tree, remote: this.#showsRemote(id) } as const;
    if (parent === null) return { ...merged, older: null, close: newer.end };
    try {
      const older = await this.#use(parent);
      const close = () => older.end().finally(newer.end);
      const remote = merged.remote || this.#showsRemote(parent);
      return { ...merged, older: older.tree, remote, close };
    } catch (error) {
      throw await undone(error, newer.end);
    }
  }

  /**
   * A layer's merged tree, attached and kept from removal until `end`. A detach that fails ends the hold all the same. No layer
   * is forgotten because it cannot be read: its removal would wait for this very hold.
   */
  async #use(id: LayerId): Promise<{ tree: string; end: () => Promise<void> }> {
    const release = this.#holds.take(id);
    try {
      const tree = this.#unmountedTree(id) ?? (await this.#attached(id, null, undefined));
      return { tree, end: () => this.detach(id).finally(release) };
    } catch (error) {
      release();
      throw error;
    }
  }

  /** Whether some of what it shows lies in CVMFS. */
  #showsRemote(id: LayerId): boolean {
    return repositoriesOf(this.engine.store.get(id)?.lowers ?? []).length > 0;
  }

  #checkChildless(id: LayerId): void {
    if (!this.engine.store.hasChildren(id)) return;
    const onIt = layersOn(this.engine, id).map(({ record }) => record.id);
    const names = onIt.length > 0 ? ` (${onIt.slice(0, 5).join(', ')})` : '';
    throw new ThinlayerError(
      'failed_precondition',
      `layer ${id} cannot be removed: other layers are made on it${names}; remove those first, with "thinlayer remove ID" what Docker does not know any more`,
      { op: 'remove', layer: id },
    );
  }

  #checkSound(id: LayerId): void {
    const cause = this.engine.store.broken().get(id);
    if (cause === undefined) return;
    throw new ThinlayerError(
      'data_loss',
      `layer ${id} cannot be read: ${cause}; mend it and run "thinlayer repair ${id}", or remove it`,
      { layer: id },
    );
  }
}

/** What a comparison reads, and how to give it back. */
type Trees = { readonly close: () => Promise<void> } & (
  | { readonly merged: false; readonly diff: string }
  | {
      readonly merged: true;
      readonly newer: string;
      readonly older: string | null;
      /** See TreeWork. */
      readonly remote: boolean;
    }
);
