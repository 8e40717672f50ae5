/** What differs between trees, and how large it is. The comparison itself is the reader's. */

import type { Change } from '../core/model.js';
import type { Cancel } from '../core/service.js';
import type { TreeReader, TreeWork } from '../core/tree.js';

/** See Archive.changes. */
export async function changes(
  reader: TreeReader,
  diff: string,
  lowers: readonly string[],
  work?: TreeWork,
): Promise<Change[]> {
  return (await reader.compareLayer(diff, lowers, work)).changes;
}

/** See Archive.size. */
export function size(reader: TreeReader, tree: string, cancel?: Cancel): Promise<number> {
  return reader.size(tree, cancel);
}

/** See Archive.changesBetween. */
export async function changesBetween(
  reader: TreeReader,
  newer: string,
  older: string | null,
  work?: TreeWork,
): Promise<Change[]> {
  return (await reader.compareTrees(newer, older, work)).changes;
}

/** See Archive.sizeBetween. */
export async function sizeBetween(
  reader: TreeReader,
  newer: string,
  older: string | null,
  work?: TreeWork,
): Promise<number> {
  return (await reader.compareTrees(newer, older, work)).size;
}
