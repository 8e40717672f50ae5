/** The store's changes to a disk, in one job: all in order, until one fails. */

import assert from 'node:assert/strict';
import {
  lstat,
  mkdtemp,
  readFile,
  readdir,
  readlink,
  rm,
  symlink,
  unlink,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { execFileSync } from 'node:child_process';

import type { DiskChange } from '../../src/core/disk.js';
import { loadAddon } from '../../src/host/addon.js';
import type { DiskFunctions } from '../../src/host/addon.js';
import { createDisk } from '../../src/host/disk.js';

const disk = createDisk(loadAddon<DiskFunctions>());

function inDirectory(body: (directory: string) => Promise<void>): () => Promise<void> {
  return async () => {
    const directory = await mkdtemp(join(tmpdir(), 'thinlayer-disk-'));
    try {
      await body(directory);
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  };
}

function file(path: string, text: string, sync = false): DiskChange {
  return { do: 'write', path, text, mode: 0o640, sync };
}

test(
  'each change does what it says, whatever the umask',
  inDirectory(async (directory) => {
    const at = (name: string) => join(directory, name);
    const umask = process.umask(0o077);
    try {
      await disk.change([
        { do: 'mkdir', path: at('d'), mode: 0o751, owner: { uid: 7, gid: 8 } },
        file(at('d/f'), 'héllo\n', true),
        { do: 'symlink', target: '../d', path: at('d/l') },
        { do: 'rename', from: at('d/f'), to: at('d/g') },
        { do: 'mkdir', path: at('d/empty'), mode: 0o700, owner: null },
        { do: 'rmdir', path: at('d/empty') },
        { do: 'rmdir', path: at('d/empty') },
        { do: 'unlink', path: at('d/none') },
        { do: 'expect unmounted', path: at('d') },
        { do: 'expect unmounted', path: at('none') },
      ]);
    } finally {
      process.umask(umask);
    }
    const { mode, uid, gid } = await lstat(at('d'));
    assert.deepEqual([mode & 0o7777, uid, gid], [0o751, 7, 8]);
    assert.deepEqual((await readdir(at('d'))).sort(), ['g', 'l']);
    assert.equal(await readFile(at('d/g'), 'utf8'), 'héllo\n');
    assert.equal((await lstat(at('d/g'))).mode & 0o7777, 0o640);
    assert.equal(await readlink(at('d/l')), '../d');
  }),
);

test(
  'a file is replaced whole, and nothing is written through a symlink',
  inDirectory(async (directory) => {
    const path = join(directory, 'f');
    await disk.change([file(path, 'a long text'), file(path, 'short')]);
    assert.equal(await readFile(path, 'utf8'), 'short');
    await writeFile(join(directory, 'outside'), 'kept');
    await symlink('outside', join(directory, 'link'));
    await assert.rejects(disk.change([file(join(directory, 'link'), 'x')]), { code: 'ELOOP' });
    assert.equal(await readFile(join(directory, 'outside'), 'utf8'), 'kept');
  }),
);

test(
  'the first failure ends it, and tells its place and how many were made',
  inDirectory(async (directory) => {
    const taken = join(directory, 'taken');
    await writeFile(taken, '');
    const changes: DiskChange[] = [
      file(join(directory, 'a'), ''),
      { do: 'symlink', target: 'x', path: taken },
      file(join(directory, 'b'), ''),
    ];
    await assert.rejects(disk.change(changes), { code: 'EEXIST', syscall: 'symlink', path: taken, done: 1 });
    assert.deepEqual((await readdir(directory)).sort(), ['a', 'taken']);
  }),
);

test(
  'a directory that holds anything is not taken for an empty one, and none takes its place',
  inDirectory(async (directory) => {
    const [full, other] = [join(directory, 'full'), join(directory, 'other')];
    await disk.change(
      [full, other].map((path) => ({ do: 'mkdir', path, mode: 0o755, owner: null }) as const),
    );
    const exchange: DiskChange = { do: 'rename', from: other, to: full };
    await disk.change([{ do: 'expect empty', path: full }]);
    await writeFile(join(full, '.f'), '');
    const refusal = { code: 'ENOTEMPTY', path: full, done: 0 };
    await assert.rejects(disk.change([{ do: 'expect empty', path: full }, exchange]), refusal);
    await assert.rejects(disk.change([exchange]), /ENOTEMPTY|EEXIST/);
    await assert.rejects(disk.change([{ do: 'expect empty', path: join(directory, 'none') }]), {
      code: 'ENOENT',
    });
    await unlink(join(full, '.f'));
    await disk.change([{ do: 'expect empty', path: full }, exchange]);
    assert.deepEqual(await readdir(directory), ['full']);
  }),
);

test(
  'a mounted directory is not taken for an unmounted one',
  inDirectory(async (directory) => {
    execFileSync('mount', ['-t', 'tmpfs', 'none', directory]);
    try {
      const changes: DiskChange[] = [
        { do: 'expect unmounted', path: directory },
        file(join(directory, 'a'), ''),
      ];
      await assert.rejects(disk.change(changes), { code: 'EBUSY', done: 0 });
      assert.deepEqual(await readdir(directory), []);
    } finally {
      execFileSync('umount', [directory]);
    }
  }),
);
