/** Archives of real trees, read back by GNU tar and tar-stream. */

import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readlinkSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';

import { produce, produceBetween } from '../../src/archive/produce.js';
import { ThinlayerError } from '../../src/core/errors.js';
import { loadAddon } from '../../src/host/addon.js';
import { createTreeReader } from '../../src/host/tree-reader.js';
import type { TreeReaderFunctions } from '../../src/host/tree-reader.js';
import { collect, namesOf, readArchive } from './archive-reader.js';
import { describeTree, needsRoot, scratchDirectory, shell } from './scratch-tree.js';

const reader = createTreeReader(loadAddon<TreeReaderFunctions>());
const options = { idMaps: { uids: [], gids: [] } };
const MIB = 1024 * 1024;

const archiveOf = (root: string) => collect(produce(reader, root, options));

/** A scratch directory with `tree`, filled by the script. */
function makeTree(t: TestContext, script: string): { scratch: string; tree: string } {
  const scratch = scratchDirectory(t);
  const tree = join(scratch, 'tree');
  mkdirSync(tree);
  shell(tree, script);
  return { scratch, tree };
}

/** Unpacks with GNU tar, and compares. */
async function assertRoundTrip(scratch: string, tree: string): Promise<void> {
  writeFileSync(join(scratch, 'archive.tar'), await archiveOf(tree));
  const errors = shell(
    scratch,
    `mkdir copy; tar --warning=no-timestamp --xattrs --xattrs-include='*' --numeric-owner -C copy -xpf archive.tar 2>&1`,
  );
  assert.equal(errors, '');
  assert.equal(describeTree(join(scratch, 'copy')), describeTree(tree));
}

const VARIED = `
  mkdir -m 1777 tmp; mkdir -m 2750 shared; mkdir -p usr/bin empty
  printf content > usr/bin/program; chmod 4755 usr/bin/program; ln usr/bin/program usr/bin/second; ln usr/bin/second zlink
  printf x > a; printf y > a-b; mkdir a.d; printf z > a.d/f
  ln -s usr/bin bin; ln -s "$(printf '%0200d' 0)" long-target; ln bin bin-hard
  mknod null c 1 3; mknod disk b 259 70000; mkfifo -m 640 pipe
  printf n > "$(printf '%0200d' 1)"; mkdir -p "$(printf '%0150d' 2)/$(printf '%0150d' 3)"; printf d > "$(printf '%0150d' 2)/$(printf '%0150d' 3)/f"
  printf u > "$(printf 'gr\\303\\266\\303\\237e')"; printf v > "$(printf 'bad\\377\\376')"; printf w > ' blanks  and "quotes" \\ '
  ln -s "$(printf 'to\\377')" badlink
  head -c 511 /dev/urandom > s511; head -c 512 /dev/urandom > s512; head -c 513 /dev/urandom > s513
  head -c 3000000 /dev/urandom > large; truncate -s 5000001 sparse
  chown 3000000000:2097152 large; chown -h 1000:1001 bin; chown 65534:65534 shared
  setfattr -n user.comment -v 0x00ff3d0a25 large; setfattr -n user.on.directory -v text shared
  setcap cap_net_raw+ep s513
  touch -d '1969-12-31 23:59:58.25' a; touch -d '1901-12-14' a-b; touch -d '2033-05-18 03:33:20.123456789' a.d/f
  touch -h -d '2001-02-03 04:05:06.7' bin; touch -d '2020-01-01 00:00:00.5' shared`;

test('what GNU tar unpacks is the tree', needsRoot, async (t) => {
  const { scratch, tree } = makeTree(t, VARIED);
  await assertRoundTrip(scratch, tree);
});

test('many small files, of all sizes around a block', needsRoot, async (t) => {
  const { scratch, tree } = makeTree(t, 'mkdir -p d0 d1/d2');
  for (let i = 0; i < 3000; i++) {
    writeFileSync(join(tree, ['d0', 'd1/d2'][i % 2] ?? '', `file-${i}`), Buffer.alloc(i % 1700, i));
  }
  await assertRoundTrip(scratch, tree);
});

test('the same tree gives the same bytes, a copy of it too', needsRoot, async (t) => {
  const { scratch, tree } = makeTree(t, VARIED);
  const first = await archiveOf(tree);
  assert.ok(first.equals(await archiveOf(tree)));
  shell(scratch, 'cp -a tree copy');
  assert.ok(first.equals(await archiveOf(join(scratch, 'copy'))));
});

test('an empty layer is the end of an archive', needsRoot, async (t) => {
  const { tree } = makeTree(t, ':');
  assert.deepEqual(await archiveOf(tree), Buffer.alloc(1024));
});

test('entries are sorted, directories end with a slash, sockets are missing', needsRoot, async (t) => {
  const { tree } = makeTree(t, 'mkdir b; touch a b/z b/y b.c b-a; chmod 700 .');
  const server = createServer().listen(join(tree, 'socket'));
  t.after(() => server.close());
  await new Promise((resolve) => server.once('listening', resolve));
  const names = await namesOf(await archiveOf(tree));
  assert.deepEqual(names, ['a', 'b/', 'b/y', 'b/z', 'b-a', 'b.c']);
});

test('whiteouts and opaque directories have their registry names', needsRoot, async (t) => {
  const { tree } = makeTree(
    t,
    `mkdir -m 700 d o; mknod d/gone c 0 0; ln d/gone d/gone2; touch o/new
     setfattr -n trusted.overlay.opaque -v y o; setfattr -n trusted.overlay.origin -v z d`,
  );
  const entries = (await readArchive(await archiveOf(tree))).map(({ header }) => header);
  assert.deepEqual(
    entries.map(({ name, type, mode, size }) => [name, type, mode, size]),
    [
      ['d/', 'directory', 0o700, 0],
      ['d/.wh.gone', 'file', 0o600, 0],
      ['d/.wh.gone2', 'file', 0o600, 0],
      ['o/', 'directory', 0o700, 0],
      ['o/.wh..wh..opq', 'file', 0o700, 0],
      ['o/new', 'file', 0o644, 0],
    ],
  );
  const keys = entries.flatMap(({ pax }) => Object.keys(pax ?? {}));
  assert.deepEqual(new Set(keys), new Set(['mtime']));
});

test('a mark that only user name spaces know means nothing outside them', needsRoot, async (t) => {
  const { tree } = makeTree(t, 'mkdir d; setfattr -n user.overlay.opaque -v y d; touch d/f');
  assert.deepEqual(await namesOf(await archiveOf(tree)), ['d/', 'd/f']);
});

test('a hard link names the first of its names', needsRoot, async (t) => {
  const { tree } = makeTree(t, 'mkdir d; printf text > z; ln z d/b; ln z a');
  const entries = await readArchive(await archiveOf(tree));
  assert.deepEqual(
    entries.map(({ header, content }) => [header.name, header.type, header.linkname, content.toString()]),
    [
      ['a', 'file', null, 'text'],
      ['d/', 'directory', null, ''],
      ['d/b', 'link', 'a', ''],
      ['z', 'link', 'a', ''],
    ],
  );
});

for (const [what, size] of [
  ['shrinks', 0],
  ['grows', 9 * MIB],
] as const) {
  test(`a file that ${what} keeps the size of its header`, needsRoot, async (t) => {
    const { tree } = makeTree(t, 'head -c 8388608 /dev/zero | tr "\\0" x > big; printf after > big2');
    const chunks: Uint8Array[] = [];
    for await (const chunk of produce(reader, tree, options)) {
      if (chunks.push(Buffer.from(chunk)) === 1) truncateSync(join(tree, 'big'), size);
    }
    const entries = await readArchive(Buffer.concat(chunks));
    assert.deepEqual(
      entries.map(({ header, content }) => [header.name, content.length]),
      [
        ['big', 8 * MIB],
        ['big2', 5],
      ],
    );
  });
}

test('what vanishes meanwhile is left out', needsRoot, async (t) => {
  const { tree } = makeTree(t, 'mkdir a b c; seq 9000 | (cd a; xargs touch); touch b/f c/f');
  const chunks: Uint8Array[] = [];
  for await (const chunk of produce(reader, tree, options)) {
    if (chunks.push(Buffer.from(chunk)) === 1)
      for (const name of ['a', 'c']) rmSync(join(tree, name), { recursive: true });
  }
  const names = await namesOf(Buffer.concat(chunks));
  assert.ok(names.includes('b/f') && !names.includes('c/f') && names.length < 9000);
});

function openBelow(root: string): string[] {
  return readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith(root);
    } catch (error) {
      assert.equal((error as NodeJS.ErrnoException).code, 'ENOENT');
      return false;
    }
  });
}

test('a caller that cancels, or leaves, ends the work', needsRoot, async (t) => {
  const { tree } = makeTree(t, 'mkdir -p a/b/c; truncate -s 1G a/b/c/big');
  const abort = new AbortController();
  const consume = async () => {
    for await (const chunk of produce(reader, tree, { ...options, signal: abort.signal })) {
      assert.ok(chunk.length > 0);
      abort.abort();
    }
  };
  await assert.rejects(consume, (error) => error instanceof ThinlayerError && error.code === 'aborted');
  for await (const chunk of produce(reader, tree, options)) {
    assert.ok(chunk.length > 0);
    break;
  }
  // The batch read ahead holds the descriptors until it is full.
  for (let i = 0; i < 1000 && openBelow(tree).length > 0; i++) await new Promise(setImmediate);
  assert.deepEqual(openBelow(tree), []);
});

test('a missing directory is not_found, before the first byte', needsRoot, async (t) => {
  const missing = join(scratchDirectory(t), 'missing');
  await assert.rejects(
    archiveOf(missing),
    (error) =>
      error instanceof ThinlayerError && error.code === 'not_found' && error.message.includes(missing),
  );
});

test('the difference of two trees', needsRoot, async (t) => {
  const { scratch } = makeTree(
    t,
    `cd ..; mkdir old; cd old; mkdir -p same/dir changed/deep gone/dir; cd ..
     touch old/same/f old/changed/f old/changed/deep/f old/gone/dir/f old/kind
     cp -a old new; rm -r new/gone new/kind new/changed/f; mkdir new/kind new/added; touch new/kind/f
     printf text > new/changed/deep/f; printf more > new/added/f; ln new/added/f new/added/g`,
  );
  const newer = join(scratch, 'new');
  const bytes = await collect(produceBetween(reader, newer, join(scratch, 'old'), options));
  assert.deepEqual(await namesOf(bytes), [
    'added/',
    'added/f',
    'added/g',
    'changed/',
    'changed/deep/',
    'changed/deep/f',
    'kind/',
    'kind/f',
    'changed/.wh.f',
    '.wh.gone',
  ]);
  const all = await collect(produceBetween(reader, newer, null, options));
  assert.ok(all.equals(await archiveOf(newer)));
  const none = await collect(produceBetween(reader, newer, newer, options));
  assert.deepEqual(none, Buffer.alloc(1024));
});

test('whole directories full of deletions', needsRoot, async (t) => {
  const { scratch } = makeTree(t, 'cd ..; mkdir old new; cd old; seq 3000 | xargs touch');
  const bytes = await collect(produceBetween(reader, join(scratch, 'new'), join(scratch, 'old'), options));
  assert.equal((await namesOf(bytes)).filter((name) => name.startsWith('.wh.')).length, 3000);
});
