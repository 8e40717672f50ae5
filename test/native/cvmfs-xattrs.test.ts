/** What the file system tells of itself by attributes. */

import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

import { MountedClient } from '../cvmfs/mounted-client.js';
import { loadAddon } from '../../src/host/addon.js';
import { serverOf } from '../unit/cvmfs/client.js';
import { MountedFixture, cannotMount, run } from './cvmfs-fixture.js';

const skip = cannotMount;

/** Attributes of some paths, as text. */
const GET = `
import json, os, sys
print(json.dumps([[os.listxattr(path, follow_symlinks=False), {name: os.getxattr(path, name, follow_symlinks=False).decode('latin1')
  for name in names}] for path, names in ((sys.argv[1] + path, names) for path, names in json.loads(sys.argv[2]).items())]))
`;

type Shown = readonly [readonly string[], Readonly<Record<string, string>>];

async function get(fixture: MountedFixture, asked: Record<string, string[]>): Promise<Shown[]> {
  return JSON.parse(await run('python3', '-c', GET, fixture.mountpoint, JSON.stringify(asked))) as Shown[];
}

test('magic attributes are listed at the root only, and tell of every file', { skip }, async (t) => {
  const fixture = await MountedFixture.make(t, ['shake/repo']);
  fixture.mount.setMagic({ 'user.fqrn': 'shake.example.org', 'user.host': 'http://localhost' });
  const [root, file, chunked, link] = await get(fixture, {
    '/': ['user.fqrn', 'user.revision', 'user.root_hash', 'user.nclg', 'user.repo_counters'],
    '/text/nonl': [
      'user.fqrn',
      'user.hash',
      'user.chunks',
      'user.compression',
      'user.direct_io',
      'user.chunk_list',
    ],
    '/big/chunked.bin': ['user.chunks', 'user.chunk_list', 'user.catalog_counters'],
    '/links/variant/env': ['xfsroot.rawlink'] /* the kernel has no user.* for symlinks */,
  });
  assert.ok(['user.fqrn', 'user.host', 'user.revision'].every((name) => root?.[0].includes(name)));
  assert.equal(root?.[1]['user.revision'], '1');
  assert.equal(root[1]['user.root_hash'], '0722a6783854d9c8d43031ed4da5c7f7d1491b2a-shake128');
  assert.match(root[1]['user.repo_counters'] ?? '', /^name,value\n.*self_regular,44\n/s);
  assert.deepEqual(file?.[0], []);
  assert.match(file[1]['user.hash'] ?? '', /^[0-9a-f]{40}-shake128$/);
  assert.deepEqual(
    [file[1]['user.chunks'], file[1]['user.compression'], file[1]['user.direct_io']],
    ['1', 'zlib', '0'],
  );
  assert.equal(file[1]['user.chunk_list'], `hash,offset,size\n${file[1]['user.hash']},0,17\n`);
  const rows = chunked?.[1]['user.chunk_list']?.trim().split('\n').slice(1) ?? [];
  assert.equal(rows.length, Number(chunked?.[1]['user.chunks']));
  assert.equal(
    rows.reduce((sum, row) => sum + Number(row.split(',')[2]), 0),
    1048576,
  );
  assert.match(
    chunked?.[1]['user.catalog_counters'] ?? '',
    /^catalog_hash: 0722a6.*-shake128\ncatalog_mountpoint: \n/,
  );
  assert.equal(
    link?.[1]['xfsroot.rawlink'] /* the kernel has no user.* for symlinks */,
    '$(CVMFS_FIX_ARCH)/bin',
  );
});

test('hidden magic attributes can still be asked for', { skip }, async (t) => {
  const fixture = await MountedFixture.make(t, ['alt/repo'], { magicXattrs: 'never' });
  const [root] = await get(fixture, { '/': ['user.revision'] });
  assert.deepEqual(root?.[0], []);
  assert.match(root[1]['user.revision'] ?? '', /^\d+$/);
  await assert.rejects(get(fixture, { '/': ['user.nonsense'] }), /No data available/);
});

/** What each of these paths lists, and whether all of it can be asked for. */
const LISTED = `
import json, os, sys
shown = lambda path: [name for name in os.listxattr(path, follow_symlinks=False)
  if os.getxattr(path, name, follow_symlinks=False) is not None]
print(json.dumps([shown(sys.argv[1] + path) for path in sys.argv[2:]]))
`;

test('magic attributes are listed of every entry if that is wanted', { skip }, async (t) => {
  const fixture = await MountedFixture.make(t, ['shake/repo'], { magicXattrs: 'always' });
  fixture.mount.setMagic({ 'user.fqrn': 'shake.example.org' });
  const paths = ['/', '/text', '/text/nonl', '/links/variant/env'];
  const listed = await run('python3', '-c', LISTED, fixture.mountpoint, ...paths);
  const [root, directory, file, link] = JSON.parse(listed) as string[][];
  for (const names of [root, directory, file])
    for (const name of ['user.fqrn', 'user.revision']) assert.ok(names?.includes(name), name);
  assert.deepEqual(
    [directory, file].map((names) => names?.includes('user.chunk_list')),
    [false, true],
  );
  assert.deepEqual(link, ['xfsroot.rawlink'] /* the kernel has no user.* for symlinks */);
});

test('what a container copies of a layer brings no magic attributes with it', { skip }, async (t) => {
  const server = await serverOf(t, 'thin/rev-1');
  const client = await MountedClient.start(t, {
    servers: [server.url],
    settings: { CVMFS_MAGIC_XATTRS_VISIBILITY: 'always' },
    arguments: ['-o', 'layers'],
  });
  const base = await mkdtemp(join(tmpdir(), 'thinlayer-overlay-'));
  t.after(async () => {
    await loadAddon().unmount(join(base, 'merged'));
    await rm(base, { recursive: true });
  });
  await Promise.all(['upper', 'work', 'merged'].map((name) => mkdir(join(base, name))));
  const options = `lowerdir=${client.mountpoint}/text,upperdir=${base}/upper,workdir=${base}/work`;
  await run('mount', '-t', 'overlay', 'overlay', '-o', options, join(base, 'merged'));
  await run('chmod', '600', join(base, 'merged/lorem.txt'));
  const listed = await run('python3', '-c', LISTED, '', join(base, 'upper/lorem.txt'));
  assert.ok(!listed.includes('user.'), listed);
});
