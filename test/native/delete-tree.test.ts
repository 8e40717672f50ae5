import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { link, lstat, mkdir, mkdtemp, readFile, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

import { loadAddon } from '../../src/host/addon.js';
import type { DiskFunctions } from '../../src/host/addon.js';
import { createDisk } from '../../src/host/disk.js';
import { waitFor } from '../system/process.js';

const { removeTree } = createDisk(loadAddon<DiskFunctions>());

function inDirectory(body: (directory: string) => Promise<void>): () => Promise<void> {
  return async () => {
    const directory = await mkdtemp(join(tmpdir(), 'delete-tree-'));
    try {
      await body(directory);
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  };
}

test(
  'links are deleted, not followed',
  inDirectory(async (directory) => {
    const [tree, outside] = [join(directory, 'tree'), join(directory, 'outside')];
    await mkdir(join(tree, 'sub'), { recursive: true });
    await mkdir(outside);
    await writeFile(join(outside, 'file'), 'kept');
    await symlink(outside, join(tree, 'to-directory'));
    await symlink(join(outside, 'file'), join(tree, 'sub/to-file'));
    await link(join(outside, 'file'), join(tree, 'sub/hard'));
    await removeTree(tree);
    assert.deepEqual(await readdir(directory), ['outside']);
    assert.equal(await readFile(join(outside, 'file'), 'utf8'), 'kept');
  }),
);

test(
  'a root that is a link is not followed; a missing one is a success',
  inDirectory(async (directory) => {
    await mkdir(join(directory, 'real'));
    await symlink('real', join(directory, 'link'));
    await assert.rejects(removeTree(join(directory, 'link')));
    assert.ok((await lstat(join(directory, 'real'))).isDirectory());
    await removeTree(join(directory, 'missing'));
  }),
);

test(
  'names that are no UTF-8, and many of them',
  inDirectory(async (directory) => {
    const tree = join(directory, 'tree');
    await mkdir(tree);
    await writeFile(Buffer.concat([Buffer.from(`${tree}/`), Buffer.from([0xff, 0xfe, 0x0a])]), '');
    await mkdir(Buffer.concat([Buffer.from(`${tree}/`), Buffer.from([0xe9])]));
    for (let i = 0; i < 300; i += 1) await writeFile(join(tree, `file${i}`), '');
    await removeTree(tree);
    assert.deepEqual(await readdir(directory), []);
  }),
);

test(
  'a tree deeper than any path may be long',
  inDirectory(async (directory) => {
    const name = 'd'.repeat(200);
    execFileSync(
      'bash',
      ['-c', `mkdir tree && cd tree && for i in $(seq 100); do mkdir ${name} && cd ${name}; done`],
      {
        cwd: directory,
      },
    );
    await removeTree(join(directory, 'tree'));
    assert.deepEqual(await readdir(directory), []);
  }),
);

test(
  'a mount below is neither entered nor removed, and the rest is deleted',
  inDirectory(async (directory) => {
    const mounted = join(directory, 'tree/sub/mounted');
    await mkdir(mounted, { recursive: true });
    await writeFile(join(directory, 'tree/sub/file'), '');
    execFileSync('mount', ['-t', 'tmpfs', 'none', mounted]);
    try {
      await writeFile(join(mounted, 'kept'), '');
      await assert.rejects(removeTree(join(directory, 'tree')), /EXDEV.*unmount it/);
      assert.deepEqual(await readdir(join(directory, 'tree/sub')), ['mounted']);
      assert.deepEqual(await readdir(mounted), ['kept']);
    } finally {
      execFileSync('umount', [mounted]);
    }
    await removeTree(join(directory, 'tree'));
    assert.deepEqual(await readdir(directory), []);
  }),
);

test(
  'what cannot be deleted is told, and the rest is deleted',
  inDirectory(async (directory) => {
    await mkdir(join(directory, 'tree/sub'), { recursive: true });
    for (const name of ['a', 'b', 'c']) await writeFile(join(directory, 'tree/sub', name), '');
    execFileSync('chattr', ['+i', join(directory, 'tree/sub/b')]);
    try {
      await assert.rejects(removeTree(join(directory, 'tree')), {
        code: 'EPERM',
        path: join(directory, 'tree/sub/b'),
      });
      assert.deepEqual(await readdir(join(directory, 'tree/sub')), ['b']);
    } finally {
      execFileSync('chattr', ['-i', join(directory, 'tree/sub/b')]);
    }
  }),
);

test(
  'cancelled it ends in the middle of a tree, and touches nothing any more; the rest is deleted by another call',
  inDirectory(async (directory) => {
    const tree = join(directory, 'tree');
    await manyFiles(tree);
    const stopping = new AbortController();
    const removed = removeTree(tree, { signal: stopping.signal });
    await waitFor('the first deletions', async () => (await count(tree)) < MANY || undefined);
    stopping.abort();
    await assert.rejects(removed, { code: 'ECANCELED', path: tree });
    const left = await count(tree);
    assert.ok(left > 0);
    assert.equal(await count(tree), left);

    await assert.rejects(removeTree(tree, { signal: stopping.signal }), { code: 'ECANCELED' });
    assert.equal(await count(tree), left);
    await removeTree(tree);
    assert.deepEqual(await readdir(directory), []);
  }),
);

/** So many that their deletion lasts long enough to be looked at. */
const MANY = 100_000;

async function manyFiles(tree: string): Promise<void> {
  await mkdir(tree);
  execFileSync('bash', ['-c', `seq ${MANY} | xargs touch`], { cwd: tree });
}

async function count(directory: string): Promise<number> {
  return (await readdir(directory)).length;
}
