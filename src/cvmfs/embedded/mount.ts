/**
 * A repository as a FUSE file system. Native threads answer the kernel out of catalogs and cached objects; what is not in
 * the cache is asked for here, once for all who wait for it.
 */

import { isAbsolute, normalize } from 'node:path';
import { getSystemErrorName } from 'node:util';

import { fromErrno } from '../../core/errno.js';
import { ThinlayerError } from '../../core/errors.js';
import type { IdMaps } from '../../core/model.js';
import { repositoryName } from '../../core/repository-name.js';
import type { ByteString } from '../../core/tree.js';
import { loadCvmfsAddon } from './addon.js';
import type { NativeIds, NativeMount, NativeOptions } from './addon.js';

/** An object that somebody needs, or is about to. */
export interface Wanted {
  /** Its path below the cache directory: "b6/c1…P". */
  readonly object: string;
  /** As stored on the server; catalogs always are. */
  readonly compressed: boolean;
  /** Uncompressed bytes by the catalog: the bound for decompression. 0: the catalog around does not say. */
  readonly size: number;
  /** Of the file or catalog in the repository, for messages. */
  readonly path: string;
}

export interface Miss extends Wanted {
  /** For `complete`. All requests for one object share one miss. */
  readonly number: number;
  /** Its path, exactly. */
  readonly pathBytes: ByteString;
  /** Its contents are not among the repository's objects, but on a server of external files, by its path. */
  readonly external: boolean;
  /** Of a chunk in its file; else 0. */
  readonly offset: number;
  /** It is in the cache, and cannot be read there as what the catalogs say it is. */
  readonly damaged: boolean;
}

/** CVMFS_UID_MAP or CVMFS_GID_MAP. */
export interface IdMap {
  readonly entries: ReadonlyMap<number, number>;
  /** For what is not in `entries`; null: as in the catalog. */
  readonly others: number | null;
}

export interface MountOptions {
  readonly mountpoint: string;
  readonly fqrn: string;
  readonly cache: string;
  /** CVMFS_CLAIM_OWNERSHIP; null: as in the catalog. */
  readonly owner: { readonly uid: number; readonly gid: number } | null;
  readonly uidMap: IdMap;
  readonly gidMap: IdMap;
  /** Of the user name space in which all these ids are meant; empty: they are the host's. */
  readonly namespace: IdMaps;
  /** `-o layers`: `.wh.*` below /layers and /.layers shown as overlay whiteouts and opaque directories. */
  readonly layers: boolean;
  /** For `$(NAME)` in symlinks. */
  readonly variables: Readonly<Record<string, string>>;
  /** Whether setuid bits count. */
  readonly suid: boolean;
  /** Where they are listed. */
  readonly magicXattrs: NativeOptions['magicXattrs'];
  readonly kernelCacheSeconds: number;
  readonly mountOptions: readonly string[];
}

export interface CvmfsMount {
  /**
   * The catalog with this object path, already in the cache, becomes the root; requests under way end on the old one,
   * open files go on, the kernel's caches of what changed are invalidated. Inodes of unchanged paths stay. Until the first
   * call requests wait. Rejects with `not_found` if it is not in the cache, with `data_loss` if it cannot be
   * read there, with `unavailable` if it cannot be opened.
   */
  setRoot(object: string, revision: number): Promise<void>;
  /** errno 0: the object is in the cache now. Else all requests parked on it fail with that errno. */
  complete(number: number, errno: number): void;
  /** Objects opened since the last call (for least-recently-used eviction), and the catalogs in use. */
  takeUsed(): string[];
  /** Closes objects that are kept open for the next read: what was evicted takes room on the disk until then. */
  letGo(): void;
  /** The same, and what the kernel has of files' contents is read again. */
  forgetContents(): Promise<void>;
  /** Magic attributes by their names: `user.fqrn`, `user.host`, `user.proxy`, … */
  setMagic(values: Readonly<Record<string, string>>): void;
  statistics(): Readonly<Record<string, number>>;
  /** Detaches the mount, also while files are open: they fail from then on. Twice is once. */
  unmount(): Promise<void>;
}

/**
 * Resolves when the mount stands. `onMiss` is called on the JavaScript thread, and must see to it that `complete` is called
 * for each miss. `onEnd`: the mount ended though nobody called `unmount`; the kernel unmounted it, or with an error.
 * `onAhead` is told of objects that are not in the cache, and will be missed soon if whoever reads a directory's files one
 * after the other goes on; without it, nobody looks for such readers.
 */
export async function mountRepository(
  options: MountOptions,
  onMiss: (miss: Miss) => void,
  onEnd: (error?: Error) => void,
  onAhead?: (files: readonly Wanted[]) => void,
): Promise<CvmfsMount> {
  check(options);
  const { mountpoint } = options;
  const native = { ...nativeOptions(options), looksAhead: onAhead !== undefined };
  const ignore = () => undefined;
  const mounting = loadCvmfsAddon().mountRepository(native, onMiss, onAhead ?? ignore, (errno) => {
    void ended(mounting, mountpoint, errno).then(onEnd);
  });
  try {
    return face(await mounting, mountpoint);
  } catch (error) {
    throw fromErrno(error, { op: 'mount', path: mountpoint });
  }
}

/** The error to tell of; what the mount still holds is freed. */
async function ended(
  mounting: Promise<NativeMount>,
  mountpoint: string,
  errno: number,
): Promise<Error | undefined> {
  try {
    await (await mounting).unmount();
  } catch (error) {
    return fromErrno(error, { op: 'unmount', path: mountpoint });
  }
  if (errno === 0) return undefined;
  const name = getSystemErrorName(-errno);
  return new ThinlayerError(
    'unavailable',
    `the file system on ${mountpoint} ended: ${name}; mount it again`,
    {
      op: 'mount',
      path: mountpoint,
    },
  );
}

function face(native: NativeMount, mountpoint: string): CvmfsMount {
  return {
    async setRoot(object, revision) {
      try {
        await native.setRoot(object, revision);
      } catch (error) {
        throw fromErrno(error, { op: 'setRoot', path: mountpoint });
      }
    },
    complete: (number, errno) => native.complete(number, errno),
    takeUsed: () => native.takeUsed(),
    letGo: () => native.letGo(),
    async forgetContents() {
      try {
        await native.forgetContents();
      } catch (error) {
        throw fromErrno(error, { op: 'forgetContents', path: mountpoint });
      }
    },
    setMagic: (values) => native.setMagic(values),
    statistics: () => native.statistics(),
    async unmount() {
      try {
        await native.unmount();
      } catch (error) {
        throw fromErrno(error, { op: 'unmount', path: mountpoint });
      }
    },
  };
}

/** Ours alone: what depends on them is decided by other options, goes without saying, or was agreed upon with the kernel. */
const FIXED =
  /^(ro|rw|dev|nodev|suid|nosuid|allow_other|default_permissions|fsname=.*|subtype=.*|max_read=.*)$/s;

function check(options: MountOptions): void {
  const { mountpoint, cache, fqrn, kernelCacheSeconds, owner, uidMap, gidMap } = options;
  const refuse = (what: string): never => {
    throw new ThinlayerError('invalid_argument', `mount: ${what}`, { op: 'mount', path: mountpoint });
  };
  for (const path of [mountpoint, cache]) {
    if (!isAbsolute(path) || path.includes('\0')) refuse(`not an absolute path: ${JSON.stringify(path)}`);
  }
  repositoryName(fqrn);
  if (!(kernelCacheSeconds >= 0 && kernelCacheSeconds <= 1e6))
    refuse(`CVMFS_KCACHE_TIMEOUT has to be 0 to 1000000 seconds, and is ${kernelCacheSeconds}`);
  const mapped = [uidMap, gidMap].flatMap(({ entries, others }) => [...[...entries].flat(), others ?? 0]);
  for (const id of [...mapped, owner?.uid ?? 0, owner?.gid ?? 0]) {
    if (!Number.isInteger(id) || id < 0 || id > 0xffffffff) refuse(`not a user or group id: ${id}`);
  }
  for (const option of options.mountOptions) {
    if (option === '' || option.includes('\0')) refuse(`not a mount option: ${JSON.stringify(option)}`);
    if (FIXED.test(option)) refuse(`the mount option ${option} cannot be given; leave it out`);
  }
}

function nativeOptions(options: MountOptions): Omit<NativeOptions, 'looksAhead'> {
  const { fqrn, cache, layers, variables, magicXattrs, kernelCacheSeconds, owner, namespace } = options;
  const ids = (all: number | undefined, { entries, others }: IdMap, ranges: IdMaps['uids']): NativeIds => ({
    all: all ?? null,
    map: [...entries].flat(),
    others,
    ranges: ranges.flatMap(({ containerId, hostId, size }) => [containerId, hostId, size]),
  });
  return {
    mountpoint: normalize(options.mountpoint).replace(/(?<=.)\/+$/, ''),
    ...{ fqrn, cache, layers, variables, magicXattrs, kernelCacheSeconds },
    uids: ids(owner?.uid, options.uidMap, namespace.uids),
    gids: ids(owner?.gid, options.gidMap, namespace.gids),
    mountOptions: [
      ...['ro', 'nodev', options.suid ? 'suid' : 'nosuid', 'allow_other', 'default_permissions'],
      ...[`fsname=${fqrn}`, 'subtype=cvmfs'],
      ...options.mountOptions,
    ],
  };
}
