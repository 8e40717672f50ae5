/** A mount against the listing of what was published. */

import assert from 'node:assert/strict';

import { keyOf } from './cvmfs-fixture.js';
import type { Listed } from './cvmfs-fixture.js';

/** Their chunks are too big for fixtures: reading them fails, and everything else of them is compared. */
export const WITHOUT_CONTENT = /^\/big\//;

const VARIANTS: Readonly<Record<string, string>> = {
  '/links/variant/default': 'fallback/lib',
  '/links/variant/empty-default': 'ab',
  '/links/variant/env': 'x86_64/bin',
  '/links/variant/multi': '/a/x86_64/b/c/d',
  '/links/variant/unset': 'prepost',
  '/links/variant/unterminated': 'x/$(CVMFS_FIX_ARCH',
};

/** Remarks of the listing, and what only some repositories keep. */
const UNSEEN = new Set(['tar_hardlink_to', 'made_by', 'variant', 'mtime_ns']);

/** What the listing knows of an entry: null is "not known". Directories' sizes and link counts are not in it. */
function expected(want: Listed, shown: Listed, nanoseconds: boolean): Record<string, unknown> {
  const known = Object.entries(want).filter(([field, value]) => value !== null && !UNSEEN.has(field));
  const target = want.variant ? VARIANTS[keyOf(want)] : undefined;
  return {
    ...Object.fromEntries(known),
    ...(nanoseconds ? { mtime_ns: want['mtime_ns'] } : {}),
    xattrs: want.xattrs ?? {},
    ...(target === undefined ? {} : { target, size: target.length }),
    ...(WITHOUT_CONTENT.test(keyOf(want)) && want.type === 'file' ? { sha256: shown['sha256'] } : {}),
  };
}

export function assertSame(shown: readonly Listed[], listing: readonly Listed[], nanoseconds = false): void {
  const byPath = new Map(shown.map((entry) => [keyOf(entry), entry]));
  assert.deepEqual([...byPath.keys()].sort(), listing.map(keyOf).sort());
  for (const want of listing) {
    const entry = byPath.get(keyOf(want));
    assert.ok(entry);
    const wanted = expected(want, entry, nanoseconds);
    const compared = Object.fromEntries(Object.keys(wanted).map((field) => [field, entry[field]]));
    assert.deepEqual(compared, wanted, keyOf(want));
  }
}
