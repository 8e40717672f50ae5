import assert from 'node:assert/strict';
import { test } from 'node:test';

import { quotaWarning } from '../../../src/cvmfs/embedded/cache/smallest-quota.js';

const MIB = 1 << 20;

test('a quota holds twice a chunk and the root catalog, or a warning tells how much does', () => {
  const warning = (megabytes: number, pinnedBytes: number) =>
    quotaWarning({ limit: megabytes * MIB, pinnedBytes }, 'a.example.org');
  assert.equal(warning(42, 5 * MIB), null);
  assert.equal(warning(Infinity, 5 * MIB), null);
  assert.equal(
    warning(41, 5 * MIB),
    'CVMFS_QUOTA_LIMIT=41 is less than the 42 (MB) that a.example.org needs: what does not fit beside its catalogs will fail with EIO; raise it',
  );
  assert.match(warning(1, 20_000) ?? '', /the 33 \(MB\)/);
});
