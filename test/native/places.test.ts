/** Where a layer is, in a repository that is mounted. */

import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';

import { loadAddon } from '../../src/host/addon.js';
import { createMounter } from '../../src/host/mounter.js';

/** A directory `layer`, a file, a symlink to the directory, and a way out. */
async function repositoryOf(t: TestContext): Promise<(...paths: string[]) => Promise<string | null>> {
  const root = await mkdtemp(join(tmpdir(), 'thinlayer-places-'));
  t.after(() => rm(root, { recursive: true }));
  await mkdir(join(root, 'layers/layer'), { recursive: true });
  await writeFile(join(root, 'layers/file'), '');
  await symlink('layer', join(root, 'layers/link'));
  const traits = { api: 'fsopen', parameters: new Set<string>(), userNamespace: false } as const;
  const mounter = createMounter(loadAddon(), { ...traits, home: root, uid: 0, gid: 0 });
  return async (...paths) => (await mounter.locate(root, paths))?.slice(root.length + 1) ?? null;
}

test('the first place that is a directory is it', async (t) => {
  const locate = await repositoryOf(t);
  assert.equal(await locate('layers/none', 'layers/layer'), 'layers/layer');
  assert.equal(await locate('layers/file', 'layers/link', 'layers/layer'), 'layers/layer');
  assert.equal(await locate('layers/none', 'none/layer'), null);
});

test('a place that is no directory is told as such', async (t) => {
  const locate = await repositoryOf(t);
  for (const [asked, told] of [
    [['layers/file'], 'layers/file'],
    [['layers/link', 'layers/none'], 'layers/link'],
    [['layers/none', 'layers/file/layer'], 'layers/file/layer'],
    [['layers/link/layer'], 'layers/link/layer'],
  ] as const) {
    await assert.rejects(locate(...asked), {
      code: 'failed_precondition',
      message: new RegExp(`/${told}: ENOTDIR .*a file or a symlink is there.*a directory has to be`),
    });
  }
});

test('no place is outside the repository', async (t) => {
  const locate = await repositoryOf(t);
  await assert.rejects(locate('../etc', 'layers/layer'), { code: 'failed_precondition', message: /EXDEV/ });
});
