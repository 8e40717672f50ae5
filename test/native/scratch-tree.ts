/** Directories for tests that need root, and the commands that fill and look at them. */

import { spawnSync } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';

export const needsRoot = { skip: process.getuid?.() === 0 ? false : 'needs root' };

/** A new directory, removed with all mounts in it when the test ends. */
export function scratchDirectory(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'thinlayer-tree-'));
  t.after(() => {
    shell('/', `grep -o " ${path}[^ ]*" /proc/self/mounts | sort -r | xargs -r umount; rm -rf ${path}`);
  });
  return path;
}

/** Runs `script` in `directory`; answers what it writes, a character a byte. */
export function shell(directory: string, script: string): string {
  const result = spawnSync('sh', ['-euc', script], {
    cwd: directory,
    encoding: 'latin1',
    env: { ...process.env, LC_ALL: 'C', TZ: 'UTC' },
    maxBuffer: 1 << 28,
  });
  if (result.status !== 0) throw new Error(`${script}\n${result.stderr}`);
  return result.stdout;
}

/** All that an archive should keep of a tree: types, modes, ids, sizes, times, link targets, attributes, hard links. */
export function describeTree(directory: string): string {
  const files = shell(
    directory,
    `find . -mindepth 1 ! -type d -printf '%p %y %m %U %G %s %T@ %l %n\\n' | sort
     find . -mindepth 1 -type d -printf '%p %y %m %U %G %T@\\n' | sort
     find . -mindepth 1 -type b,c -exec stat -c '%n %t:%T' {} + | sort
     find . -mindepth 1 ! -type d -links +1 -printf '%i %p\\n' | sort -k 2`,
  );
  const attributes = shell(
    directory,
    `find . -mindepth 1 | sort | tr '\\n' '\\0' | xargs -0 getfattr -h -d -m - -e hex`,
  );
  return renumberInodes(files) + attributes;
}

/** Inode numbers differ between a tree and its copy: numbered by the first name instead. */
function renumberInodes(text: string): string {
  const numbers = new Map<string, number>();
  return text.replace(/^\d+ (?=\.)/gm, (inode) => {
    if (!numbers.has(inode)) numbers.set(inode, numbers.size);
    return `inode${numbers.get(inode)} `;
  });
}
