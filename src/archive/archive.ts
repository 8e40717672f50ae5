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
    changes: (diff, lowers, cancel) => changes(reader, diff, lowers, cancel),
    size: (tree, cancel) => size(reader, tree, cancel),
    produceBetween: (newer, older, options) => produceBetween(reader, newer, older, options),
    changesBetween: (newer, older, cancel) => changesBetween(reader, newer, older, cancel),
    sizeBetween: (newer, older, cancel) => sizeBetween(reader, newer, older, cancel),
  };
}
