/** What the repository maker writes, read again by a reader that knows nothing of it. */

import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import { createHash } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import type { TestContext } from 'node:test';

import { ALGORITHMS } from '../../cvmfs/maker/hash.js';
import { integer } from '../../cvmfs/maker/der.js';
import { damage, REFUSED } from '../../cvmfs/maker/faults.js';
import { addDirectory, addTar } from '../../cvmfs/maker/import-tar.js';
import { newCertificate, newKeys } from '../../cvmfs/maker/keys.js';
import { RepositoryMaker } from '../../cvmfs/maker/repository-maker.js';
import type { RepositoryOptions } from '../../cvmfs/maker/repository-maker.js';
import { readRepository } from '../../cvmfs/maker/repository-reader.js';
import type { ReadRepository } from '../../cvmfs/maker/repository-reader.js';
import { bytes, entryOf, SourceTree } from '../../cvmfs/maker/source-tree.js';
import type { SourceEntry } from '../../cvmfs/maker/source-tree.js';
import { paxEntry, tarEntry, tarOf } from '../../fakes/tar-bytes.js';

const NAME = 'made.example.org';
/** Making keys is the slow part, and no test depends on them being its own. */
const KEYS = newKeys(NAME);

function newMaker(t: TestContext, options: Partial<RepositoryOptions> = {}): RepositoryMaker {
  const directory = fs.mkdtempSync(join(tmpdir(), 'thinlayer-made-'));
  t.after(() => fs.rmSync(directory, { recursive: true }));
  return new RepositoryMaker(directory, NAME, { keys: KEYS, ...options });
}

function read(maker: RepositoryMaker): ReadRepository {
  return readRepository(maker.directory, NAME, maker.options.keys.masterPublicPem);
}

/** One of everything that a catalog can hold. */
function variedTree(): SourceTree {
  const shared = entryOf('file', {
    content: Buffer.from('shared'),
    hardLink: 'group',
    mtimeNanoseconds: 123_456_789,
  });
  return new SourceTree()
    .file('/a.txt', 'hello\n', { mode: 0o4755, uid: 4294967295, gid: 7, mtime: -1000 })
    .file('/empty', '')
    .file('/big', Buffer.alloc(10_000, 'abc'))
    .file('/raw', 'stored as it is', { compressed: false })
    .file('/other', 'by another algorithm', { algorithm: 'rmd160' })
    .file('/direct', 'x', { flags: 0x10000 })
    .symlink('/link', 'a$(OS)/../\xff')
    .add('/links/one', shared)
    .add('/links/two', shared)
    .add('/dev/null', entryOf('character', { device: [1, 3], mode: 0o666 }))
    .add('/dev/loop', entryOf('block', { device: [4095 + 1, 300] }))
    .add('/dev/fifo', entryOf('fifo'))
    .add('/dev/sock', entryOf('socket'))
    .file(`/names/${bytes('naïve ☃')}`, '1')
    .file("/names/'; DROP TABLE catalog; --\n\t", '2')
    .file('/names/caf\xe9', '3')
    .file(`/names/${'n'.repeat(255)}`, '4')
    .file('/xattrs/file', 'x', {
      xattrs: new Map([
        ['user.a', Buffer.from([0, 255])],
        ['trusted.b', Buffer.alloc(0)],
      ]),
    })
    .directory('/nested/deep/inner', { mode: 0o1777 })
    .file('/nested/deep/inner/file', 'inside')
    .file('/nested/deep/file', 'between')
    .nest('/nested')
    .nest('/nested/deep/inner');
}

function assertSame(tree: SourceTree, repository: ReadRepository): void {
  const walked = [...tree.walk()];
  assert.deepEqual([...repository.entries.keys()].sort(), ['', ...walked.map(([path]) => path)].sort());
  for (const [path, { entry }] of walked) {
    const found = repository.entries.get(path);
    assert.ok(found);
    assert.deepEqual(
      { mode: found.mode, uid: found.uid, gid: found.gid, mtime: found.mtime, ns: found.mtimeNanoseconds },
      { mode: entry.mode, uid: entry.uid, gid: entry.gid, mtime: entry.mtime, ns: entry.mtimeNanoseconds },
      path,
    );
    assert.equal(found.target, entry.target, path);
    assert.equal(found.sha256, sha256(entry), path);
    const xattrs = [...entry.xattrs].map(([name, value]) => [name, value.toString('base64')]);
    assert.deepEqual(found.xattrs, Object.fromEntries(xattrs), path);
  }
}

function sha256({ kind, content }: SourceEntry): string | null {
  return kind === 'file' ? createHash('sha256').update(content).digest('hex') : null;
}

for (const algorithm of ALGORITHMS) {
  for (const compressed of [true, false]) {
    test(`a tree of everything comes back: ${algorithm}, ${compressed ? 'compressed' : 'as it is'}`, (t) => {
      const maker = newMaker(t, { algorithm, compressed, chunkBytes: 4096 });
      const tree = variedTree();
      maker.publish(tree);
      const repository = read(maker);
      assertSame(tree, repository);
      assert.deepEqual([...repository.catalogs.keys()], ['', '/nested', '/nested/deep/inner']);
      const size = (path: string) => repository.entries.get(path)?.size;
      assert.deepEqual(
        [size('/dev/null'), size('/dev/loop')],
        [0x103, Number((4096n << 32n) | (1n << 20n) | 44n)],
      );
      const links = ['/links/one', '/links/two'].map((path) => repository.entries.get(path));
      assert.deepEqual(
        links.map((link) => [link?.linkCount, link?.linkGroup]),
        [
          [2, 1],
          [2, 1],
        ],
      );
      assert.equal((repository.entries.get('/big')?.flags ?? 0) & 64, 64);
    });
  }
}

test('a second revision keeps the catalogs in which nothing changed, and names the first', (t) => {
  const maker = newMaker(t);
  const tree = variedTree();
  const first = maker.publish(tree, { tag: 'first' });
  const second = maker.publish(tree.file('/nested/new', 'new').remove('/a.txt'));
  assert.deepEqual([first.revision, second.revision], [1, 2]);
  assert.notEqual(second.hash, first.hash);
  assert.notDeepEqual(second.nested.get('/nested'), first.nested.get('/nested'));
  assert.deepEqual(second.nested.get('/nested/deep/inner'), first.nested.get('/nested/deep/inner'));
  const repository = read(maker);
  assertSame(tree, repository);
  assert.equal(repository.catalogs.get('')?.get('previous_revision'), first.hash);
  assert.equal(repository.manifest.get('S'), '2');
});

test('a revision by another algorithm leaves the catalogs of old as they are', (t) => {
  const maker = newMaker(t, { algorithm: 'shake128' });
  const tree = variedTree();
  maker.publish(tree);
  maker.publish(tree.file('/new', 'x', { algorithm: 'sha1' }), { algorithm: 'sha1' });
  assert.match(maker.manifest['C'] ?? '', /^[0-9a-f]{40}$/);
  assertSame(tree, read(maker));
});

test('large directories get catalogs of their own', (t) => {
  const maker = newMaker(t, { maxEntriesInCatalog: 100 });
  const tree = new SourceTree();
  for (let i = 0; i < 2000; i++) tree.file(`/d${i % 4}/e${i % 20}/f${i}`, `content ${i % 7}`);
  for (let i = 0; i < 300; i++) tree.file(`/flat/f${i}`, '');
  const { nested } = maker.publish(tree);
  // Of each /dN all five directories of 101 entries, then of the root the largest that is left.
  assert.equal(nested.size, 21);
  assert.ok(nested.has('/flat') && nested.has('/d0/e0') && !nested.has('/d0'));
  assertSame(tree, read(maker));
});

test('an old root catalog can be shown as a directory', (t) => {
  const maker = newMaker(t);
  const first = maker.publish(variedTree());
  maker.publish(new SourceTree().bind('/.cvmfs/snapshots/first', first));
  assert.equal((read(maker).entries.get('/.cvmfs/snapshots/first')?.flags ?? 0) & 0x4000, 0x4000);
});

test('a layer goes in as its archive has it', async (t) => {
  const maker = newMaker(t);
  const tree = new SourceTree();
  const layer = tarOf(
    tarEntry({ name: 'etc/', typeflag: '5', mode: 0o750, uid: 5 }),
    tarEntry({ name: 'etc/passwd', body: 'root' }),
    tarEntry({ name: 'etc/shadow', typeflag: '1', linkname: 'etc/passwd' }),
    tarEntry({ name: 'etc/.wh.gone' }),
    tarEntry({ name: 'etc/.wh..wh..opq' }),
    paxEntry([['SCHILY.xattr.security.capability', '\x01\x00\xff']]),
    tarEntry({ name: './bin/caf\xe9', body: 'x' }),
    tarEntry({ name: 'bin/sh', typeflag: '2', linkname: '/bin/busybox' }),
  );
  await addTar(tree, Readable.from([layer]), '/layers/abc');
  maker.publish(tree.nest('/layers/abc'));
  const repository = read(maker);
  assertSame(tree, repository);
  const found = (path: string) => repository.entries.get(`/layers/abc/${path}`);
  assert.deepEqual([found('etc')?.mode, found('etc')?.uid], [0o750, 5]);
  assert.equal(found('etc/shadow')?.sha256, found('etc/passwd')?.sha256);
  assert.deepEqual([found('etc/shadow')?.linkCount, found('etc/.wh..wh..opq')?.size], [1, 0]);
  assert.deepEqual(Object.keys(found('bin/caf\xe9')?.xattrs ?? {}), ['security.capability']);
});

test('a directory goes in with its links', async (t) => {
  const source = fs.mkdtempSync(join(tmpdir(), 'thinlayer-source-'));
  t.after(() => fs.rmSync(source, { recursive: true }));
  fs.mkdirSync(join(source, 'd'));
  fs.writeFileSync(join(source, 'd/one'), 'content');
  fs.linkSync(join(source, 'd/one'), join(source, 'd/two'));
  fs.linkSync(join(source, 'd/one'), join(source, 'elsewhere'));
  fs.symlinkSync('d/one', join(source, 'link'));
  fs.utimesSync(join(source, 'd/one'), 1000, 1000.5);
  const maker = newMaker(t);
  const tree = new SourceTree();
  await addDirectory(tree, source, '/');
  maker.publish(tree);
  const repository = read(maker);
  assertSame(tree, repository);
  const counts = ['/d/one', '/d/two', '/elsewhere'].map((path) => repository.entries.get(path)?.linkCount);
  assert.deepEqual(counts, [2, 2, 1]);
  const { mtime, mtimeNanoseconds, size } = repository.entries.get('/d/two') ?? assert.fail();
  assert.deepEqual([mtime, mtimeNanoseconds, size], [1000, 500_000_000, 7]);
});

test('several certificates can be on a whitelist, with comments', (t) => {
  const maker = newMaker(t);
  maker.publish(variedTree());
  const other = maker.fingerprint(newCertificate(NAME).der);
  const own = maker.fingerprint(KEYS.certificate.der);
  maker.writeWhitelist({ fingerprints: [`${other} # another`, '# nothing', `${own}\tours`] });
  read(maker);
});

/** What the reader says, so that no fault is taken for another. */
const REASONS: Readonly<Record<string, RegExp>> = {
  'the manifest was changed': /the hash of .*cvmfspublished/,
  'the signature of the manifest is damaged': /openssl dgst/,
  'the manifest is not signed': /the hash of .*cvmfspublished/,
  'the manifest is of another repository': /the name in the manifest/,
  'the manifest names another root path': /the root path/,
  'the manifest has no certificate': /the manifest has no X/,
  'the manifest has no root catalog': /the manifest has no C/,
  'the certificate is not on the whitelist': /the certificate is not on the whitelist/,
  'the manifest is signed by another key than its certificate': /openssl dgst/,
  'the certificate is missing': /ENOENT.*X'/,
  'the certificate is damaged': /the hash of the object .*X /,
  'the whitelist has expired': /the whitelist ended/,
  'the whitelist is signed by another master key': /openssl pkeyutl/,
  'the whitelist is of another repository': /the name in the whitelist/,
  'the whitelist is empty': /the certificate is not on the whitelist/,
  'the whitelist was changed': /the hash of .*cvmfswhitelist/,
  'the root catalog is missing': /ENOENT.*C'/,
  'the root catalog is damaged': /the hash of the object .*C /,
  'the root catalog is cut off': /the hash of the object .*C /,
};

for (const [what, spoil] of Object.entries(REFUSED)) {
  test(`the reader refuses: ${what}`, (t) => {
    const maker = newMaker(t);
    maker.publish(new SourceTree().file('/a', 'a'));
    read(maker);
    spoil(maker);
    assert.throws(() => read(maker), REASONS[what] ?? assert.fail(`no reason is known for: ${what}`));
  });
}

test('damage to content is found where it is', (t) => {
  for (const how of ['flip', 'truncate', 'append', 'delete'] as const) {
    const maker = newMaker(t, { chunkBytes: 4096 });
    const tree = variedTree();
    maker.publish(tree);
    const chunks = maker.contentFiles(tree.at('/big'));
    assert.equal(chunks.length, 3);
    damage(chunks[1] ?? assert.fail(), how);
    assert.throws(() => read(maker), /the hash of the object|ENOENT/, how);
  }
});

test('numbers are as short as DER wants them, also the serial number of a certificate that begins with zeros', () => {
  const encoded = (...bytes: number[]) => [...integer(Uint8Array.from(bytes))];
  assert.deepEqual(encoded(0, 0, 0x7f, 1), [2, 2, 0x7f, 1]);
  assert.deepEqual(encoded(0, 0x80), [2, 2, 0, 0x80]);
  assert.deepEqual(encoded(0, 0), [2, 1, 0]);
});
