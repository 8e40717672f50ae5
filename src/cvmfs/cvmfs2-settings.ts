/** What CERN's client makes of its configuration, as it says itself (`cvmfs2 -o parse`): a shell of its own reads the files. */

import { join, resolve } from 'node:path';

import { toHostId } from '../core/model.js';
import type { IdMap } from '../core/model.js';

/** Its parameters by name. */
export type Cvmfs2Settings = ReadonlyMap<string, string>;

/** Lines `NAME=VALUE    # from FILE`; a value with other than plain characters stands in single quotes. */
export function parseSettings(output: string): Cvmfs2Settings {
  const lines = output.split('\n').map((line) => /^(\w+)=(.*?)(?: {4}# from .*)?$/.exec(line));
  return new Map(
    lines.flatMap((match) => (match ? [[match[1] ?? '', unquoted(match[2] ?? '')] as const] : [])),
  );
}

function unquoted(value: string): string {
  return /^'.*'$/s.test(value) ? value.slice(1, -1).replaceAll("\\'", "'") : value;
}

export function isOn(settings: Cvmfs2Settings, name: string): boolean {
  return /^(yes|on|1|true)$/i.test(settings.get(name) ?? '');
}

/** The directory of its cache, which it shares with other repositories or not. */
export function cacheOf(settings: Cvmfs2Settings, repository: string): string {
  const base = settings.get('CVMFS_CACHE_BASE') ?? '/var/lib/cvmfs';
  const own = join(base, isOn(settings, 'CVMFS_SHARED_CACHE') ? 'shared' : repository);
  return settings.get('CVMFS_CACHE_DIR') ?? own;
}

/** Where its sockets and locks are: FileSystem::SetupWorkspace. */
export function workspaceOf(settings: Cvmfs2Settings, repository: string): string {
  return settings.get('CVMFS_WORKSPACE') ?? cacheOf(settings, repository);
}

/** Where it listens for cvmfs_talk: MountPoint::SetupBehavior. */
export function talkSocketOf(settings: Cvmfs2Settings, repository: string): string {
  const name = settings.get('CVMFS_TALK_SOCKET') ?? `cvmfs_io.${repository}`;
  return resolve(workspaceOf(settings, repository), name);
}

/** What the kernel shows of an id that a user name space does not have. */
const UNMAPPED_ID = 65534;

/** More than any host gives to containers; each id is a line. */
const MAX_MAPPED_IDS = 1 << 20;

/**
 * A file for CVMFS_UID_MAP: ids of containers as the host has them; with `claims` all are root's. It knows no ranges.
 */
export function ownerMap(maps: readonly IdMap[], claims: boolean): string {
  if (claims) return `* ${toHostId(maps, 0)}\n`;
  if (maps.length === 0) return '';
  const lines: string[] = [];
  for (const { containerId, hostId, size } of maps) {
    const count = Math.min(size, MAX_MAPPED_IDS - lines.length);
    for (let i = 0; i < count; i += 1) lines.push(`${containerId + i} ${hostId + i}`);
  }
  return `${lines.join('\n')}\n* ${UNMAPPED_ID}\n`;
}
