import assert from 'node:assert/strict';
import { mkdir, mkdtemp, realpath, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

import { ThinlayerError } from '../../../src/core/errors.js';
import { makeHome } from '../../../src/host/home.js';

test('a home is made with what is missing above it, and left as it is if it is there', async (t) => {
  const base = await mkdtemp(join(tmpdir(), 'thinlayer-unit-'));
  t.after(() => rm(base, { recursive: true }));
  await makeHome(join(base, 'a/b/c'));
  await makeHome(join(base, 'a/b/c'));
  assert.ok((await stat(join(base, 'a/b/c'))).isDirectory());
});

test('a home has its real path, whichever symlinks lead to it', async (t) => {
  const base = await realpath(await mkdtemp(join(tmpdir(), 'thinlayer-unit-')));
  t.after(() => rm(base, { recursive: true }));
  await mkdir(join(base, 'disk/home'), { recursive: true });
  await symlink('disk', join(base, 'above'));
  await symlink('disk/home', join(base, 'link'));
  for (const name of ['disk/home', 'above/home', 'link', 'above/../link/'])
    assert.equal(await makeHome(join(base, name)), join(base, 'disk/home'), name);
  assert.equal(await makeHome(join(base, 'above/new')), join(base, 'disk/new'));
});

test('what cannot be a home is refused at once, with its path', async (t) => {
  const base = await mkdtemp(join(tmpdir(), 'thinlayer-unit-'));
  t.after(() => rm(base, { recursive: true }));
  await writeFile(join(base, 'file'), '');
  await symlink('nowhere/at/all', join(base, 'dangling'));
  const names = ['file', 'file/below', 'dangling', 'x'.repeat(300)].map((name) => join(base, name));
  // mkdir(2) says ENOENT there, whatever is above.
  for (const path of [...names, '/proc/thinlayer', '/proc/thinlayer/home']) {
    await assert.rejects(makeHome(path), (error) => {
      assert.ok(error instanceof ThinlayerError);
      assert.notEqual(error.code, 'internal', error.message);
      assert.match(error.message, /^open home failed: /);
      return error.path === path;
    });
  }
});
