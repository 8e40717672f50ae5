/**
 * What Docker's naive comparison tells of two merged trees, written down once more from moby's pkg/archive
 * (ChangesDirs, ChangesSize) with node:fs and getcap: the oracle for the comparison that never mounts.
 */

import { lstatSync, readdirSync } from 'node:fs';
import type { BigIntStats } from 'node:fs';

import type { Change } from '../../src/core/model.js';
import { shell } from './scratch-tree.js';

interface Tree {
  readonly stats: ReadonlyMap<string, BigIntStats>;
  /** What getcap says of each file that has any. */
  readonly capabilities: ReadonlyMap<string, string>;
}

export function naiveChanges(newer: string, older: string): { changes: Change[]; size: number } {
  const [now, before] = [readTree(newer), readTree(older)];
  const kinds = new Map<string, Change['kind']>();
  for (const [path, stat] of now.stats) {
    const old = before.stats.get(path);
    if (!old) kinds.set(path, 'added');
    else if (isDifferent(stat, old) || now.capabilities.get(path) !== before.capabilities.get(path)) {
      kinds.set(path, 'modified');
    }
  }
  for (const path of before.stats.keys()) {
    // Nothing is told of what a deleted or replaced directory held.
    const parent = parentOf(path);
    if (!now.stats.has(path) && (parent === '' || now.stats.get(parent)?.isDirectory())) {
      kinds.set(path, 'deleted');
    }
  }
  for (const path of [...kinds.keys()]) {
    for (let up = parentOf(path); up !== ''; up = parentOf(up)) if (!kinds.has(up)) kinds.set(up, 'modified');
  }
  const changes = [...kinds].map<Change>(([path, kind]) => ({ path, kind }));
  changes.sort((a, b) => (a.path < b.path ? -1 : 1));
  return { changes, size: sizeOf(changes, now) };
}

function sizeOf(changes: readonly Change[], tree: Tree): number {
  const sizes = new Map<string, bigint>();
  for (const { path } of changes) {
    const stat = tree.stats.get(path);
    if (stat && !stat.isDirectory()) sizes.set(stat.nlink > 1n ? `${stat.dev}:${stat.ino}` : path, stat.size);
  }
  return Number([...sizes.values()].reduce((sum, size) => sum + size, 0n));
}

function readTree(root: string): Tree {
  const stats = new Map<string, BigIntStats>();
  const visit = (path: string) => {
    for (const name of readdirSync(root + path)) {
      const child = `${path}/${name}`;
      // The kernel lists whiteouts in a directory that is in one layer only, but there is nothing behind them.
      const stat = lstatSync(root + child, { bigint: true, throwIfNoEntry: false });
      if (!stat) continue;
      stats.set(child, stat);
      if (stat.isDirectory()) visit(child);
    }
  };
  visit('');
  const lines = shell(root, 'getcap -r . 2>/dev/null').split('\n').filter(Boolean);
  const capabilities = lines.map((line) => line.slice(1).split(' ') as [string, string]);
  return { stats, capabilities: new Map(capabilities) };
}

function isDifferent(a: BigIntStats, b: BigIntStats): boolean {
  if (a.mode !== b.mode || a.uid !== b.uid || a.gid !== b.gid || a.rdev !== b.rdev) return true;
  return !a.isDirectory() && (a.size !== b.size || !isSameTime(a.mtimeNs, b.mtimeNs));
}

function isSameTime(a: bigint, b: bigint): boolean {
  const second = 1_000_000_000n;
  const isWhole = a % second === 0n || b % second === 0n;
  return a === b || (isWhole && a / second === b / second);
}

function parentOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/'));
}
