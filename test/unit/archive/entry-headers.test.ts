import assert from 'node:assert/strict';
import { test } from 'node:test';

import { deletion, headersOf } from '../../../src/archive/entry-headers.js';
import { ThinlayerError } from '../../../src/core/errors.js';
import type { TreeEntry } from '../../../src/core/tree.js';

const IDENTITY = { uids: [], gids: [] };
const REMAPPED = {
  uids: [{ containerId: 0, hostId: 100_000, size: 65_536 }],
  gids: [{ containerId: 0, hostId: 200_000, size: 65_536 }],
};

const FILE: TreeEntry = {
  path: 'etc/hosts',
  mode: 0o100644,
  uid: 0,
  gid: 0,
  size: 12,
  mtimeSeconds: 100,
  mtimeNanoseconds: 5,
  major: 0,
  minor: 0,
  isHardLink: false,
  link: '',
  xattrs: [],
  slot: 0,
  slotSize: 512,
};

const summary = (entry: Partial<TreeEntry>, maps = IDENTITY) =>
  headersOf({ ...FILE, ...entry }, maps).map(({ type, name, mode }) => [type, name, mode]);

test('each type of file has its own', () => {
  assert.deepEqual(summary({}), [['file', 'etc/hosts', 0o644]]);
  assert.deepEqual(summary({ mode: 0o041777 }), [['directory', 'etc/hosts/', 0o1777]]);
  assert.deepEqual(summary({ mode: 0o120777 }), [['symlink', 'etc/hosts', 0o777]]);
  assert.deepEqual(summary({ mode: 0o020660, major: 1, minor: 3 }), [['character', 'etc/hosts', 0o660]]);
  assert.deepEqual(summary({ mode: 0o060660 }), [['block', 'etc/hosts', 0o660]]);
  assert.deepEqual(summary({ mode: 0o010644 }), [['fifo', 'etc/hosts', 0o644]]);
  assert.deepEqual(summary({ mode: 0o104755 }), [['file', 'etc/hosts', 0o4755]]);
  assert.deepEqual(summary({ isHardLink: true, link: 'a' }), [['link', 'etc/hosts', 0o644]]);
  assert.deepEqual(summary({ mode: 0o140755 }), [], 'sockets are left out');
});

test('a whiteout becomes a .wh. name, with the ids that it has', () => {
  const [header, ...more] = headersOf({ ...FILE, mode: 0o020000, uid: 7, mtimeSeconds: -3 }, REMAPPED);
  assert.deepEqual(more, []);
  assert.deepEqual(
    [header?.type, header?.name, header?.mode, header?.uid, header?.mtimeSeconds, header?.size],
    ['file', 'etc/.wh.hosts', 0o600, 7, 0, 0],
  );
});

test('deletion of a name at the root', () => {
  assert.equal(deletion('bin').name, '.wh.bin');
});

test('an opaque directory is followed by its marker', () => {
  for (const name of ['trusted.overlay.opaque', 'user.overlay.opaque']) {
    const headers = headersOf({ ...FILE, mode: 0o043755, uid: 4, xattrs: [[name, 'y']] }, IDENTITY);
    assert.deepEqual(
      headers.map(({ name, type, mode, uid, xattrs }) => [name, type, mode, uid, xattrs]),
      [
        ['etc/hosts/', 'directory', 0o3755, 4, []],
        ['etc/hosts/.wh..wh..opq', 'file', 0o755, 4, []],
      ],
    );
  }
  assert.equal(
    headersOf({ ...FILE, mode: 0o040755, xattrs: [['trusted.overlay.opaque', 'x']] }, IDENTITY).length,
    1,
  );
});

test("overlayfs's attributes stay, others go out", () => {
  const xattrs: TreeEntry['xattrs'] = [
    ['trusted.overlay.origin', 'x'],
    ['user.overlay.impure', 'y'],
    ['user.overlaid', 'z'],
  ];
  assert.deepEqual(headersOf({ ...FILE, xattrs }, IDENTITY)[0]?.xattrs, [['user.overlaid', 'z']]);
});

test('a capability bound to a user name space is stored without it', () => {
  const v2 = `\x01\x00\x00\x02${'\x00\x04'.repeat(8)}`;
  const v3 = `\x01\x00\x00\x03${'\x00\x04'.repeat(8)}\xa0\x86\x01\x00`;
  for (const value of [v2, v3]) {
    const headers = headersOf({ ...FILE, xattrs: [['security.capability', value]] }, IDENTITY);
    assert.deepEqual(headers[0]?.xattrs, [['security.capability', v2]]);
  }
});

test('ids are those of the container', () => {
  const [header] = headersOf({ ...FILE, uid: 101_000, gid: 200_005 }, REMAPPED);
  assert.deepEqual([header?.uid, header?.gid], [1000, 5]);
  assert.throws(
    () => headersOf({ ...FILE, uid: 99_999, gid: 200_000 }, REMAPPED),
    (error) => error instanceof ThinlayerError && error.code === 'failed_precondition',
  );
});
