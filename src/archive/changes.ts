/** What differs between trees, and how large it is. The comparison itself is the reader's. */

import type { Change } from '../core/model.js';
import type { Cancel } from '../core/service.js';
import type { TreeReader } from '../core/tree.js';

/** See Archive.changes. */
export async function changes(
  reader: TreeReader,
  diff: string,
  lowers: readonly string[],
  cancel?: Cancel,
): Promise<Change[]> {
  return (await reader.compareLayer(diff, lowers, cancel)).changes;
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
  cancel?: Cancel,
): Promise<Change[]> {
  return (await reader.compareTrees(newer, older, cancel)).changes;
}

/** See Archive.sizeBetween. */
export async function sizeBetween(
  reader: TreeReader,
  newer: string,
  older: string | null,
  cancel?: Cancel,
): Promise<number> {
  return (await reader.compareTrees(newer, older, cancel)).size;
}
