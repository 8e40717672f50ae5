/** The counters of a catalog: `self_` its own, `subtree_` those of the catalogs below. */

import type { SourceEntry } from './source-tree.js';

const COUNTERS = [
  'regular',
  'symlink',
  'special',
  'dir',
  'nested',
  'chunked',
  'chunks',
  'file_size',
  'chunked_size',
  'xattr',
  'external',
  'external_file_size',
] as const;

export type Counters = Record<(typeof COUNTERS)[number], number>;

export function newCounters(): Counters {
  return Object.fromEntries(COUNTERS.map((name) => [name, 0])) as Counters;
}

export function addCounters(into: Counters, more: Counters): void {
  for (const name of COUNTERS) into[name] += more[name];
}

export function countEntry(counters: Counters, entry: SourceEntry, chunks: number): void {
  const counter = { directory: 'dir', file: 'regular', symlink: 'symlink' } as const;
  counters[entry.kind in counter ? counter[entry.kind as keyof typeof counter] : 'special']++;
  if (entry.xattrs.size > 0) counters.xattr++;
  if (entry.kind !== 'file') return;
  counters.file_size += entry.content.length;
  if (entry.external) {
    counters.external++;
    counters.external_file_size += entry.content.length;
  }
  if (chunks === 0) return;
  counters.chunked++;
  counters.chunks += chunks;
  counters.chunked_size += entry.content.length;
}

/** Rows of the table `statistics`. */
export function statisticsValues(self: Counters, subtree: Counters): string[] {
  return COUNTERS.flatMap((name) => [`'self_${name}',${self[name]}`, `'subtree_${name}',${subtree[name]}`]);
}
