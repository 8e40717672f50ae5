/** A new layer: all of its directories, files and its record, or nothing. */

import { inverse } from '../core/disk.js';
import type { Reversible } from '../core/disk.js';
import type { LayerId, LayerInfo, LayerRecord } from '../core/model.js';
import { admit } from './admit.js';
import type { StoreContext } from './context.js';
import { publishDraft, writeDraft } from './draft.js';
import { make } from './make.js';
import { layerFiles, linkPath, linkTarget, lowerText } from './paths.js';
import { undone } from './publish.js';

/** What one creation has done so far, in this order. */
interface Progress {
  /** The parent had no marker: this creation wrote it, or failed to. */
  marked: LayerId | null;
  readonly made: Reversible[];
}

/**
 * The parent is held, in the index, before anything is awaited: its removal and this creation cannot miss each other.
 */
export async function createLayer(store: StoreContext, wanted: LayerRecord): Promise<LayerInfo> {
  const { index } = store;
  const record = admit(index, wanted);
  index.holdParent(record);
  const progress: Progress = { marked: null, made: [] };
  try {
    if (record.parent !== null) await markParent(store, record.parent, progress);
    await makeFiles(store, record, progress.made);
  } catch (error) {
    index.releaseParent(record);
    await takeBack(store, record, progress);
    throw error;
  }
  return index.set(record, false);
}

async function makeFiles(store: StoreContext, record: LayerRecord, made: Reversible[]): Promise<void> {
  const { paths, disk, owners, limit } = store;
  const { root } = layerFiles(paths.home, record.id);
  const rootDirectory = { do: 'mkdir', path: root, mode: 0o710, owner: owners.directory } as const;
  if (record.quota === null) return make(disk, [rootDirectory, ...contents(store, record)], made);
  await make(disk, [rootDirectory], made);
  // Before anything is below it: what is made from now on inherits the project of the quota.
  await limit?.(root, record.quota);
  await make(disk, contents(store, record), made);
}

/** The draft first, still empty: until the record is there, it tells that this Create was not acknowledged. */
function contents(store: StoreContext, record: LayerRecord): Reversible[] {
  const { paths, owners } = store;
  const files = layerFiles(paths.home, record.id);
  const directory = (path: string, mode: number): Reversible => {
    return { do: 'mkdir', path, mode, owner: owners.root };
  };
  const file = (path: string, text: string): Reversible => {
    return { do: 'write', path, text, mode: 0o644, sync: false };
  };
  const links = store.index.ancestors(record).map((ancestor) => ancestor.link);
  return [
    file(files.draft, ''),
    directory(files.diff, 0o755),
    file(files.link, record.link),
    { do: 'symlink', target: linkTarget(record.id), path: linkPath(paths.home, record.link) },
    ...(record.parent === null ? [] : [directory(files.work, 0o700), file(files.lower, lowerText(links))]),
    writeDraft(store, files.draft, record),
    publishDraft(files.draft, files.record),
  ];
}

/** The marker has turns of its own: children of one parent are made at the same time. */
function markParent(store: StoreContext, parent: LayerId, progress: Progress): Promise<void> {
  const { paths, disk, index, turns } = store;
  return turns.take(`committed:${parent}`, async () => {
    if (index.committed(parent)) return;
    progress.marked = parent;
    const path = layerFiles(paths.home, parent).committed;
    await disk.change([{ do: 'write', path, text: '', mode: 0o600, sync: false }]);
    index.setCommitted(parent, true);
  });
}

async function takeBack(store: StoreContext, record: LayerRecord, { marked, made }: Progress): Promise<void> {
  for (const change of [...made].reverse()) {
    await undone(store, record, store.disk.change([inverse(change)]));
  }
  if (marked !== null) await undone(store, record, unmarkParent(store, marked));
}

/** For a child that was not made after all. The marker outlives a child that was, as with overlay2. */
function unmarkParent({ paths, disk, index, turns }: StoreContext, parent: LayerId): Promise<void> {
  return turns.take(`committed:${parent}`, async () => {
    if (index.hasChildren(parent)) return;
    index.setCommitted(parent, false);
    await disk.change([{ do: 'unlink', path: layerFiles(paths.home, parent).committed }]);
  });
}
