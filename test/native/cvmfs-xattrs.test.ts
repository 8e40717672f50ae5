/** What the file system tells of itself by attributes. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

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
  const fixture = await MountedFixture.make(t, ['alt/repo'], { hideMagicXattrs: true });
  const [root] = await get(fixture, { '/': ['user.revision'] });
  assert.deepEqual(root?.[0], []);
  assert.match(root[1]['user.revision'] ?? '', /^\d+$/);
  await assert.rejects(get(fixture, { '/': ['user.nonsense'] }), /No data available/);
});
