/** A record on its way to disk: written beside its place, synced, renamed. */

import type { LayerRecord } from '../core/model.js';
import type { Disk, DiskFile } from './disk.js';
import { ifPresent } from './disk.js';
import { formatRecord } from './records.js';

export interface Draft {
  /** Writes, syncs if asked to, closes. Concurrent syncs share one journal commit: never queue them. */
  write(record: LayerRecord, sync: boolean): Promise<void>;
  /** Atomic. Not synced by itself: a complete draft counts as the record at recovery. */
  publish(path: string): Promise<void>;
  /** Deletes it; right at any time before `publish`. */
  discard(): Promise<void>;
}

export async function openDraft(disk: Disk, path: string): Promise<Draft> {
  let file: DiskFile | null = await disk.create(path, 0o644);
  const close = async () => {
    const open = file;
    file = null;
    await open?.close();
  };
  return {
    async write(record, sync) {
      await file?.write(formatRecord(record));
      if (sync) await file?.sync();
      await close();
    },
    publish: (target) => disk.rename(path, target),
    async discard() {
      await close();
      await ifPresent(disk.unlink(path));
    },
  };
}
