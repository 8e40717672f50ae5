/** Random layers of an overlay, and random containers: the same numbers, the same trees. */

import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import { join } from 'node:path';

import { shell } from './scratch-tree.js';

const NAMES = ['a', 'b', 'c', 'd', 'e'];
const MAX_DEPTH = 3;
const SECONDS = [1000, 1000, 1000.5, 1000.25, 2000];

export type Random = (below: number) => number;

/** mulberry32. */
export function randomNumbers(seed: number): Random {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

/** Device nodes on the layers' file system, of which the layers get hard links: a program run for each would take long. */
export interface Devices {
  readonly whiteout: string;
  readonly others: readonly string[];
}

/** Fills `root` as an archive may: whiteouts of nothing, opaque directories over nothing, whiteouts in them. */
export function fillLayer(random: Random, root: string, devices: Devices): void {
  new RandomTree(random, devices).fill(root, 1);
}

class RandomTree {
  private readonly opaque: string[] = [];
  private readonly capable: string[] = [];

  private readonly random: Random;
  private readonly devices: Devices;

  constructor(random: Random, devices: Devices) {
    this.random = random;
    this.devices = devices;
  }

  fill(directory: string, depth: number): void {
    for (const name of NAMES) this.entry(join(directory, name), depth);
    if (depth > 1) return;
    const quoted = (paths: readonly string[], before = '') => paths.map((p) => `${before}'${p}'`).join(' ');
    if (this.opaque.length > 0) {
      shell(directory, `setfattr -n trusted.overlay.opaque -v y ${quoted(this.opaque)}`);
    }
    if (this.capable.length > 0) shell(directory, `setcap ${quoted(this.capable, 'cap_kill+ep ')}`);
  }

  private entry(path: string, depth: number): void {
    const kind = this.random(12);
    if (kind < 4) return;
    if (kind < 6 && depth < MAX_DEPTH) return this.directory(path, depth);
    if (kind === 6) return writeSymlink(this.random, path);
    if (kind === 7) return fs.linkSync(pick(this.random, this.devices.others), path);
    if (kind <= 9) return fs.linkSync(this.devices.whiteout, path);
    writeFile(this.random, path);
    if (this.random(6) === 0) fs.linkSync(path, `${path}-link`);
    if (this.random(8) === 0) this.capable.push(path);
  }

  private directory(path: string, depth: number): void {
    fs.mkdirSync(path, pick(this.random, [0o755, 0o755, 0o700]));
    if (this.random(4) === 0) fs.chownSync(path, 5, this.random(2));
    if (this.random(4) === 0) this.opaque.push(path);
    this.fill(path, depth + 1);
  }
}

function writeSymlink(random: Random, path: string): void {
  fs.symlinkSync(pick(random, ['x', 'yy']), path);
  touch(random, path);
}

function writeFile(random: Random, path: string): void {
  if (fs.lstatSync(path, { throwIfNoEntry: false })?.isCharacterDevice()) return;
  fs.writeFileSync(path, pick(random, ['x', 'yy']));
  if (random(5) === 0) fs.chownSync(path, 5, 5);
  fs.chmodSync(path, pick(random, [0o644, 0o644, 0o755]));
  touch(random, path);
}

function touch(random: Random, path: string): void {
  const seconds = pick(random, SECONDS);
  fs.lutimesSync(path, seconds, seconds);
}

/** Changes the merged tree as a program in a container may. */
export function changeContainer(random: Random, merged: string): void {
  for (let i = 0; i < 8; i++) {
    try {
      act(random, merged);
    } catch (error) {
      // What is not possible with the tree as it is leaves it as it is.
      assert.match(String((error as NodeJS.ErrnoException).code), /^E/);
    }
  }
}

function act(random: Random, merged: string): void {
  const [path, other] = [randomPath(random, merged), randomPath(random, merged)];
  const actions: readonly (() => void)[] = [
    () => fs.rmSync(path, { recursive: true }),
    () => replaceByDirectory(random, path),
    () => fs.renameSync(path, other),
    () => fs.linkSync(path, other),
    () => fs.chmodSync(path, pick(random, [0o700, 0o755, 0o644])),
    () => touch(random, path),
    () => writeAgain(path),
    () => writeFile(random, path),
    () => fs.mkdirSync(join(path, 'd'), { recursive: true }),
    () => shell(merged, `setcap cap_kill+ep '${path}' 2>&1 || true`),
  ];
  pick(random, actions)();
}

function replaceByDirectory(random: Random, path: string): void {
  fs.rmSync(path, { recursive: true });
  fs.mkdirSync(path);
  writeFile(random, join(path, pick(random, NAMES)));
}

/** Deleted and made anew, and the same to the eye. */
function writeAgain(path: string): void {
  const stat = fs.lstatSync(path);
  if (!stat.isFile()) return;
  const content = fs.readFileSync(path);
  fs.rmSync(path);
  fs.writeFileSync(path, content);
  fs.chownSync(path, stat.uid, stat.gid);
  fs.chmodSync(path, stat.mode);
  fs.utimesSync(path, stat.mtimeMs / 1000, stat.mtimeMs / 1000);
}

function randomPath(random: Random, root: string): string {
  return join(root, ...Array.from({ length: 1 + random(MAX_DEPTH) }, () => pick(random, NAMES)));
}

function pick<T>(random: Random, from: readonly T[]): T {
  return from[random(from.length)] as T;
}
