/**
 * Project quotas, the ones that ext4 and xfs have for directory trees: a directory gets a project id of its own, which
 * all that is made below inherits, and the file system limits what the id owns.
 */

import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';

import { ThinlayerError } from '../core/errors.js';
import { fromErrno, isErrno, isFull } from '../core/errno.js';
import type { Quota } from '../core/ports.js';
import type { QuotaFunctions } from './addon.js';

/** Answers that mean "not on this file system" or "not for this process", rather than a fault. */
const UNSUPPORTED = new Set([
  'ENOSYS',
  'EPERM',
  'EACCES',
  'ESRCH',
  'ENOTTY',
  'EOPNOTSUPP',
  'ENOTSUP',
  'EINVAL',
  'ENODEV',
  'ENXIO',
  'ENOTBLK',
]);

/** Docker's name for it; a container sees no /dev of the host. */
const DEVICE = 'backingFsBlockDev';

/** Null if project quotas work in `home`, or a full disk kept us from asking; else the kernel's refusal, for `createQuota`. */
export async function probeQuota(calls: QuotaFunctions, home: string): Promise<string | null> {
  try {
    const first = (await calls.projectId(home)) + 1;
    await setLimit(calls, home, { directory: home, id: first, bytes: 0 });
    return null;
  } catch (error) {
    if (isFull(error)) return null;
    if (!isErrno(error) || !UNSUPPORTED.has(error.code))
      throw fromErrno(error, { op: 'probe quota', path: home });
    await rm(join(home, DEVICE), { force: true });
    return error.message;
  }
}

export interface QuotaConfig {
  readonly home: string;
  /** What `probeQuota` answered. */
  readonly refusal: string | null;
}

/**
 * `limit` is for the directory that holds both `diff` and `work`, before they are made: overlayfs renames between
 * them, and a rename out of a project is refused.
 */
export function createQuota(calls: QuotaFunctions, config: QuotaConfig): Quota {
  const { home, refusal } = config;
  let ids: Promise<ProjectIds> | undefined;
  return {
    async limit(directory, bytes) {
      if (refusal !== null) throw quotaUnsupported(home, refusal);
      try {
        ids ??= ProjectIds.scan(calls, home).catch((error: unknown) => {
          ids = undefined; // the next caller looks again
          throw error;
        });
        const id = (await ids).of(await calls.projectId(directory));
        await setLimit(calls, home, { directory, id, bytes });
        await calls.setProjectId(directory, id);
      } catch (error) {
        throw fromErrno(error, { op: 'quota', path: directory });
      }
    },
  };
}

/** Ids above the home's own; one that a directory has is never given to another. */
class ProjectIds {
  readonly #base: number;
  #last: number;

  private constructor(base: number, last: number) {
    this.#base = base;
    this.#last = last;
  }

  /** Deleted layers count as long as they are in the trash. */
  static async scan(calls: QuotaFunctions, home: string): Promise<ProjectIds> {
    const base = await calls.projectId(home);
    let last = base + 1; // what the probe uses
    for (const directory of [...(await directories(home)), ...(await directories(join(home, '.trash')))]) {
      last = Math.max(last, await calls.projectId(directory).catch(gone));
    }
    return new ProjectIds(base, last);
  }

  /** The id a directory has already, or else a fresh one. */
  of(current: number): number {
    return current > this.#base ? current : ++this.#last;
  }
}

async function directories(path: string): Promise<string[]> {
  const entries = await readdir(path, { withFileTypes: true }).catch((error: unknown) => {
    gone(error);
    return [];
  });
  return entries.filter((entry) => entry.isDirectory()).map((entry) => join(path, entry.name));
}

/** Layers may be removed while we look. */
function gone(error: unknown): number {
  if (isErrno(error) && error.code === 'ENOENT') return 0;
  throw error;
}

interface Limit {
  readonly directory: string;
  readonly id: number;
  readonly bytes: number;
}

/** Before Linux 5.14 quotas are set on the block device alone. */
async function setLimit(calls: QuotaFunctions, home: string, { directory, id, bytes }: Limit): Promise<void> {
  try {
    await calls.limitProject(directory, id, bytes);
  } catch (error) {
    if (!isErrno(error) || error.code !== 'ENOSYS') throw error;
    const device = join(home, DEVICE);
    await calls.makeBackingDevice(home, device);
    await calls.limitProjectOnDevice(device, id, bytes);
  }
}

/** For a size limit in a home where `probeQuota` answered `refusal`. */
export function quotaUnsupported(home: string, refusal: string): ThinlayerError {
  return new ThinlayerError(
    'failed_precondition',
    `the file system of ${home} has no project quotas (${refusal}); a size limit needs xfs mounted with pquota, ` +
      'or ext4 made with `mkfs.ext4 -O quota,project` and mounted with prjquota',
    { op: 'quota', path: home },
  );
}
