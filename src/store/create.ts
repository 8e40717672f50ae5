/** A new layer: all of its directories, files and its record, or nothing. */

import type { LayerId, LayerInfo, LayerRecord } from '../core/model.js';
import { admit } from './admit.js';
import { makeDirectory } from './context.js';
import type { StoreContext } from './context.js';
import { allDone, ifPresent } from './disk.js';
import { openDraft } from './draft.js';
import { layerFiles, linkPath, linkTarget, lowerText } from './paths.js';
import { undone } from './publish.js';

type Undo = () => Promise<void>;

/**
 * The parent is held, in the index, before anything is awaited: its removal and this creation cannot miss each other.
 */
export async function createLayer(store: StoreContext, wanted: LayerRecord): Promise<LayerInfo> {
  const { index } = store;
  const record = admit(index, wanted);
  index.holdParent(record);
  const undo: Undo[] = [];
  try {
    await makeFiles(store, record, undo);
  } catch (error) {
    index.releaseParent(record);
    for (const step of undo.reverse()) await undone(store, record, step());
    throw error;
  }
  return index.set(record, false);
}

async function makeFiles(store: StoreContext, record: LayerRecord, undo: Undo[]): Promise<void> {
  const { paths, disk, owners, limit } = store;
  const files = layerFiles(paths.home, record.id);
  await disk.mkdir(files.root, 0o710);
  undo.push(() => disk.rmdir(files.root));
  if (owners.directory) await disk.chown(files.root, owners.directory.uid, owners.directory.gid);
  // Before anything is below it: what is made from now on inherits the project of the quota.
  if (record.quota !== null) await limit?.(files.root, record.quota);
  const draft = await openDraft(disk, files.draft);
  undo.push(() => draft.discard());
  await allDone(contents(store, record, undo));
  await draft.write(record, store.sync !== 'off');
  await draft.publish(files.record);
}

/** Everything between the draft and the record: in any order, so all at once. */
function contents(store: StoreContext, record: LayerRecord, undo: Undo[]): Promise<void>[] {
  const { paths, disk, owners } = store;
  const files = layerFiles(paths.home, record.id);
  const directory = (path: string, mode: number) => {
    undo.push(() => ifPresent(disk.rmdir(path)));
    return makeDirectory(disk, path, mode, owners.root);
  };
  const file = (path: string, text: string) => {
    undo.push(() => ifPresent(disk.unlink(path)));
    return disk.writeFile(path, text, 0o644);
  };
  const made = [directory(files.diff, 0o755), file(files.link, record.link), makeLink(store, record, undo)];
  if (record.parent === null) return made;
  const links = store.index.ancestors(record).map((ancestor) => ancestor.link);
  return [
    ...made,
    directory(files.work, 0o700),
    file(files.lower, lowerText(links)),
    markParent(store, record.parent, undo),
  ];
}

/** Undone only if it was made: else it is another layer's. */
async function makeLink({ paths, disk }: StoreContext, record: LayerRecord, undo: Undo[]): Promise<void> {
  const path = linkPath(paths.home, record.link);
  await disk.symlink(linkTarget(record.id), path);
  undo.push(() => disk.unlink(path));
}

/** The marker has turns of its own: children of one parent are made at the same time. */
function markParent(store: StoreContext, parent: LayerId, undo: Undo[]): Promise<void> {
  const { paths, disk, index, turns } = store;
  return turns.take(`committed:${parent}`, async () => {
    if (index.committed(parent)) return;
    undo.push(() => unmarkParent(store, parent));
    await disk.writeFile(layerFiles(paths.home, parent).committed, '', 0o600);
    index.setCommitted(parent, true);
  });
}

/** For a child that was not made after all. The marker outlives a child that was, as with overlay2. */
function unmarkParent({ paths, disk, index, turns }: StoreContext, parent: LayerId): Promise<void> {
  return turns.take(`committed:${parent}`, async () => {
    if (index.hasChildren(parent)) return;
    index.setCommitted(parent, false);
    await ifPresent(disk.unlink(layerFiles(paths.home, parent).committed));
  });
}
