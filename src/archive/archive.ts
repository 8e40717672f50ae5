/** The Archive port over a reader and writers of trees. */

import type { Archive } from '../core/ports.js';
import type { OverlayPrefix, TreeReader, TreeWriters } from '../core/tree.js';
import { applyArchive } from './apply.js';
import { changes, changesBetween, size, sizeBetween } from './changes.js';
import { produce, produceBetween } from './produce.js';

export function createArchive(
  reader: TreeReader,
  writers: TreeWriters,
  overlayPrefix: OverlayPrefix,
): Archive {
  return {
    apply: (root, tar, options) => applyArchive(writers, root, tar, { ...options, overlayPrefix }),
    produce: (diff, options) => produce(reader, diff, options),
    changes: (diff, lowers, work) => changes(reader, diff, lowers, work),
    size: (tree, cancel) => size(reader, tree, cancel),
    produceBetween: (newer, older, options) => produceBetween(reader, newer, older, options),
    changesBetween: (newer, older, work) => changesBetween(reader, newer, older, work),
    sizeBetween: (newer, older, work) => sizeBetween(reader, newer, older, work),
  };
}
