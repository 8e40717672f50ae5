/** What the parts of an open store share. */

import type { Disk, Owner } from '../core/disk.js';
import { toHostId } from '../core/model.js';
import type { IdMaps } from '../core/model.js';
import { ThinlayerError } from '../core/errors.js';
import type { SyncMode } from '../core/options.js';
import type { LayerIndex } from './layer-index.js';
import type { StoreLog } from './log.js';
import type { HomePaths } from './paths.js';
import type { Trash } from './trash.js';
import type { Turns } from './turns.js';

export interface StoreContext {
  readonly paths: HomePaths;
  readonly disk: Disk;
  readonly index: LayerIndex;
  readonly trash: Trash;
  readonly turns: Turns;
  readonly log: StoreLog;
  readonly sync: SyncMode;
  readonly owners: Owners;
  readonly syncfs: (path: string) => Promise<void>;
  /** Undefined: quotas are only kept in the records. */
  readonly limit: ((directory: string, bytes: number) => Promise<void>) | undefined;
  /** Set by close(): no change begins from then on. */
  closed: boolean;
}

/** Null where a new directory has the right owner by itself. */
export interface Owners {
  /** Of `diff` and `work`: root of the mapped containers. */
  readonly root: Owner | null;
  /** Of the home and the layers' directories: ours, with the group of the mapped root (CVE-2021-41091). */
  readonly directory: Owner | null;
}

export function ownersFor(idMaps: IdMaps): Owners {
  if (idMaps.uids.length === 0 && idMaps.gids.length === 0) return { root: null, directory: null };
  const root = { uid: toHostId(idMaps.uids, 0), gid: toHostId(idMaps.gids, 0) };
  if (root.uid < 0 || root.gid < 0) {
    throw new ThinlayerError(
      'invalid_argument',
      'the id maps have no range that holds id 0, so containers have no root',
      {
        op: 'open',
      },
    );
  }
  return { root, directory: { uid: process.getuid?.() ?? 0, gid: root.gid } };
}
