/** The only file that loads the addon `thinlayer_cvmfs` (native/cvmfs/), which needs libfuse3 and libsqlite3. */

import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

import { ThinlayerError } from '../../core/errors.js';
import type { Miss, Wanted } from './mount.js';

/** From dist/src/cvmfs/embedded/addon.js. `THINLAYER_CVMFS_ADDON` names another build of it: see test/sanitized/run.sh. */
const ADDON =
  process.env['THINLAYER_CVMFS_ADDON'] ??
  fileURLToPath(new URL('../../../../native/build/Release/thinlayer_cvmfs.node', import.meta.url));

/**
 * How ids are shown: all as one, or by pairs `[from, to, from, to, …]`, and what is not in them as `others`; then as the host has
 * them, by `[inside, outside, size, …]` of a user name space, if there are any.
 */
export interface NativeIds {
  readonly all: number | null;
  readonly map: readonly number[];
  readonly others: number | null;
  readonly ranges: readonly number[];
}

export interface NativeOptions {
  readonly mountpoint: string;
  readonly fqrn: string;
  readonly cache: string;
  readonly uids: NativeIds;
  readonly gids: NativeIds;
  readonly layers: boolean;
  readonly variables: Readonly<Record<string, string>>;
  readonly magicXattrs: 'rootonly' | 'always' | 'never';
  readonly kernelCacheSeconds: number;
  readonly looksAhead: boolean;
  /** Of mount(8): each one whole, commas in it are not separators. */
  readonly mountOptions: readonly string[];
}

/** native/cvmfs/addon.cc. Nothing is checked there. */
export interface NativeMount {
  setRoot(object: string, revision: number): Promise<void>;
  complete(number: number, errno: number): void;
  takeUsed(): string[];
  letGo(): void;
  forgetContents(): Promise<void>;
  setMagic(values: Readonly<Record<string, string>>): void;
  statistics(): Record<string, number>;
  unmount(): Promise<void>;
}

/** native/cvmfs/inflater.h: of one zlib stream. One call at a time. */
export interface NativeInflater {
  /**
   * Fills `into` from `at` on with what the next piece holds, or with what is left of the one before (null). Answers where that ends: at
   * the end of `into` as long as there may be more. Rejects with `EBADMSG` and why in `detail`.
   */
  inflate(piece: Buffer | null, into: Buffer, at: number): Promise<number>;
  /** Bytes after the end of the stream; null: it has not ended. */
  left(): number | null;
}

export interface CvmfsAddon {
  readonly Inflater: new () => NativeInflater;
  /** The first row's columns as text; null: there is none. */
  queryDatabase(path: string, sql: string, words: readonly string[]): Promise<string[] | null>;
  /** native/cvmfs/store_object.h. */
  storeObject(draft: string, bytes: Buffer, log: string, line: string, path: string): Promise<void>;
  /** Gives back to the system what malloc keeps; takes a few milliseconds. */
  trimMemory(): void;
  mountRepository(
    options: NativeOptions,
    onMiss: (miss: Miss) => void,
    onAhead: (files: readonly Wanted[]) => void,
    onEnd: (errno: number) => void,
  ): Promise<NativeMount>;
}

let loaded: CvmfsAddon | undefined;

/** Once for all. Throws `failed_precondition` if it is not built, built for another Node, or a library is missing. */
export function loadCvmfsAddon(): CvmfsAddon {
  try {
    loaded ??= createRequire(import.meta.url)(ADDON) as CvmfsAddon;
    return loaded;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new ThinlayerError(
      'failed_precondition',
      `the native addon ${ADDON} cannot be loaded: ${reason}; install libfuse3 and libsqlite3, or build it with \`npm run build\``,
      { op: 'start', path: ADDON, cause: error },
    );
  }
}
