/** Which overlay mounts containers have for their root, by the kernel's word: whoever counts uses may have missed an end. */

import { readdir, readFile, readlink, realpath } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

import { fromErrno, isErrno } from '../core/errno.js';
import { parseMountinfo } from './mountinfo.js';
import type { MountEntry } from './mountinfo.js';

/**
 * Of these mountpoints, all in our mount name space, those whose file system is mounted in another one under another path.
 * (dockerd's own name space may be another than ours, and shows a layer where we do.) Where it cannot be told, because no
 * other name space or no such mount is to be seen, a layer counts as used. A process that ends meanwhile uses nothing any more.
 */
export async function usedByContainers(targets: readonly string[], proc = '/proc'): Promise<Set<string>> {
  if (targets.length === 0) return new Set();
  try {
    const own = parseMountinfo(await readFile(join(proc, 'self/mountinfo'), 'utf8'));
    const elsewhere = await othersMounts(proc);
    const devices = await Promise.all(targets.map((target) => deviceOf(target, own)));
    const isUsed = (target: string, index: number) =>
      elsewhere === null ||
      devices[index] === undefined ||
      elsewhere.some((mount) => mount.device === devices[index] && !target.endsWith(nameOf(mount)));
    return new Set(targets.filter(isUsed));
  } catch (error) {
    throw fromErrno(error, { op: 'look for containers', path: proc });
  }
}

/** A symlink may lead to the home; what stands in mountinfo is where it leads to. */
async function deviceOf(target: string, own: readonly MountEntry[]): Promise<string | undefined> {
  const directory = (await unlessGone(realpath(dirname(target)))) ?? dirname(target);
  const path = join(directory, basename(target));
  return own.findLast(({ mountPoint }) => mountPoint === path)?.device;
}

/** `ID/merged`, however the home is called there. */
function nameOf({ mountPoint }: MountEntry): string {
  return `/${mountPoint.split('/').slice(-2).join('/')}`;
}

/** Overlay mounts in all mount name spaces but ours, each of which is read once. Null: there is no other, or none that we may see. */
async function othersMounts(proc: string): Promise<MountEntry[] | null> {
  const seen = new Set([await readlink(join(proc, 'self/ns/mnt'))]);
  const mounts: MountEntry[] = [];
  for (const pid of (await readdir(proc)).filter((name) => /^\d+$/.test(name))) {
    const namespace = await unlessGone(readlink(join(proc, pid, 'ns/mnt')));
    if (namespace === null || seen.has(namespace)) continue;
    const text = await unlessGone(readFile(join(proc, pid, 'mountinfo'), 'utf8'));
    if (text === null) continue;
    seen.add(namespace);
    mounts.push(...parseMountinfo(text).filter(({ type }) => type === 'overlay'));
  }
  return seen.size > 1 ? mounts : null;
}

async function unlessGone(reading: Promise<string>): Promise<string | null> {
  try {
    return await reading;
  } catch (error) {
    // EINVAL: a zombie's mounts; EACCES: it has just ended, or is above our user name space.
    if (isErrno(error, 'ENOENT', 'ESRCH', 'EINVAL', 'EACCES', 'EPERM')) return null;
    throw error;
  }
}
