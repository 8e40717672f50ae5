/** The only file that loads the native addon. Each area of the addon has its interface; a user names those it needs. */

import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

import { ThinlayerError } from '../core/errors.js';

/** From dist/src/host/addon.js. `THINLAYER_ADDON` names another build of it: see test/sanitized/run.sh. */
const ADDON =
  process.env['THINLAYER_ADDON'] ??
  fileURLToPath(new URL('../../../native/build/Release/thinlayer.node', import.meta.url));

/** `fsopen`: Linux 6.5's `lowerdir+`, no limit on the length of all paths. `mount`: mount(2), one page for all options. */
export type MountApi = 'fsopen' | 'mount';

export interface NativeMount {
  readonly target: string;
  /** Uppermost first, each followed by a NUL. */
  readonly lowers: string;
  /** Both or neither; neither makes the mount read-only. */
  readonly upper: string | null;
  readonly work: string | null;
  /** Mount flags (`nodev`) and overlay options (`index=off`), in any order, each followed by a NUL. */
  readonly options: string;
  readonly context: string | null;
  /** Paths below it are written relative to it where absolute ones are too long for the kernel. */
  readonly home: string;
  readonly api: MountApi;
  /** Owner of `target` and of `work/work`. */
  readonly uid: number;
  readonly gid: number;
  /** See OverlayMount. */
  readonly remote: boolean;
}

/** native/mount.cc, native/places.cc. */
export interface MountFunctions {
  /** Makes `target` (0700) if it is missing. After a failure neither mount nor `target` is left. */
  mountOverlay(mount: NativeMount): Promise<void>;
  /**
   * The first of `paths`, relative to `root`, that is a directory; null if there is nothing. ENOTDIR for a file or a symlink, EXDEV
   * for a way out of `root`.
   */
  locateDirectory(root: string, paths: readonly string[]): Promise<string | null>;
  /** Detaches all mounts stacked on `path`, removes the directory. Missing: success. */
  unmount(path: string): Promise<void>;
}

/** `empty`: a directory with nothing in it, on which nothing is mounted. */
export type RepositoryPlace = 'there' | 'empty' | 'absent';

/** native/places.cc. */
export interface PlaceFunctions {
  /** Where the host has its repositories; autofs may mount it for this. ENOTDIR for a file or a symlink. */
  lookAtRepository(directory: string, repository: string): Promise<RepositoryPlace>;
}

/** native/probe.cc. */
export interface ProbeFunctions {
  /** Whether readdir of a directory, which must not be empty, tells the types of its entries. */
  supportsDType(directory: string): Promise<boolean>;
}

/** native/host.cc. Paths are not followed if they are symlinks. */
export interface HostFunctions {
  /**
   * Takes an exclusive lock without waiting (EWOULDBLOCK: somebody has it) and writes `text` into the file, if there is room.
   * Answers the descriptor: closing it, or the end of the process, gives the lock back.
   */
  lockFile(path: string, text: string): Promise<number>;
  /** Writes out everything of the file system that holds `path`. */
  syncfs(path: string): Promise<void>;
  setXattr(path: string, name: string, value: string): Promise<void>;
  /** Null if there is no such attribute. May wait for a network: holds up no work on files of ours. */
  getXattr(path: string, name: string): Promise<string | null>;
}

/** native/disk.cc: see `Disk` in core. */
export interface DiskFunctions {
  /** As disk.ts writes them. */
  changeDisk(changes: string): Promise<void>;
  /** `flag`: see cancel-flag.ts. */
  deleteTree(path: string, flag: Uint8Array): Promise<void>;
}

/** native/quota.cc. */
export interface QuotaFunctions {
  /** Project id of a file or directory. */
  projectId(path: string): Promise<number>;
  /** Sets the project id of a directory, which entries made in it from now on inherit. */
  setProjectId(directory: string, id: number): Promise<void>;
  /** quotactl_fd(2), Linux 5.14; 0 bytes: no limit. */
  limitProject(directory: string, id: number, bytes: number): Promise<void>;
  /** quotactl(2) on a block special file. */
  limitProjectOnDevice(device: string, id: number, bytes: number): Promise<void>;
  /** Makes a block special file for the device that `directory` is stored on; a file already there is replaced. */
  makeBackingDevice(directory: string, path: string): Promise<void>;
}

export type HostAddon = MountFunctions & ProbeFunctions & HostFunctions & QuotaFunctions;

/** The addon as the areas that `T` names. Throws `failed_precondition` if it is not built, or built for another Node. */
export function loadAddon<T extends object = HostAddon>(): T {
  try {
    return createRequire(import.meta.url)(ADDON) as T;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new ThinlayerError(
      'failed_precondition',
      `the native addon ${ADDON} cannot be loaded: ${reason}; build it with \`npm run build\``,
      { op: 'start', path: ADDON, cause: error },
    );
  }
}
