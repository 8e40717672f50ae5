/** Damage to a valid archive, of the kinds that parsers and unpackers trip over. Sums of headers are made right again. */

import { oldGnu } from '../fakes/tar-entries.js';
import { gnuLong, paxEntry, tarEntry, tarOf } from '../fakes/tar-bytes.js';
import type { Random } from './random.js';

const BLOCK = 512;

/** One of everything; `canary` is a directory that nobody may reach. */
export function seedArchive(canary: string): Buffer {
  const link = (name: string, linkname: string, typeflag: string) => tarEntry({ name, linkname, typeflag });
  const sparse1 = '2\n0\n3\n700\n2\n'.padEnd(BLOCK, '\0');
  return tarOf(
    tarEntry({ name: 'd/', typeflag: '5', mode: 0o755, mtime: 1 }),
    tarEntry({ name: 'd/f', body: 'f'.repeat(700), uid: 5 }),
    link('s', 'd', '2'),
    link('out', canary, '2'),
    tarEntry({ name: 's/through', body: 'x' }),
    link('h', 'd/f', '1'),
    paxEntry([
      ['path', 'p/long/name'],
      ['mtime', '12.5'],
      ['SCHILY.xattr.user.a', 'v'],
      ['uid', '70000'],
    ]),
    tarEntry({ name: 'x', body: 'pax' }),
    gnuLong('L', 'g/'.repeat(60)),
    gnuLong('K', 'k'.repeat(120)),
    link('x', 'y', '2'),
    tarEntry({ name: 'c', typeflag: '3', major: 1, minor: 3 }),
    tarEntry({ name: 'fifo', typeflag: '6' }),
    tarEntry({ name: 'd/.wh.gone' }),
    tarEntry({ name: 'q/.wh..wh..opq' }),
    oldGnu(
      [
        [0, 3],
        [600, 4],
      ],
      1000,
      'abcdefg',
    ),
    paxEntry([
      ['GNU.sparse.major', '1'],
      ['GNU.sparse.minor', '0'],
      ['GNU.sparse.name', 'sparse'],
      ['GNU.sparse.realsize', '1000'],
    ]),
    tarEntry({ name: 'GNUSparseFile.0/sparse', body: `${sparse1}abcde` }),
  );
}

type Mutation = (archive: Buffer, random: Random, canary: string) => Buffer;

/** Offset and length of the fields of a header block. */
const NUMBERS = [
  [100, 8],
  [108, 8],
  [116, 8],
  [124, 12],
  [136, 12],
  [329, 8],
  [337, 8],
  [386, 12],
  [483, 12],
] as const;
const TYPES = '01234567gxLKSDVN\0Z'.split('');
const NUMBER_TEXTS = [
  '',
  '0',
  '77777777777',
  '1',
  '7',
  '00000001000',
  '-1',
  '9',
  '\x80\x00\x00\x00\x00\x00\x00\x01',
  '\xff\xff\xff\xff\xff\xff\xff\xfe',
  '\x80\x7f\xff\xff\xff\xff\xff\xff',
];
const NAMES = [
  '..',
  '../x',
  '/',
  '.',
  '',
  'd',
  'd/..',
  's',
  'out/file',
  'out/directory',
  'out',
  'd/f',
  '.wh.d',
  '.wh..',
  '.wh..wh..opq',
  's/.wh.f',
  'out/.wh.directory',
  'a/../../b',
  'h',
  '\xff',
  'p/long/name/x',
];

const MUTATIONS: readonly Mutation[] = [
  (archive, random) => flipped(archive, random),
  (archive, random) => withHeader(archive, random, (header) => flipped(header, random)),
  (archive, random) => field(archive, random, random.pick(NUMBERS), random.pick(NUMBER_TEXTS)),
  (archive, random) => field(archive, random, [156, 1], random.pick(TYPES)),
  (archive, random, canary) =>
    field(archive, random, [0, 100], random.pick([...NAMES, canary, `${canary}/x`])),
  (archive, random, canary) =>
    field(archive, random, [157, 100], random.pick([...NAMES, canary, `${canary}/directory/file`])),
  (archive, random) => archive.subarray(0, random.below(archive.length)),
  (archive, random) => moved(archive, random, true),
  (archive, random) => moved(archive, random, false),
  (archive, random) =>
    spliced(archive, random.below(archive.length), 0, Buffer.alloc(BLOCK, random.below(256))),
  (archive, random) => spliced(archive, random.below(archive.length), 1 + random.below(600), Buffer.alloc(0)),
  (archive, random) => digits(archive, random),
];

/** One to four damages; the same for the same `random`. */
export function mutated(archive: Buffer, random: Random, canary: string): Buffer {
  let result: Buffer = Buffer.from(archive);
  for (let count = 1 + random.below(4); count > 0 && result.length > 0; count--) {
    result = random.pick(MUTATIONS)(result, random, canary);
  }
  return result;
}

function flipped(bytes: Buffer, random: Random): Buffer {
  const copy = Buffer.from(bytes);
  for (let count = 1 + random.below(4); count > 0; count--)
    copy[random.below(copy.length)] = random.below(256);
  return copy;
}

/** A digit somewhere becomes another: lengths of PAX records, sparse maps. */
function digits(archive: Buffer, random: Random): Buffer {
  const copy = Buffer.from(archive);
  const start = random.below(copy.length);
  const at = copy.findIndex((byte, index) => index >= start && byte >= 0x30 && byte <= 0x39);
  if (at >= 0) copy[at] = 0x30 + random.below(10);
  return copy;
}

/** Blocks that have a header's sum. */
function headersIn(archive: Buffer): number[] {
  const offsets = Array.from({ length: Math.floor(archive.length / BLOCK) }, (_, block) => block * BLOCK);
  return offsets.filter(
    (at) =>
      archive[at] !== 0 && archive.subarray(at, at + BLOCK).equals(summed(archive.subarray(at, at + BLOCK))),
  );
}

function withHeader(archive: Buffer, random: Random, change: (header: Buffer) => Buffer): Buffer {
  const headers = headersIn(archive);
  if (headers.length === 0) return archive;
  const at = random.pick(headers);
  return spliced(archive, at, BLOCK, summed(change(archive.subarray(at, at + BLOCK))));
}

function field(
  archive: Buffer,
  random: Random,
  [at, length]: readonly [number, number],
  text: string,
): Buffer {
  return withHeader(archive, random, (header) =>
    spliced(header, at, length, Buffer.from(text.padEnd(length, '\0').slice(0, length), 'latin1')),
  );
}

/** From one header to the next, put elsewhere. */
function moved(archive: Buffer, random: Random, keep: boolean): Buffer {
  const headers = headersIn(archive);
  if (headers.length < 2) return archive;
  const index = random.below(headers.length - 1);
  const [start, end] = [headers[index] ?? 0, headers[index + 1] ?? 0];
  const entry = archive.subarray(start, end);
  const rest = keep ? archive : spliced(archive, start, entry.length, Buffer.alloc(0));
  return spliced(rest, random.pick(headersIn(rest)), 0, entry);
}

function spliced(archive: Buffer, at: number, removed: number, inserted: Buffer): Buffer {
  return Buffer.concat([archive.subarray(0, at), inserted, archive.subarray(at + removed)]);
}

function summed(header: Buffer): Buffer {
  const copy = Buffer.from(header);
  copy.fill(' ', 148, 156);
  const sum = copy.reduce((total, byte) => total + byte, 0);
  copy.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return copy;
}
