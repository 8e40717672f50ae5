/** `/etc/cvmfs/blacklist`: what the administrator of this host does not trust any more. */

import { readFingerprint } from './fingerprint.js';
import type { ObjectId } from './object-id.js';

export interface Blacklist {
  readonly fingerprints: readonly ObjectId[];
  /** By repository: revisions below that are refused. */
  readonly minimumRevisions: ReadonlyMap<string, number>;
}

export const EMPTY_BLACKLIST: Blacklist = { fingerprints: [], minimumRevisions: new Map() };

/** A line is a fingerprint, or `<REPOSITORY N`. Other lines are skipped, as CERN's client does. */
export function parseBlacklist(text: string): Blacklist {
  const fingerprints: ObjectId[] = [];
  const minimumRevisions = new Map<string, number>();
  for (const line of text.split('\n')) {
    const revision = /^<\s*(\S+)\s+(\d{1,15})\b/.exec(line);
    if (revision?.[1]) {
      const before = minimumRevisions.get(revision[1]) ?? 0;
      minimumRevisions.set(revision[1], Math.max(before, Number(revision[2])));
    }
    const fingerprint = readFingerprint(line.trim());
    if (fingerprint) fingerprints.push(fingerprint);
  }
  return { fingerprints, minimumRevisions };
}
