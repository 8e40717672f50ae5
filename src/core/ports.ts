/**
 * What the actors need of the world. Implementations are in src/store, src/archive and src/host; tests have fakes.
 * Every method rejects with a ThinlayerError; none blocks the event loop.
 */

import type { Change, IdMaps, LayerId, LayerInfo, LayerRecord, LowerLayer, ThinLayer } from './model.js';
import type { OverlayMount } from './mount-plan.js';
import type { RepositorySource } from './repository.js';
import type { ByteStream, Cancel, HomeConfig } from './service.js';
import type { ThinDescriptor } from './thin-descriptor.js';
import type { TreeWork } from './tree.js';

export interface Mounter {
  /** Makes `target` if it is missing, mounts, gives `work/work` to the mapped root. After a failure nothing stays, not even `target`. */
  mount(mount: OverlayMount): Promise<void>;
  /**
   * The first of `paths` that is a directory in the tree `root`, as an absolute path. None may lead out of the tree, nor
   * through a symlink. Null if there is none. May wait for a network: never holds up other calls.
   */
  locate(root: string, paths: readonly string[]): Promise<string | null>;
  /** Of these mountpoints of ours, those whose file system is some container's root. */
  usedByContainers(targets: readonly string[]): Promise<ReadonlySet<string>>;
  /**
   * Detaches (MNT_DETACH) everything on `target` and removes that directory. Not mounted, no such directory, or one that has
   * something in it, and stays: success.
   */
  unmount(target: string): Promise<void>;
}

/** Directories of ours to stack with a layer whose whiteouts are files: `above` hides their names, `below` deletes. */
export interface Mask {
  readonly above: string;
  readonly below: string;
}

export interface Masks {
  /**
   * For what is published now as that layer of a repository, and stands in `tree`; null if it has no whiteouts. Derived once for
   * each content. It stays until `holder` releases what it holds; after a failure, too, it has to.
   */
  hold(holder: string, repository: string, path: string, tree: string): Promise<Mask | null>;
  /**
   * A holder that was found mounted on `layers`, or, null, on whatever: nobody knows on which of their masks, so all of these stay
   * until it releases them.
   */
  adopt(holder: string, layers: readonly ThinLayer[] | null): void;
  /** Begins to delete those of its masks that nobody else holds, and of which another content has taken the place. Never rejects. */
  release(holder: string): Promise<void>;
  /** Begins to delete those of all other layers that nobody holds. */
  keep(layers: readonly ThinLayer[]): Promise<void>;
}

/** The layers of one home: their records, held in memory, and their directories. */
export interface LayerStore {
  /** From memory, at once. */
  get(id: LayerId): LayerInfo | undefined;
  list(): Iterable<LayerInfo>;
  hasChildren(id: LayerId): boolean;
  /** Layers whose record cannot be trusted, and why: each answers with that until `reload` finds it mended. */
  broken(): ReadonlyMap<LayerId, string>;
  /** `l/NAME` links as absolute paths: the layer's own, and what it stands on, uppermost first. Throws `data_loss` for a missing ancestor. */
  links(id: LayerId): { readonly own: string; readonly lowers: readonly LowerLayer[] };

  /** Directories, links, quota, record; the parent is marked committed. All or nothing; durable when it resolves (see SyncMode). */
  create(record: LayerRecord): Promise<LayerInfo>;
  /** Replaces the record; durable when it resolves. */
  update(record: LayerRecord): Promise<void>;
  /** As `Staging.descriptor`, of a layer's own tree as it is now. */
  descriptor(id: LayerId, repository: string): Promise<ThinDescriptor | null>;
  /**
   * An empty directory beside `diff`, on the same file system, to unpack into. `failed_precondition` if the layer's own
   * tree holds anything.
   */
  stage(id: LayerId): Promise<Staging>;
  /** Out of the index, renamed into the trash; the files are deleted in the background. Unknown: success. */
  remove(id: LayerId): Promise<void>;
  /** Reads one layer from disk again (`repair`). */
  reload(id: LayerId): Promise<LayerInfo | undefined>;
  /** Ends deletions under way, whose rest the next opening deletes; waits for changes, gives the lock back. */
  close(): Promise<void>;
}

export interface Staging {
  readonly path: string;
  /**
   * The descriptor, if the staged tree is that of a thin layer: a `thin.json` and nothing else. Its layers without a url
   * are in `repository`. Rejects if it is not valid.
   */
  descriptor(repository: string): Promise<ThinDescriptor | null>;
  /** The staged tree takes the place of the empty `diff`, atomically (not empty: as `stage`), and `record` becomes the record. */
  commit(record: LayerRecord): Promise<void>;
  /** Deletes what was staged. Also right after a failed commit. */
  discard(): Promise<void>;
}

export interface ApplyOptions extends TreeWork {
  readonly idMaps: IdMaps;
  /** `overlay`: `.wh.NAME` becomes a 0:0 device, `.wh..wh..opq` an attribute. `remove`: the named file is deleted from the tree. */
  readonly whiteouts: 'overlay' | 'remove';
}

export interface ProduceOptions extends TreeWork {
  readonly idMaps: IdMaps;
}

/** Archives and comparisons of directory trees. The given directories are read and written in place; nothing is mounted. */
export interface Archive {
  /** Unpacks into `root`. An empty, truncated or malformed archive is `invalid_argument`. What was written before a failure stays: unpack into a staging directory. */
  apply(root: string, tar: ByteStream, options: ApplyOptions): Promise<void>;

  /** A layer's own directory as a tar: whiteouts in registry form, entries sorted, the same bytes for the same tree. */
  produce(diff: string, options: ProduceOptions): ByteStream;
  /** A layer's own directory against its ancestors' (`lowers`, uppermost first), as Docker's naive comparison of the two merged trees would tell. Sorted by path. */
  changes(diff: string, lowers: readonly string[], work?: TreeWork): Promise<Change[]>;
  size(tree: string, cancel?: Cancel): Promise<number>;

  /** The same three for two merged trees; `older` null: against nothing. */
  produceBetween(newer: string, older: string | null, options: ProduceOptions): ByteStream;
  changesBetween(newer: string, older: string | null, work?: TreeWork): Promise<Change[]>;
  sizeBetween(newer: string, older: string | null, work?: TreeWork): Promise<number>;
}

/**
 * How many uses dockerd has of layers that it has several of (copies from a running container, its export and commit), kept
 * for a daemon that comes after this one while dockerd goes on. Without them the end of the first would unmount all.
 */
export interface UseCounts {
  /** One or none: forgotten. Resolves when this number, or one that was given later for that layer, is kept. */
  keep(layer: LayerId, uses: number): Promise<void>;
}

/** Project quotas of a file system. */
export interface Quota {
  /** Limits what may be stored below `directory`, which is empty. `failed_precondition` says what to do where the file system cannot. */
  limit(directory: string, bytes: number): Promise<void>;
}

/** What probes found out about a home. */
export interface HostFacts {
  /** `extfs`, `xfs`, `btrfs`, `tmpfs`, …: the names that `docker info` shows. */
  readonly backingFileSystem: string;
  readonly supportsDType: boolean;
  /** False: a layer's own directory does not tell all its changes (kernel faults), merged trees have to be compared. */
  readonly nativeDiff: boolean;
  readonly mountApi: 'fsopen' | 'mount';
  readonly projectQuota: boolean;
}

/** All that works on one opened home. */
export interface Engine {
  readonly config: HomeConfig;
  readonly facts: HostFacts;
  readonly store: LayerStore;
  readonly mounter: Mounter;
  readonly archive: Archive;
  readonly repositories: RepositorySource;
  readonly masks: Masks;
  /** Layers that the kernel had mounted when the home was opened, and their uses. */
  readonly mounted: ReadonlyMap<LayerId, number>;
  readonly uses: UseCounts;
  /** Repositories that a daemon of before had mounted below the home. */
  readonly mountedRepositories: readonly string[];
}
