/** Whether a quota will do for a repository: told at the mount, and not first by a file that does not fit. */

import type { CacheFacts } from './cache.js';

const MIB = 1 << 20;
/** The largest piece of a file, uncompressed, that a server publishes if it is not told otherwise (CVMFS_MAX_CHUNK_SIZE). */
const CHUNK_BYTES = 16 * MIB;

/**
 * Catalogs in use may hold half of the quota, and the last of them goes beyond (see CatalogPins); in what is left a chunk has to fit. How
 * large a catalog is, only the root catalog tells before it is read: it is all that is pinned when a repository was just opened.
 */
export function smallestQuota({ pinnedBytes }: Pick<CacheFacts, 'pinnedBytes'>): number {
  return 2 * (CHUNK_BYTES + pinnedBytes);
}

/** What to tell; null: it will do. */
export function quotaWarning(facts: Pick<CacheFacts, 'limit' | 'pinnedBytes'>, fqrn: string): string | null {
  const smallest = smallestQuota(facts);
  if (facts.limit >= smallest) return null;
  const [limit, needed] = [Math.floor(facts.limit / MIB), Math.ceil(smallest / MIB)];
  return `CVMFS_QUOTA_LIMIT=${limit} is less than the ${needed} (MB) that ${fqrn} needs: what does not fit beside its catalogs will fail with EIO; raise it`;
}
