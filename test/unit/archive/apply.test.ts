import assert from 'node:assert/strict';
import { test } from 'node:test';

import { applyArchive } from '../../../src/archive/apply.js';
import type { ApplyArchiveOptions } from '../../../src/archive/apply.js';
import type { IdMaps } from '../../../src/core/model.js';
import { chunked, paxEntry, tarEntry, tarOf } from '../../fakes/tar-bytes.js';
import { recordingWriters } from '../../fakes/tree-writer.js';
import type { RecordingWriters } from '../../fakes/tree-writer.js';

const NO_MAPS: IdMaps = { uids: [], gids: [] };
const MTIME = { seconds: 0, nanoseconds: 0 };
const OF_ROOT = { mode: 0o644, uid: 0, gid: 0, mtime: MTIME, xattrs: new Map<string, string>() };

async function apply(
  entries: readonly Uint8Array[],
  options: Partial<ApplyArchiveOptions> = {},
  writers = recordingWriters(),
): Promise<RecordingWriters> {
  const all = { idMaps: NO_MAPS, whiteouts: 'overlay', ...options } as const;
  await applyArchive(writers, '/root', chunked(tarOf(...entries), 777), all);
  return writers;
}

test('each type becomes its node; the writer is finished, then closed', async () => {
  const { calls, contents } = await apply([
    tarEntry({ name: './', typeflag: '5', mode: 0o40755 }),
    tarEntry({ name: 'f', body: 'x'.repeat(1000) }),
    tarEntry({ name: '/l', typeflag: '1', linkname: '/f' }),
    tarEntry({ name: 's', typeflag: '2', linkname: '../../s' }),
    tarEntry({ name: 'c', typeflag: '3', major: 1, minor: 3 }),
    tarEntry({ name: 'b', typeflag: '4', major: 8, minor: 1_048_575 }),
    tarEntry({ name: 'p', typeflag: '6' }),
  ]);
  assert.deepEqual(calls, [
    { type: 'directory', path: '.', ...OF_ROOT, mode: 0o755 },
    { type: 'file', path: 'f', size: 1000, ...OF_ROOT },
    { type: 'link', path: 'l', target: 'f', ...OF_ROOT },
    { type: 'symlink', path: 's', target: '../../s', ...OF_ROOT },
    { type: 'character-device', path: 'c', major: 1, minor: 3, ...OF_ROOT },
    { type: 'block-device', path: 'b', major: 8, minor: 1_048_575, ...OF_ROOT },
    { type: 'fifo', path: 'p', ...OF_ROOT },
    ['finish'],
    ['close'],
  ]);
  assert.equal([...(contents.get('f')?.values() ?? [])].join(''), 'x'.repeat(1000));
});

test('whiteouts for overlay, and in place', async () => {
  const entries = [
    tarEntry({ name: 'd/.wh.gone', body: 'contents of a whiteout', uid: 5, mtime: 7 }),
    tarEntry({ name: 'd/.wh..wh..opq' }),
    tarEntry({ name: '.wh..wh.plnk/1.2', body: 'of AUFS' }),
    tarEntry({ name: 'last' }),
  ];
  const last = { type: 'file', path: 'last', size: 0, ...OF_ROOT };
  const overlay = await apply(entries);
  const owner = { uid: 5, gid: 0, mtime: { seconds: 7, nanoseconds: 0 } };
  assert.deepEqual(overlay.calls, [
    ['whiteout', 'd/gone', owner],
    ['opaque', 'd'],
    last,
    ['finish'],
    ['close'],
  ]);
  assert.deepEqual(overlay.options, [
    { owner: { uid: 0, gid: 0 }, overlayPrefix: 'trusted.overlay.', clears: false, remote: false },
  ]);
  const inPlace = await apply(entries, { whiteouts: 'remove' });
  assert.deepEqual(inPlace.calls, [['remove', 'd/gone'], ['clear', 'd'], last, ['finish'], ['close']]);
  assert.equal(inPlace.options[0]?.clears, true);
});

test('ids are mapped; one that no range holds is named', async () => {
  const range = [{ containerId: 0, hostId: 100_000, size: 65_536 }];
  const idMaps = { uids: range, gids: range };
  const { calls, options } = await apply([tarEntry({ name: 'a', uid: 1000, gid: 5 })], { idMaps });
  assert.deepEqual(calls[0], { type: 'file', path: 'a', size: 0, ...OF_ROOT, uid: 101_000, gid: 100_005 });
  assert.deepEqual(options[0]?.owner, { uid: 100_000, gid: 100_000 });
  await assert.rejects(apply([tarEntry({ name: 'a', gid: 65_536 })], { idMaps }), {
    code: 'invalid_argument',
    message: 'the archive\'s entry "a" cannot be unpacked: its gid 65536 is in no range of the id map',
  });
  await assert.rejects(apply([], { idMaps: { uids: [], gids: [{ containerId: 1, hostId: 1, size: 9 }] } }), {
    code: 'invalid_argument',
  });
});

test('negative ids are those of 32 bits; -1 is no id', async () => {
  const { calls } = await apply([tarEntry({ name: 'a', uid: -2, gid: 4_294_967_294 })]);
  assert.deepEqual(calls[0], {
    type: 'file',
    path: 'a',
    size: 0,
    ...OF_ROOT,
    uid: 4_294_967_294,
    gid: 4_294_967_294,
  });
  for (const uid of [-1, 4_294_967_295, 4_294_967_296, -4_294_967_298]) {
    await assert.rejects(apply([tarEntry({ name: 'a', uid })]), { code: 'invalid_argument', path: 'a' });
  }
});

test("overlayfs's own attributes are not the archive's to set", async () => {
  const { calls } = await apply([
    paxEntry([
      ['SCHILY.xattr.trusted.overlay.redirect', '/etc'],
      ['SCHILY.xattr.user.overlay.opaque', 'y'],
      ['SCHILY.xattr.user.kept', 'v'],
    ]),
    tarEntry({ name: 'd', typeflag: '5' }),
  ]);
  assert.deepEqual(calls[0], {
    type: 'directory',
    path: 'd',
    ...OF_ROOT,
    xattrs: new Map([['user.kept', 'v']]),
  });
});

test('sparse files are written in their places', async () => {
  const { calls, contents } = await apply([
    paxEntry([
      ['GNU.sparse.size', '1000000'],
      ['GNU.sparse.map', '10,2,5000,2'],
    ]),
    tarEntry({ name: 's', body: 'abcd' }),
  ]);
  assert.deepEqual(calls[0], { type: 'file', path: 's', size: 1_000_000, ...OF_ROOT });
  assert.deepEqual(
    [...(contents.get('s') ?? [])],
    [
      [10, 'ab'],
      [5000, 'cd'],
    ],
  );
});

test('what cannot be unpacked is refused by name, and the writer closed', async () => {
  const bad: [string, Uint8Array][] = [
    ['../a', tarEntry({ name: '../a' })],
    ['../../etc/passwd', tarEntry({ name: 'l', typeflag: '1', linkname: '../../etc/passwd' })],
    ['.', tarEntry({ name: './', typeflag: '2', linkname: '/' })],
    ['.', tarEntry({ name: '', body: 'x' })],
    ['.wh.', tarEntry({ name: '.wh.' })],
    ['v', tarEntry({ name: 'v', typeflag: 'V' })],
    ['m', tarEntry({ name: 'm', typeflag: 'M', body: 'x' })],
    ['c', tarEntry({ name: 'c', typeflag: '3', major: 4096 })],
    ['c', tarEntry({ name: 'c', typeflag: '3', minor: 1_048_576 })],
  ];
  for (const [path, entry] of bad) {
    const writers = recordingWriters();
    await assert.rejects(apply([entry], {}, writers), { code: 'invalid_argument', path }, path);
    assert.deepEqual(writers.calls, [['close']]);
  }
});

test('a failure of the writer ends the reading of the archive', async () => {
  const full = new Error('disk full');
  const writers = recordingWriters({ b: full });
  let taken = 0;
  let returned = false;
  async function* source(): AsyncGenerator<Uint8Array> {
    try {
      for (const name of ['a', 'b', ...Array.from({ length: 1000 }, (_, i) => `c${i}`)]) {
        taken++;
        yield tarEntry({ name, body: 'x'.repeat(40_000) });
      }
    } finally {
      returned = true;
    }
  }
  const options = { idMaps: NO_MAPS, whiteouts: 'overlay' } as const;
  await assert.rejects(applyArchive(writers, '/root', source(), options), full);
  await new Promise(setImmediate);
  assert.ok(returned);
  assert.ok(taken < 10, `${taken} entries were taken from the source`);
  assert.deepEqual(writers.calls.at(-1), ['close']);
});

test('in a user namespace, device nodes are left out', async () => {
  const entries = [tarEntry({ name: 'c', typeflag: '3' }), tarEntry({ name: 'p', typeflag: '6' })];
  const { calls } = await apply(entries, { overlayPrefix: 'user.overlay.' });
  assert.deepEqual(calls, [{ type: 'fifo', path: 'p', ...OF_ROOT }, ['finish'], ['close']]);
});
