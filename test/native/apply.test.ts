/** Archives of GNU tar, and hand-made ones, unpacked into real trees. */

import assert from 'node:assert/strict';
import {
  lstat,
  mkdir,
  readdir,
  readFile,
  readlink,
  stat,
  symlink,
  truncate,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';

import { paxEntry, tarEntry } from '../fakes/tar-bytes.js';
import {
  cannotUnpack,
  fingerprint,
  modeOf,
  run,
  scratch,
  unpack,
  unpackEntries,
  unpackFile,
  xattr,
} from './unpacked.js';

const skip = cannotUnpack;

/** One of everything. */
async function makeTree(root: string): Promise<void> {
  const script = `
    cd "$1"
    mkdir -p dir/sub empty sticky; chmod 1777 sticky; chmod 0700 dir/sub; chown 12:34 dir
    head -c 300000 /dev/urandom >dir/big; echo hello >dir/file; : >dir/sub/none
    cp dir/file suid; chown 99:98 suid; chmod 6755 suid
    cp dir/file capable; chown 5:5 capable; setcap cap_net_raw+ep capable
    ln dir/file dir/sub/hard; ln -s file dir/soft; ln -s /etc/passwd absolute; ln dir/soft dir/hardsoft
    mknod char c 1 3; chmod 666 char; mknod block b 7 300; mkfifo -m 622 pipe; chown -h 7:8 absolute char
    setfattr -n user.text -v value dir/file; setfattr -n trusted.bytes -v 0x00ff0a3d dir; setfattr -h -n trusted.on -v link absolute
    long=$(printf 'n%.0s' $(seq 200)); mkdir "$long"; echo x >"$long/$long"; ln -s "$long/$long" long-link
    printf x >"$(printf 'caf\\351-\\377')"; : >' blank and
newline'
    truncate -s 1M holes; printf data | dd of=holes bs=1 seek=500000 conv=notrunc status=none
    touch -d '1969-12-31 23:59:58.25 UTC' dir/big; touch -d '2001-02-03 04:05:06.123456789 UTC' dir/file dir/sub; touch -hd '2010-01-01 UTC' dir/soft
    chmod 0000 dir/sub/none; chmod 2750 .; touch -d '1999-09-09 UTC' dir empty .
  `;
  await run('bash', ['-euc', script, 'bash', root]);
}

test('a tree with one of everything comes back, from PAX archives', { skip }, async (t) => {
  const { base, root } = await scratch(t);
  const source = join(base, 'source');
  await mkdir(source);
  await makeTree(source);
  const before = await fingerprint(source);
  for (const sparse of [[], ['--sparse-version=0.0'], ['--sparse-version=0.1'], ['--sparse-version=1.0']]) {
    const [file, target] = [join(base, 'a.tar'), join(root, sparse.join('') || 'plain')];
    const options = [
      '--format=pax',
      '--xattrs',
      '--xattrs-include=*',
      ...(sparse.length > 0 ? ['-S', ...sparse] : []),
    ];
    await run('tar', ['-C', source, ...options, '-cf', file, '.']);
    await mkdir(target);
    await unpackFile(target, file);
    assert.equal(await fingerprint(target), before, target);
  }
  const holes = await stat(join(root, 'plain/holes'));
  const sparse = await stat(join(root, '--sparse-version=1.0/holes'));
  assert.equal(sparse.size, holes.size);
  assert.ok(sparse.blocks * 512 < 100_000, 'holes stay holes');
});

test('and from the older formats, as far as they can tell', { skip }, async (t) => {
  const { base, root } = await scratch(t);
  const source = join(base, 'source');
  await mkdir(source);
  await makeTree(source);
  for (const format of ['gnu', 'oldgnu', 'ustar', 'v7']) {
    const [file, target] = [join(base, 'a.tar'), join(root, format)];
    const limits: Record<string, string[]> = {
      ustar: ['--exclude=nnn*', '--exclude=long-link', '--exclude=dir/big'],
      v7: [
        '--exclude=nnn*',
        '--exclude=long-link',
        '--exclude=dir/big',
        '--exclude=char',
        '--exclude=block',
        '--exclude=pipe',
      ],
    };
    const sparse = format.endsWith('gnu') ? ['-S'] : [];
    await run('tar', [
      '-C',
      source,
      `--format=${format}`,
      ...sparse,
      ...(limits[format] ?? []),
      '-cf',
      file,
      '.',
    ]);
    await mkdir(target);
    await unpackFile(target, file);
    const { stdout } = await run('tar', ['-C', target, '-df', file]);
    assert.equal(stdout, '', format);
  }
});

test('umask does not matter; setuid bits survive the change of owner', { skip }, async (t) => {
  const { root } = await scratch(t);
  const umask = process.umask(0o077);
  t.after(() => process.umask(umask));
  await unpackEntries(root, [
    tarEntry({ name: 'missing/parent/file', mode: 0o666, uid: 1 }),
    tarEntry({ name: 'suid', mode: 0o6777, uid: 1, gid: 2 }),
    tarEntry({ name: 'dir', mode: 0o2777, typeflag: '5', gid: 3 }),
    tarEntry({ name: 'dir/in', mode: 0o644 }),
    tarEntry({ name: 'pipe', mode: 0o622, typeflag: '6' }),
    tarEntry({ name: 'null', mode: 0o666, typeflag: '3', major: 1, minor: 3 }),
  ]);
  const modes: Record<string, string> = {
    'missing/parent/file': '100666',
    missing: '40755',
    'missing/parent': '40755',
    suid: '106777',
    dir: '42777',
    'dir/in': '100644',
    pipe: '10622',
    null: '20666',
  };
  for (const [path, mode] of Object.entries(modes)) assert.equal(await modeOf(join(root, path)), mode, path);
  assert.equal((await lstat(join(root, 'dir/in'))).gid, 0, 'not the group of its setgid directory');
});

test('owners are mapped, also of parents that the archive does not have', { skip }, async (t) => {
  const { root } = await scratch(t);
  const range = [{ containerId: 0, hostId: 100_000, size: 1000 }];
  await unpackEntries(root, [tarEntry({ name: 'a/b', uid: 7, gid: 8 })], {
    idMaps: { uids: range, gids: range },
  });
  const [parent, file] = [await lstat(join(root, 'a')), await lstat(join(root, 'a/b'))];
  assert.deepEqual([parent.uid, parent.gid, file.uid, file.gid], [100_000, 100_000, 100_007, 100_008]);
});

test('whiteouts become devices, opaque directories an attribute', { skip }, async (t) => {
  const { root } = await scratch(t);
  await unpackEntries(root, [
    tarEntry({ name: 'd', typeflag: '5', mode: 0o755, mtime: 1000 }),
    tarEntry({ name: 'd/.wh.gone', uid: 5, mtime: 2000 }),
    tarEntry({ name: 'd/.wh.gone' }),
    tarEntry({ name: 'o/.wh..wh..opq' }),
    tarEntry({ name: '.wh.replaced' }),
    tarEntry({ name: 'replaced', typeflag: '5', mode: 0o755 }),
    tarEntry({ name: 'kept', body: 'new' }),
    tarEntry({ name: '.wh.kept' }),
    tarEntry({ name: 'newdir/file' }),
    tarEntry({ name: '.wh.newdir' }),
    tarEntry({ name: '.wh.file' }),
    tarEntry({ name: 'file', body: 'again' }),
  ]);
  const gone = await lstat(join(root, 'd/gone'));
  assert.ok(gone.isCharacterDevice());
  assert.deepEqual([gone.rdev, gone.uid, gone.mtimeMs], [0, 5, 2_000_000]);
  assert.equal((await lstat(join(root, 'd'))).mtimeMs, 1_000_000);
  for (const opaque of ['o', 'replaced', 'newdir']) {
    assert.equal(await xattr(join(root, opaque), 'trusted.overlay.opaque'), '79', opaque);
  }
  assert.equal(await xattr(join(root, 'd'), 'trusted.overlay.opaque'), null);
  assert.equal(await readFile(join(root, 'kept'), 'utf8'), 'new');
  assert.equal(await readFile(join(root, 'file'), 'utf8'), 'again');
  assert.deepEqual(await readdir(join(root, 'newdir')), ['file']);
});

test('in place, whiteouts delete what was there before the archive', { skip }, async (t) => {
  const { root } = await scratch(t);
  await run('bash', [
    '-euc',
    'cd "$1"; mkdir -p gone/sub d/old/deep keep; touch gone/sub/f d/old/deep/f d/f keep/f file',
    'bash',
    root,
  ]);
  await unpackEntries(
    root,
    [
      tarEntry({ name: 'd', typeflag: '5', mode: 0o755 }),
      tarEntry({ name: 'd/new/file', body: 'x' }),
      tarEntry({ name: 'd/.wh..wh..opq' }),
      tarEntry({ name: 'd/later' }),
      tarEntry({ name: '.wh.gone' }),
      tarEntry({ name: '.wh.file' }),
      tarEntry({ name: '.wh.never' }),
      tarEntry({ name: 'no/such/.wh.thing' }),
    ],
    { whiteouts: 'remove' },
  );
  const { stdout } = await run('find', [root, '-mindepth', '1', '-printf', '%P\n']);
  assert.deepEqual(stdout.trim().split('\n').sort(), [
    'd',
    'd/later',
    'd/new',
    'd/new/file',
    'keep',
    'keep/f',
  ]);
});

test('later entries replace earlier ones; only directories are merged', { skip }, async (t) => {
  const { root } = await scratch(t);
  const dir = (name: string, mode = 0o755): Buffer => tarEntry({ name, typeflag: '5', mode });
  await unpackEntries(root, [
    tarEntry({ name: 'file', body: 'a longer first one' }),
    tarEntry({ name: 'file', body: 'second' }),
    dir('dir'),
    tarEntry({ name: 'dir/in' }),
    dir('dir', 0o700),
    dir('dir-then-file'),
    tarEntry({ name: 'dir-then-file/deep/in' }),
    tarEntry({ name: 'dir-then-file', body: 'x' }),
    tarEntry({ name: 'file-then-dir' }),
    dir('file-then-dir'),
    tarEntry({ name: 'link-then-dir', typeflag: '2', linkname: 'dir' }),
    tarEntry({ name: 'link-then-dir/through' }),
    dir('link-then-dir'),
    tarEntry({ name: 'link-then-dir/own' }),
    tarEntry({ name: 'hard', typeflag: '1', linkname: 'file' }),
    tarEntry({ name: 'hard', typeflag: '1', linkname: 'file' }),
    tarEntry({ name: 'file', typeflag: '1', linkname: 'file' }),
    tarEntry({ name: 'soft', typeflag: '2', linkname: 'file' }),
    tarEntry({ name: 'soft', body: 'not through the link' }),
  ]);
  assert.equal(await readFile(join(root, 'file'), 'utf8'), 'second');
  assert.equal(await readFile(join(root, 'soft'), 'utf8'), 'not through the link');
  assert.equal(await modeOf(join(root, 'dir')), '40700');
  assert.deepEqual(await readdir(join(root, 'dir')), ['in', 'through']);
  assert.deepEqual(await readdir(join(root, 'link-then-dir')), ['own']);
  assert.ok((await lstat(join(root, 'dir-then-file'))).isFile());
  assert.ok((await lstat(join(root, 'file-then-dir'))).isDirectory());
  assert.equal((await lstat(join(root, 'file'))).nlink, 2);
});

test('a file capability survives an owner, and a hard link to it', { skip }, async (t) => {
  const { root } = await scratch(t);
  const capability = '\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00';
  await unpackEntries(root, [
    paxEntry([['SCHILY.xattr.security.capability', capability]]),
    tarEntry({ name: 'ping', uid: 5, gid: 6, mode: 0o755, body: 'x' }),
    tarEntry({ name: 'alias', typeflag: '1', linkname: '/ping', uid: 5, gid: 6, mode: 0o755 }),
  ]);
  assert.equal(
    await xattr(join(root, 'alias'), 'security.capability'),
    Buffer.from(capability, 'latin1').toString('hex'),
  );
});

test('an attribute that the file system cannot keep fails the whole', { skip }, async (t) => {
  const { root } = await scratch(t);
  const entries = [paxEntry([['SCHILY.xattr.nonsense.name', 'v']]), tarEntry({ name: 'a' })];
  await assert.rejects(unpackEntries(root, entries), {
    code: 'unimplemented',
    message: /setxattr a: EOPNOTSUPP.*nonsense\.name/,
  });
});

test('100,000 entries, more than one batch of large attributes, one large file', { skip }, async (t) => {
  const { root } = await scratch(t);
  async function* source(): AsyncGenerator<Uint8Array> {
    for (let d = 0; d < 100; d++) {
      const files = Array.from({ length: 1000 }, (_, f) => tarEntry({ name: `d${d}/f${f}`, mtime: d }));
      yield Buffer.concat([tarEntry({ name: `d${d}`, typeflag: '5', mode: 0o755, mtime: d }), ...files]);
    }
    yield tarEntry({ name: 'large', size: 20_000_000 });
    for (let i = 0; i < 200; i++) yield Buffer.alloc(100_000, i);
    yield Buffer.alloc(512 - (20_000_000 % 512));
    yield Buffer.alloc(1024);
  }
  await unpack(root, source());
  const { stdout } = await run('bash', [
    '-c',
    'find "$1" -mindepth 1 | wc -l; cksum <"$1/large"',
    'bash',
    root,
  ]);
  assert.equal(stdout.split('\n')[0], '100101');
  const expected = await run('bash', [
    '-c',
    `node -e 'for (let i = 0; i < 200; i++) process.stdout.write(Buffer.alloc(100000, i))' | cksum`,
  ]);
  assert.equal(stdout.split('\n')[1], expected.stdout.trim());
  assert.equal((await lstat(join(root, 'd7'))).mtimeMs, 7000);
});

test('a root that is missing, or no directory, is told', { skip }, async (t) => {
  const { base } = await scratch(t);
  await writeFile(join(base, 'file'), '');
  await assert.rejects(unpackEntries(join(base, 'missing'), []), {
    code: 'not_found',
    path: join(base, 'missing'),
  });
  await assert.rejects(unpackEntries(join(base, 'file'), []), { path: join(base, 'file') });
});

test(
  'a symlink inside of the tree is gone through; one in place of the last name is not',
  { skip },
  async (t) => {
    const { base, root } = await scratch(t);
    await symlink('/real', join(root, 'absolute'));
    await mkdir(join(root, 'real'));
    await writeFile(join(base, 'target'), 'canary');
    await truncate(join(base, 'target'), 6);
    await symlink('../target', join(root, 'last'));
    await unpackEntries(root, [
      tarEntry({ name: 'absolute/a', body: 'x' }),
      tarEntry({ name: 'last', body: 'a file of its own' }),
      tarEntry({ name: 'usr/lib', typeflag: '5', mode: 0o755 }),
      tarEntry({ name: 'lib', typeflag: '2', linkname: 'usr/lib' }),
      tarEntry({ name: 'lib/x/y', body: 'y' }),
    ]);
    assert.equal(await readFile(join(root, 'real/a'), 'utf8'), 'x');
    assert.equal(await readFile(join(root, 'usr/lib/x/y'), 'utf8'), 'y');
    assert.equal(await readlink(join(root, 'lib')), 'usr/lib');
    assert.ok((await lstat(join(root, 'last'))).isFile());
    assert.equal(await readFile(join(base, 'target'), 'utf8'), 'canary');
  },
);
