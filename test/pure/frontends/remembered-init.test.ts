import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

import { loadInit, saveInit } from '../../../src/frontends/graphdriver/remembered-init.js';

const INIT = {
  home: '/var/lib/docker/100000.100000/thinlayer',
  options: ['overlay2.size=10G'],
  uids: [{ containerId: 0, hostId: 100_000, size: 65_536 }],
  gids: [{ containerId: 0, hostId: 200_000, size: 65_536 }],
};

async function withDirectory(body: (directory: string) => Promise<void>): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'thinlayer-test-'));
  try {
    await body(directory);
  } finally {
    await rm(directory, { recursive: true });
  }
}

test('what was saved is loaded, for its owner only', async () => {
  await withDirectory(async (directory) => {
    const file = join(directory, 'made', 'init.json');
    await saveInit(file, INIT);
    assert.deepEqual(await loadInit(file), INIT);
    assert.equal((await stat(file)).mode & 0o777, 0o600);
    assert.deepEqual(await readdir(join(directory, 'made')), ['init.json']);
  });
});

test('the last one is loaded', async () => {
  await withDirectory(async (directory) => {
    const file = join(directory, 'init.json');
    await saveInit(file, INIT);
    const other = { home: '/other', options: [], uids: [], gids: [] };
    await saveInit(file, other);
    assert.deepEqual(await loadInit(file), other);
  });
});

test('the same one is not written again: there may be no room for it', async () => {
  await withDirectory(async (directory) => {
    const file = join(directory, 'init.json');
    await saveInit(file, INIT);
    const { ino } = await stat(file);
    await saveInit(file, INIT);
    assert.equal((await stat(file)).ino, ino);
  });
});

test('without a file there is none', async () => {
  await withDirectory(async (directory) => {
    assert.equal(await loadInit(join(directory, 'init.json')), null);
  });
});

test('a damaged file says what to do', async () => {
  await withDirectory(async (directory) => {
    const file = join(directory, 'init.json');
    for (const text of [
      '',
      '{',
      'null',
      '{"Home":"relative"}',
      '{"Opts":[]}',
      '{"Home":"/h","UIDMaps":[{}]}',
    ]) {
      await writeFile(file, text);
      await assert.rejects(
        loadInit(file),
        { code: 'data_loss', path: file, message: /restart dockerd/ },
        text,
      );
    }
  });
});

test('a file that cannot be read or written is named', async () => {
  await withDirectory(async (directory) => {
    const file = join(directory, 'init.json');
    await mkdir(file);
    await assert.rejects(loadInit(file), { name: 'ThinlayerError', path: file });
    await assert.rejects(saveInit(file, INIT), { name: 'ThinlayerError', path: file });
  });
});
