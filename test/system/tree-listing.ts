/** Everything a file tree says about itself, as text lines that two trees can be compared by. */

import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { lstat, readdir, readlink } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { check } from './process.js';
import type { BigIntStats } from 'node:fs';

/** Attributes that the kernel sets on a layer when it is mounted, and that say nothing about its contents. */
const BOOKKEEPING = /^(system\.|trusted\.overlay\.(uuid|origin|impure|nlink)=)/;

export interface ListingOptions {
  /** Leave out the times: for trees that were built, not copied. */
  readonly withoutTimes?: boolean;
}

/**
 * One line for each file below `root`, sorted by path: type and mode, owner, size or device number, mtime to the
 * nanosecond, extended attributes, symlink target, SHA-256 of the contents, and for a hard link the first of its names.
 * Needs root, for `trusted.*` attributes.
 */
export async function listTree(root: string, options: ListingOptions = {}): Promise<string[]> {
  const attributes = await readAttributes(root);
  const firstNames = new Map<bigint, string>();
  const lines: string[] = [];
  for (const path of (await walk(root)).sort()) {
    const stats = await lstat(join(root, path), { bigint: true });
    // Docker ignores an archive's entry for the root itself.
    const described = describe(stats, path === '.' ? { withoutTimes: true } : options);
    const fields = [path, ...described, attributes.get(path) ?? '', await contents(root, path, stats)];
    lines.push([...fields, hardLink(path, stats, firstNames)].join(' ').trimEnd());
  }
  return lines;
}

async function walk(root: string): Promise<string[]> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  return ['.', ...entries.map((entry) => relative(root, join(entry.parentPath, entry.name)))];
}

function describe(stats: BigIntStats, options: ListingOptions): string[] {
  const device = stats.isCharacterDevice() || stats.isBlockDevice();
  // An overlay whiteout is as old as the unpacking: archives give it no time.
  const timeless = options.withoutTimes || (stats.isCharacterDevice() && stats.rdev === 0n);
  // A directory's size is the file system's business.
  const size = device ? `dev ${stats.rdev}` : stats.isDirectory() ? '-' : String(stats.size);
  const time = timeless ? [] : [String(stats.mtimeNs)];
  return [stats.mode.toString(8), `${stats.uid}:${stats.gid}`, size, ...time];
}

async function contents(root: string, path: string, stats: BigIntStats): Promise<string> {
  if (stats.isSymbolicLink()) return `-> ${await readlink(join(root, path))}`;
  if (!stats.isFile() || stats.size === 0n) return '';
  const hash = createHash('sha256');
  await pipeline(createReadStream(join(root, path)), hash);
  return hash.digest('hex');
}

function hardLink(path: string, stats: BigIntStats, firstNames: Map<bigint, string>): string {
  if (stats.nlink < 2n || stats.isDirectory()) return '';
  const first = firstNames.get(stats.ino);
  if (first !== undefined) return `= ${first}`;
  firstNames.set(stats.ino, path);
  return '';
}

/** Extended attributes of each file that has some, as `name=hex` in the order of their names. */
async function readAttributes(root: string): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  const dump = await check('getfattr', ['-R', '-P', '-h', '-d', '-m', '-', '-e', 'hex', '.'], { cwd: root });
  for (const block of dump.split('\n\n').filter((text) => text.trim() !== '')) {
    const [name = '', ...lines] = block.trim().split('\n');
    const path = name.replace(/^# file: (\.\/)?/, '');
    const known = lines.filter((line) => !BOOKKEEPING.test(line));
    found.set(path, known.sort().join(' '));
  }
  return found;
}
