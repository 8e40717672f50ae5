import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { link, lstat, mkdir, mkdtemp, readFile, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

import { deleteTree } from '../../../src/store/delete-tree.js';
import { nodeDisk } from '../../../src/store/disk.js';
import { Trash } from '../../../src/store/trash.js';

function inDirectory(body: (directory: string) => Promise<void>): () => Promise<void> {
  return async () => {
    const directory = await mkdtemp(join(tmpdir(), 'store-delete-'));
    try {
      await body(directory);
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  };
}

const notHoisted = () => assert.fail('nothing is that deep');

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
    await deleteTree(tree, notHoisted);
    assert.deepEqual(await readdir(directory), ['outside']);
    assert.equal(await readFile(join(outside, 'file'), 'utf8'), 'kept');
  }),
);

test(
  'a root that is a link is not followed; a missing one is a success',
  inDirectory(async (directory) => {
    await mkdir(join(directory, 'real'));
    await symlink('real', join(directory, 'link'));
    await assert.rejects(deleteTree(join(directory, 'link'), notHoisted));
    assert.ok((await lstat(join(directory, 'real'))).isDirectory());
    await deleteTree(join(directory, 'missing'), notHoisted);
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
    await deleteTree(tree, notHoisted);
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
    const complaints: string[] = [];
    const complain = (_: unknown, message: string) => void complaints.push(message);
    await mkdir(join(directory, 'trash'));
    const trash = new Trash(nodeDisk, join(directory, 'trash'), {
      info: complain,
      warn: complain,
      error: complain,
    });
    trash.drop(await trash.take(join(directory, 'tree'), 'tree'));
    await trash.idle();
    assert.deepEqual(complaints, []);
    assert.deepEqual(await readdir(join(directory, 'trash')), []);
  }),
);
