/** The words of the domain: layers, their records, changes, mounts. Values only. */

import { ThinlayerError } from './errors.js';

/** The name of a layer: also the name of its directory, so nothing but plain file names passes `parseLayerId`. */
export type LayerId = string & { readonly __layerId: never };

/** `image`: filled once by ApplyDiff, then only read. `container`: written to through a mount. */
export type LayerKind = 'image' | 'container';

/** The fact that is on disk as `layer.json`; everything else in a layer's directory is derived from it. */
export interface LayerRecord {
  readonly version: 1;
  readonly id: LayerId;
  readonly parent: LayerId | null;
  readonly kind: LayerKind;
  /** `created`: `diff` is empty, or holds what a container wrote. `applied`: a tar was unpacked, whole. */
  readonly state: 'created' | 'applied';
  /** The 26 characters of A-Z2-7 that name this layer in `l/`, so that a lowerdir list stays short; '': the store draws one. */
  readonly link: string;
  /** Bytes that ApplyDiff answered, as DiffSize counts them; null before. */
  readonly size: number | null;
  /** Project quota in bytes, null for none. */
  readonly quota: number | null;
  readonly mountLabel: string | null;
  /** Of a thin layer, lowest first: what stands below a child in its place. Absent: an ordinary layer. */
  readonly thin?: readonly ThinLayer[];
}

/** A layer that lies in CVMFS, as a thin descriptor names it. */
export interface ThinLayer {
  /** Of the compressed layer, as the registry knows it: 64 hexadecimal digits. */
  readonly digest: string;
  /** Its fully qualified name. */
  readonly repository: string;
  /** In the repository, without a leading slash; null: to be found by the digest. */
  readonly path: string | null;
}

/** What a layer stands on: a directory of ours, or a layer in CVMFS. */
export type LowerLayer = string | ThinLayer;

export interface CreateOptions {
  readonly mountLabel?: string;
  /** `--storage-opt` of a container, as typed: `{size: "1G"}`. */
  readonly storageOptions?: Readonly<Record<string, string>>;
}

/** One range of a user name space: `size` ids from `containerId` on are `hostId` on. */
export interface IdMap {
  readonly containerId: number;
  readonly hostId: number;
  readonly size: number;
}

export interface IdMaps {
  readonly uids: readonly IdMap[];
  readonly gids: readonly IdMap[];
}

export type ChangeKind = 'modified' | 'added' | 'deleted';

/** `path` starts with `/`; it is a ByteString (see tree.ts). */
export interface Change {
  readonly path: string;
  readonly kind: ChangeKind;
}

/** What can be told of a layer without touching the disk. */
export interface LayerInfo {
  readonly record: LayerRecord;
  readonly paths: LayerPaths;
  /** Absolute `diff` directories of the ancestors, uppermost first; for a thin ancestor its layers in CVMFS. */
  readonly lowers: readonly LowerLayer[];
  /** How many lowers, without putting their paths together. */
  readonly depth: number;
  readonly committed: boolean;
}

export interface LayerPaths {
  readonly root: string;
  readonly diff: string;
  readonly work: string;
  readonly merged: string;
}

const LAYER_ID = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$/;

/** Names below the home that belong to the store itself. */
const RESERVED = new Set(['l', 'cvmfs', 'masks']);

/** Throws `invalid_argument` for anything that is not a plain, short file name. Docker's ids, BuildKit's and test names pass. */
export function parseLayerId(text: string): LayerId {
  if (LAYER_ID.test(text) && !RESERVED.has(text)) return text as LayerId;
  const shown = text.length > 80 ? `${text.slice(0, 80)}… (${text.length} characters)` : text;
  throw new ThinlayerError(
    'invalid_argument',
    `not a layer id: ${JSON.stringify(shown)}; an id has 1 to 128 characters of A-Z a-z 0-9 _ . -, starts with a letter or digit, and is none of ${[...RESERVED].join(', ')}`,
  );
}

/** Host id of a container's id; -1 (as `unmapped` tells) if no range holds it. An empty map is the identity. */
export function toHostId(maps: readonly IdMap[], id: number): number {
  if (maps.length === 0) return id;
  const range = maps.find((m) => id >= m.containerId && id < m.containerId + m.size);
  return range ? range.hostId + (id - range.containerId) : -1;
}

/** The reverse of `toHostId`. */
export function toContainerId(maps: readonly IdMap[], id: number): number {
  if (maps.length === 0) return id;
  const range = maps.find((m) => id >= m.hostId && id < m.hostId + m.size);
  return range ? range.containerId + (id - range.hostId) : -1;
}
