/**
 * Archives that lie, break off or want out, each applied by the real daemon: refused with a text that says why, or
 * unpacked inside of their layer; nothing else is touched, and a layer that refused one is as it was before.
 * (test/native/apply-hostile.test.ts has more that wants out; this is the whole way through.)
 */

import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';

import { gnuLong, paxEntry, paxRecord, tarEntry, tarOf } from '../fakes/tar-bytes.js';
import { daemonTest } from './daemon.js';
import type { Daemon } from './daemon.js';
import { Random } from './random.js';
import { layerOnDisk, namesBelow, refused, Surroundings } from './refused.js';

const file = (name: string, body: string | Buffer = 'evil') => tarEntry({ name, body });
const directory = (name: string) => tarEntry({ name, typeflag: '5', mode: 0o755 });
const symlink = (name: string, linkname: string) => tarEntry({ name, linkname, typeflag: '2' });
const link = (name: string, linkname: string) => tarEntry({ name, linkname, typeflag: '1' });
const named = (path: string) => [paxEntry([['path', path]]), file('x')];
const pax = (records: string) => [tarEntry({ name: 'pax', typeflag: 'x', body: records }), file('x')];
const sparse = (size: string, map: string) =>
  paxEntry([
    ['GNU.sparse.size', size],
    ['GNU.sparse.map', map],
  ]);
const xattr = (name: string, value: string) => paxEntry([[`SCHILY.xattr.${name}`, value]]);

type Entries = readonly Uint8Array[];
type Archive = Entries | Uint8Array;

/** `CANARY` stands for a directory beside the home. */
const REFUSED: readonly (readonly [string, (canary: string) => Archive, RegExp])[] = [
  ['nothing', () => Buffer.alloc(0), /it is empty/],
  ['a few bytes', () => Buffer.from('abc'), /cut off after 3 bytes/],
  ['gzip', () => gzipSync(tarOf(file('a', 'x'.repeat(5000)))), /Invalid tar header|cut off/],
  ['cpio', () => Buffer.from('070701'.padEnd(2048, '0')), /Invalid tar header/],
  ['a name with ..', () => [file('../x')], /names "\.\.\/x", which is outside of the layer/],
  ['a name with .. behind', () => [file('a/../../x')], /outside of the layer/],
  ['the root as a file', () => [file('.')], /makes its root a file/],
  ['the root as a symlink', (canary) => [symlink('.', canary)], /makes its root a symlink/],
  ['a hard link out', () => [link('h', '../../../../etc/passwd')], /outside of the layer/],
  ['an absolute hard link', (canary) => [link('h', `${canary}/directory/file`)], /nothing to link to at/],
  [
    'a link through a symlink',
    (canary) => [symlink('s', canary), link('h', 's/directory/file')],
    /nothing to link/,
  ],
  ['a file through a symlink', (canary) => [symlink('s', canary), file('s/x')], /openat2 s: ENOENT/],
  [
    'a chain of symlinks',
    (canary) => [symlink('a', 'b'), symlink('b', canary), file('a/x')],
    /openat2 a: ENOENT/,
  ],
  ['a circle of symlinks', () => [symlink('a', 'b'), symlink('b', 'a'), file('a/x')], /openat2 a: ELOOP/],
  [
    'a directory replaced',
    (canary) => [directory('d'), symlink('d', canary), file('d/x')],
    /openat2 d: ENOENT/,
  ],
  ['a whiteout through a symlink', (canary) => [symlink('s', canary), file('s/.wh.directory')], /ENOENT/],
  ['an opaque symlink', (canary) => [symlink('s', canary), file('s/.wh..wh..opq')], /ENOENT/],
  ['a link before its target', () => [link('h', 'f'), file('f')], /nothing to link to at f/],
  ['a link to a directory', () => [directory('d'), link('h', 'd')], /a hard link to the directory d/],
  ['a file below a file', () => [file('a'), file('a/b')], /openat2 a: ENOTDIR/],
  ...['.wh.', '.wh..', '.wh...', 'd/.wh...'].map(
    (name) => [name, () => [file(name)], /whiteout of nothing/] as const,
  ),
  ['inside of a whiteout', () => [file('.wh.d/x')], /inside of a whiteout/],
  ['a name of 256 bytes', () => named('n'.repeat(256)), /ENAMETOOLONG/],
  ...[4096, 65_536, 1_000_000].map(
    (length) =>
      [
        `a path of ${length} bytes`,
        () => named(`${'d/'.repeat(length / 2 - 1)}xx`),
        /is not a path/,
      ] as const,
  ),
  ['a GNU name of 70,000 bytes', () => [gnuLong('L', 'n'.repeat(70_000)), file('x')], /is not a path/],
  ['NUL in a name', () => named('a\0b'), /is not a path/],
  ['NUL in a target', () => [paxEntry([['linkpath', 'a\0b']]), symlink('s', '')], /is not a path/],
  ...[
    '5 a=b\n',
    '7 a=b\n',
    '0 a=b\n',
    '-6 a=b\n',
    `${'9'.repeat(30)} a=b\n`,
    '6 a=b',
    '6 ab\n\n',
    '3 =\n',
    '\n',
  ].map(
    (record) =>
      [`PAX ${JSON.stringify(record)}`, () => pax(record), /PAX header has no record at its byte 0/] as const,
  ),
  ['PAX bytes behind a record', () => pax(`${paxRecord('a', 'b')}\0\0`), /no record at its byte 6/],
  [
    'a PAX header of 10 MiB',
    () => pax(paxRecord('comment', 'c'.repeat(10 << 20))),
    /Header exceeds max size/,
  ],
  [
    'a PAX header that is not there',
    () => [tarEntry({ name: 'p', typeflag: 'x', size: 2 ** 40 })],
    /Header exceeds/,
  ],
  ...['-1', '1e3', '0x10', 'abc', '1.5', '9'.repeat(17), '9007199254740993'].map(
    (size) => [`size ${size}`, () => [paxEntry([['size', size]]), file('x')], /size/] as const,
  ),
  ...['-1', '4294967295', '4294967296', '-2147483649'].map(
    (uid) =>
      [
        `uid ${uid}`,
        () => [paxEntry([['uid', uid]]), file('x')],
        /its uid .* is no id of this system/,
      ] as const,
  ),
  ['a time that is none', () => [paxEntry([['mtime', '1e5']]), file('x')], /"1e5" is not a time/],
  ['a negative size', () => [tarEntry({ name: 'x', size: -1 })], /negative size/],
  ['a huge size', () => [tarEntry({ name: 'x', size: 2 ** 50 })], /cut off/],
  ['a size that is no number', () => [tarEntry({ name: 'x', size: 2 ** 62 })], /is not a number/],
  [
    'a mode that is no number',
    () => [tarEntry({ name: 'x', patches: [[100, 'abcdefg\0']] })],
    /mode.*not a number/,
  ],
  ['a device number', () => [tarEntry({ name: 'c', typeflag: '3', major: 5000 })], /device number 5000:0/],
  ['an unknown type', () => [tarEntry({ name: 'x', typeflag: 'Z' })], /its type "Z" is not supported/],
  [
    'a sparse map without data',
    () => [sparse('2000', '0,512'), tarEntry({ name: 'x' })],
    /fewer bytes than its map/,
  ],
  ['a sparse map with less', () => [sparse('2000', '0,1'), file('x')], /more bytes than its map/],
  ['a sparse map beyond the end', () => [sparse('3', '0,4'), file('x')], /up to byte 4 of 3/],
  ['a sparse map that overlaps', () => [sparse('20', '0,3,2,1'), file('x')], /overlap/],
  ['a sparse file of 8 PiB', () => [sparse('9007199254740000', '0,4'), file('x')], /EFBIG/],
  ['an attribute of 65,537 bytes', () => [xattr('user.a', 'v'.repeat(65_537)), file('x')], /65537 bytes/],
  ['an attribute with a long name', () => [xattr(`user.${'a'.repeat(251)}`, 'v'), file('x')], /256 bytes/],
  ['a capability that is none', () => [xattr('security.capability', 'x'), file('x')], /setxattr x: EINVAL/],
  [
    '60,000 attributes',
    () => [paxEntry(Array.from({ length: 60_000 }, (_, i) => [`SCHILY.xattr.u${i}`, ''])), file('x')],
    /more than \d+ bytes of extended attributes/,
  ],
];

daemonTest('archives that make no sense are refused, and their layer is as it was before', async (daemon) => {
  const around = await Surroundings.of(daemon);
  await daemon.client.create('layer');
  const before = await layerOnDisk(daemon, 'layer');
  for (const [what, make, text] of REFUSED) {
    const made = make(around.canary);
    const archive = made instanceof Uint8Array ? made : tarOf(...made);
    const status = what.includes('8 PiB') ? 507 : 400;
    await refused(daemon.client.applyDiff('layer', '', archive), status, text, what);
    await around.assertCanary(what);
  }
  assert.deepEqual(await layerOnDisk(daemon, 'layer'), before);
  await daemon.client.remove('layer');
  await around.assertUntouched();
});

/** What they leave in the layer. */
const TAKEN: Readonly<Record<string, (canary: string) => readonly [Entries, readonly string[]]>> = {
  'only zeros': () => [[], []],
  'an absolute name': () => [[file('/../../a')], ['a']],
  'a file onto a symlink': (canary) => [[symlink('s', `${canary}/directory/file`), file('s')], ['s']],
  'a directory onto a symlink': (canary) => [
    [symlink('s', canary), directory('s'), file('s/x')],
    ['s', 's/x'],
  ],
  'a hard link to a symlink': (canary) => [
    [
      symlink('s', `${canary}/directory/file`),
      tarEntry({ name: 'h', linkname: 's', typeflag: '1', mode: 0o7777 }),
    ],
    ['h', 's'],
  ],
  'through a symlink that stays inside': () => [
    [directory('etc'), symlink('s', '/etc'), file('s/x')],
    ['etc', 'etc/x', 's'],
  ],
  'through a symlink above the root': () => [
    [symlink('s', '../../..'), file('s/x')],
    ['s', 'x'],
  ],
  'an entry that changes its type': () => [
    [
      file('a'),
      directory('a'),
      file('a/b'),
      symlink('a', 'x'),
      tarEntry({ name: 'a', typeflag: '6' }),
      file('a', 'last'),
    ],
    ['a'],
  ],
  'whiteouts with odd names': () => [
    [file('.wh....'), file('.wh.a\\b'), file('.wh..wh.plnk/x'), file('.wh..wh.aufs'), file('.wh..wh..opq')],
    ['...', 'a\\b'],
  ],
  'names of 255 bytes and of 4,095': () => [
    [...named('n'.repeat(255)), ...named(`${'d/'.repeat(20)}${'n'.repeat(200)}`)],
    [
      'n'.repeat(255),
      ...Array.from({ length: 20 }, (_, i) => `d${'/d'.repeat(i)}`),
      `${'d/'.repeat(20)}${'n'.repeat(200)}`,
    ],
  ],
  'times far away': () => [
    [
      paxEntry([['mtime', '-999999999999999']]),
      file('a'),
      paxEntry([['mtime', '999999999999999.5']]),
      file('b'),
    ],
    ['a', 'b'],
  ],
  'attributes of another system': () => [
    [xattr('system.nfs4_acl', 'x'), file('a'), xattr('user.a', 'x'), symlink('b', 'x')],
    ['a', 'b'],
  ],
  'attributes of overlayfs': () => [[xattr('trusted.overlay.redirect', '/etc'), directory('d')], ['d']],
  'a header in front of nothing': () => [[paxEntry([['path', 'x']])], []],
};

daemonTest('archives that want out stay inside of their layer', async (daemon) => {
  const around = await Surroundings.of(daemon);
  for (const [what, make] of Object.entries(TAKEN)) {
    const [entries, names] = make(around.canary);
    await daemon.client.create('layer');
    await daemon.client.applyDiff('layer', '', tarOf(...entries));
    const found = await namesBelow(join(daemon.home, 'layer/diff'));
    assert.deepEqual(found.sort(), [...names].sort(), what);
    await around.assertCanary(what);
    await daemon.client.remove('layer');
  }
  await around.assertUntouched();
});

daemonTest('an archive that is cut anywhere inside an entry leaves its layer as it was', async (daemon) => {
  const around = await Surroundings.of(daemon);
  const random = new Random();
  const entries = [
    ...named('a/long/name'),
    directory('d'),
    file('d/f', 'x'.repeat(2000)),
    gnuLong('L', 'g'.repeat(200)),
    file('x'),
    symlink('s', 'd/f'),
    link('h', 'd/f'),
    file('d/.wh.gone', ''),
  ];
  const archive = tarOf(...entries);
  await daemon.client.create('layer');
  const before = await layerOnDisk(daemon, 'layer');
  const end = archive.length - 1024;
  const whole = endsOf(entries);
  const blocks = Array.from({ length: end / 512 }, (_, block) => block * 512);
  const cuts = [...blocks, ...Array.from({ length: 20 }, () => 1 + random.below(end - 1))];
  for (const cut of cuts.filter((at) => !whole.has(at))) {
    const what = `cut at ${cut} of ${archive.length}, seed ${random.seed}`;
    await refused(
      daemon.client.applyDiff('layer', '', archive.subarray(0, cut)),
      400,
      /cut off after|empty/,
      what,
    );
  }
  assert.deepEqual(await layerOnDisk(daemon, 'layer'), before);
  await daemon.client.applyDiff('layer', '', archive.subarray(0, end));
  await daemon.client.remove('layer');
  await around.assertUntouched();
});

/** Where entries end. A long name belongs to the one behind it. */
function endsOf(entries: readonly Buffer[]): Set<number> {
  const ends = new Set<number>();
  let at = 0;
  for (const entry of entries) {
    at += entry.length;
    if (!'xL'.includes(String.fromCharCode(entry[156] ?? 0))) ends.add(at);
  }
  return ends;
}

daemonTest('20,000 entries, and directories deeper than any path is long', async (daemon) => {
  const around = await Surroundings.of(daemon);
  await daemon.client.create('many');
  await daemon.client.applyDiff(
    'many',
    '',
    tarOf(...Array.from({ length: 20_000 }, (_, i) => tarEntry({ name: `${i % 100}/${i}` }))),
  );
  assert.equal((await readdir(join(daemon.home, 'many/diff/7'))).length, 200);
  await deep(daemon, 4, 'deep');
  await refused(deep(daemon, 12, 'too-deep'), 400, /nested too deeply/);
  assert.deepEqual(await readdir(join(daemon.home, 'too-deep/diff')), []);
  for (const id of ['many', 'deep', 'too-deep']) await daemon.client.remove(id);
  await around.assertUntouched();
});

/** Each `times` 200 levels below the ones before, through symlinks that keep the names short. */
async function deep(daemon: Daemon, times: number, id: string): Promise<void> {
  const levels = 'd/'.repeat(200);
  const entries = Array.from({ length: times }, (_, i) => {
    const path = `${i === 0 ? '' : `s${i - 1}/`}${levels}`;
    return [paxEntry([['path', path]]), directory('x'), symlink(`s${i}`, ''), path] as const;
  });
  const archive = entries.flatMap(([name, made, , target], i) => [
    name,
    made,
    paxEntry([['linkpath', target]]),
    symlink(`s${i}`, 'x'),
  ]);
  await daemon.client.create(id);
  await daemon.client.applyDiff(id, '', tarOf(...archive));
}
