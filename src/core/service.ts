/**
 * What a front end holds. The words are containerd's; the graph driver's calls are translated to them
 * (ARCHITECTURE.md, "One request").
 *
 * Every method may be repeated: Docker sends a call again after a broken connection. Errors are ThinlayerError.
 * A `signal` that aborts ends the caller's wait, and the work if nobody else needs it.
 */

import type { Change, CreateOptions, IdMaps, LayerId, LayerInfo, LayerKind } from './model.js';
import type { DriverOptions } from './options.js';
import type { RepositoryReport } from './repository.js';
import type { OverlayMount } from './mount-plan.js';

/** What Docker's Init says; remembered on disk, because dockerd does not repeat it when only we restart. */
export interface HomeConfig {
  readonly home: string;
  readonly options: DriverOptions;
  readonly idMaps: IdMaps;
  /**
   * It was this daemon alone that began anew: dockerd goes on, and still holds the uses that it held. False: dockerd itself
   * began, and a layer that is found mounted has one use, as its own drivers count then.
   */
  readonly resumed: boolean;
}

export interface Cancel {
  readonly signal?: AbortSignal;
}

/** An archive in flight: bytes in order, any chunk size. */
export type ByteStream = AsyncIterable<Uint8Array>;

/** One line of what an administrator sees of a layer. */
export interface LayerReport {
  readonly id: LayerId;
  /** The machine's state: `created`, `applied`, `mounted`, `failed`, or one of work. */
  readonly state: string;
  readonly uses: number;
  readonly parent: LayerId | null;
  /** Why it is `failed`; or, though it is mounted, what it shows is an error; or what it has waited for long. */
  readonly cause: string | null;
}

export interface LayerService {
  /** Opens a home: probes it, takes its lock, recovers its layers. Again, with the same or another home: starts anew from disk and mountinfo. */
  open(config: HomeConfig): Promise<void>;

  /** Idempotent for the same parent, kind and options; else `already_exists`. */
  create(id: LayerId, parent: LayerId | null, kind: LayerKind, options: CreateOptions): Promise<void>;

  /** The mount that `attach` would make, as a value. Mounts nothing. Empty for a layer with no lower layers. */
  mounts(id: LayerId): OverlayMount[];

  /** Counts one use and answers the directory with the merged files, which stands when this resolves. */
  attach(id: LayerId, label: string | null, cancel?: Cancel): Promise<string>;

  /** Takes one use; the last one unmounts. Without a use it is a success: Docker sends such calls after a crash. */
  detach(id: LayerId): Promise<void>;

  /**
   * Unpacks `tar` into a fresh layer and answers its size in bytes. After a failure the layer is as it was before; so it is
   * where it holds files already: `failed_precondition`.
   */
  applyDiff(id: LayerId, parent: LayerId | null, tar: ByteStream, cancel?: Cancel): Promise<number>;

  /**
   * The layer's changes against `parent` as a tar. Resolves when the first bytes are there, so that most errors come before them.
   * A chunk's memory may hold other bytes as soon as the next one is asked for; `applyDiff` wants each to stay as it is.
   */
  diff(id: LayerId, parent: LayerId | null, cancel?: Cancel): Promise<ByteStream>;

  changes(id: LayerId, parent: LayerId | null, cancel?: Cancel): Promise<Change[]>;

  /** Bytes of regular files (hard links once) and of symlink targets in the layer's changes against `parent`. */
  size(id: LayerId, parent: LayerId | null, cancel?: Cancel): Promise<number>;

  /** Resolves when no opening is under way. During one, the immediate answers below are refusals. */
  settled(): Promise<void>;

  stat(id: LayerId): LayerInfo | undefined;
  list(): Iterable<LayerInfo>;
  /** All layers with their states, failed ones too. */
  report(): Iterable<LayerReport>;

  /** All CVMFS repositories that were asked for since the home was opened. */
  repositories(): Promise<RepositoryReport[]>;

  /**
   * Unmounts first if need be. Unknown: success. With children: `failed_precondition`. What Docker forgot on it goes with it,
   * and is no child: only Docker asks so, which has nothing else on it.
   */
  remove(id: LayerId, what?: 'alone'): Promise<void>;

  /** Gets a `failed` layer out of that state: looks at the disk again. */
  repair(id: LayerId): Promise<void>;

  /** dockerd's orderly end: unmounts what no container uses. */
  cleanup(): Promise<void>;

  /** Rows for `docker info`. */
  status(): [string, string][];
}
