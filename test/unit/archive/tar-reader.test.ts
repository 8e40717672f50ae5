/** The reader, and with it what is relied on of tar-stream's exact version. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import fc from 'fast-check';

import { readTar } from '../../../src/archive/tar/reader.js';
import type { TarHeader } from '../../../src/archive/tar/header.js';
import type { ByteStream } from '../../../src/core/service.js';
import { chunked, gnuLong, paxEntry, putNumber, tarEntry, tarOf } from '../../fakes/tar-bytes.js';
import { headersOf, oldGnu } from '../../fakes/tar-entries.js';

type Read = Pick<TarHeader, 'name' | 'type' | 'size'> & { contents: string };

async function read(source: ByteStream): Promise<Read[]> {
  const entries: Read[] = [];
  for await (const { header, body } of readTar(source)) {
    const chunks: Uint8Array[] = [];
    for await (const chunk of body) chunks.push(chunk);
    const { name, type, size } = header;
    entries.push({ name, type, size, contents: Buffer.concat(chunks).toString('latin1') });
  }
  return entries;
}

const TREE = [
  tarEntry({ name: './', typeflag: '5' }),
  tarEntry({ name: 'empty' }),
  tarEntry({ name: 'a', body: 'x'.repeat(512) }),
  tarEntry({ name: 'b', body: 'hello' }),
  gnuLong('L', 'n'.repeat(503)),
  tarEntry({ name: 'n', body: 'y'.repeat(1500), magic: 'ustar  \0' }),
  paxEntry([['path', 'p'.repeat(495)]]),
  tarEntry({ name: 'p', typeflag: '2', linkname: 'b' }),
];

const TREE_READ: Read[] = [
  { name: './', type: 'directory', size: 0, contents: '' },
  { name: 'empty', type: 'file', size: 0, contents: '' },
  { name: 'a', type: 'file', size: 512, contents: 'x'.repeat(512) },
  { name: 'b', type: 'file', size: 5, contents: 'hello' },
  { name: 'n'.repeat(503), type: 'file', size: 1500, contents: 'y'.repeat(1500) },
  { name: 'p'.repeat(495), type: 'symlink', size: 0, contents: '' },
];

/** With the long name that belongs to it. */
const ENTRIES = [...TREE.slice(0, 4), Buffer.concat(TREE.slice(4, 6)), Buffer.concat(TREE.slice(6, 8))];

test('entries are the same, however the bytes are cut into chunks', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 1, max: 2000 }), { minLength: 1, maxLength: 20 }),
      async (sizes) => {
        assert.deepEqual(await read(chunked(tarOf(...TREE), ...sizes)), TREE_READ);
      },
    ),
    { numRuns: 50 },
  );
});

// tar-stream takes as many bytes as the next entry has for the contents of such a header, and what is behind for headers: with
// zeros there it would take the archive for ended, depending on how the bytes are cut.
test('a PAX or GNU header without contents says nothing, and loses nothing of what follows', async () => {
  const files = [
    tarEntry({ name: 'a', body: 'x'.repeat(1000) }),
    tarEntry({ name: 'b', body: Buffer.alloc(4096) }),
    tarEntry({ name: 'c', body: 'z' }),
  ];
  for (const typeflag of ['x', 'g', 'L', 'K']) {
    for (const size of [512, 700, 65536]) {
      const entries = await read(chunked(tarOf(tarEntry({ name: 'empty', typeflag }), ...files), size));
      const found = entries.map((entry) => `${entry.name} ${entry.contents.length}`);
      assert.deepEqual(found, ['a 1000', 'b 4096', 'c 1'], `${typeflag}, chunks of ${size}`);
    }
  }
});

test('a PAX or GNU header of a negative size is refused', async () => {
  for (const typeflag of ['x', 'g', 'L', 'K']) {
    const archive = tarOf(
      tarEntry({ name: 'negative', typeflag, size: -512 }),
      tarEntry({ name: 'a', body: 'x' }),
    );
    await assert.rejects(read(chunked(archive, 4096)), {
      code: 'invalid_argument',
      message: 'the archive cannot be read: the size in a PAX or GNU header is not a number of bytes',
    });
  }
});

test('an archive that is cut anywhere inside an entry is refused', async () => {
  const ends = ENTRIES.map((_, index) => Buffer.concat(ENTRIES.slice(0, index + 1)).length);
  const entries = Buffer.concat(TREE);
  for (let length = 1; length < entries.length; length += length % 512 === 0 ? 1 : 73) {
    if (ends.includes(length)) continue;
    await assert.rejects(
      read(chunked(entries.subarray(0, length), 600)),
      {
        code: 'invalid_argument',
        message: `the archive cannot be read: it is cut off after ${length} bytes`,
      },
      `${length} bytes`,
    );
  }
});

test('an archive may end with any entry: the blocks of zeros behind the last one are left out by many', async () => {
  for (let count = 1; count <= ENTRIES.length; count++) {
    const some = Buffer.concat(ENTRIES.slice(0, count));
    for (const size of [512, 600, some.length])
      assert.deepEqual(await read(chunked(some, size)), TREE_READ.slice(0, count));
  }
  const zeros = Buffer.alloc(512);
  assert.deepEqual(await read(chunked(Buffer.concat([...TREE, zeros]))), TREE_READ);
});

test('an empty body and garbage are refused, an archive of nothing is not', async () => {
  await assert.rejects(read(chunked(Buffer.alloc(0))), {
    code: 'invalid_argument',
    message: 'the archive cannot be read: it is empty',
  });
  const gzip = Buffer.concat([Buffer.from([0x1f, 0x8b, 8, 0]), Buffer.alloc(2000, 7)]);
  await assert.rejects(read(chunked(gzip)), { code: 'invalid_argument', message: /Invalid tar header/ });
  await assert.rejects(read(chunked(Buffer.from('hello'))), { code: 'invalid_argument' });
  assert.deepEqual(await read(chunked(Buffer.alloc(1024))), []);
  assert.deepEqual(await read(chunked(Buffer.alloc(512))), []);
});

test('bytes after the end are read and ignored', async () => {
  let taken = 0;
  async function* source(): AsyncGenerator<Uint8Array> {
    for await (const chunk of chunked(Buffer.concat([tarOf(...TREE), Buffer.alloc(5000, 'garbage')]), 333)) {
      taken += chunk.length;
      yield chunk;
    }
  }
  assert.deepEqual(await read(source()), TREE_READ);
  assert.equal(taken, tarOf(...TREE).length + 5000);
});

test('contents that nobody reads are skipped', async () => {
  const names = (await headersOf(...TREE)).map((h) => h.name);
  assert.deepEqual(
    names,
    TREE_READ.map((e) => e.name),
  );
});

test('a header with a wrong sum is refused', async () => {
  const broken = tarOf(...TREE);
  broken[513] = 1;
  await assert.rejects(read(chunked(broken)), { code: 'invalid_argument' });
});

test('types: links with a size store nothing, old directories end with a slash, others are unknown', async () => {
  const entries = await read(
    chunked(
      tarOf(
        tarEntry({ name: 'link', typeflag: '1', linkname: 'a', size: 4096 }),
        tarEntry({ name: 'old/', typeflag: '\0', magic: '' }),
        tarEntry({ name: 'file/', body: 'f' }),
        tarEntry({ name: 'contiguous', typeflag: '7', body: 'c' }),
        tarEntry({ name: 'strange', typeflag: 'V', body: 'volume' }),
      ),
    ),
  );
  assert.deepEqual(
    entries.map((e) => [e.name, e.type, e.contents]),
    [
      ['link', 'link', ''],
      ['old/', 'directory', ''],
      ['file/', 'file', 'f'],
      ['contiguous', 'file', 'c'],
      ['strange', 'unknown', 'volume'],
    ],
  );
});

test('a header of more than 4 MiB is refused', async () => {
  const header = Buffer.alloc(512);
  tarEntry({ name: 'pax', typeflag: 'x', size: 10 * 1024 * 1024 }).copy(header);
  await assert.rejects(read(chunked(Buffer.concat([header, Buffer.alloc(10 * 1024 * 1024)]), 65536)), {
    code: 'invalid_argument',
    message: /Header exceeds max size/,
  });
});

test('random bytes, and archives with random bytes in them, end in entries or a clear error', async () => {
  const whole = tarOf(
    ...TREE,
    oldGnu(
      [
        [0, 1],
        [2, 1],
        [4, 1],
        [6, 1],
        [8, 1],
      ],
      9,
      'abcde',
    ),
  );
  const damage = fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { minLength: 1, maxLength: 8 });
  await fc.assert(
    fc.asyncProperty(damage, fc.boolean(), async (changes, mendSums) => {
      const bytes = Buffer.from(whole);
      for (const [at, byte] of changes) bytes[at] = byte;
      if (mendSums) mend(bytes);
      try {
        await read(chunked(bytes, 999));
      } catch (error) {
        assert.equal(Reflect.get(error as object, 'code'), 'invalid_argument', String(error));
      }
    }),
    { numRuns: 300 },
  );
});

/** Right sums for the blocks that may be headers, so that damage gets past the check. */
function mend(bytes: Buffer): void {
  for (let at = 0; at < bytes.length; at += 512) {
    const block = bytes.subarray(at, at + 512);
    if (block.toString('latin1', 257, 262) !== 'ustar') continue;
    block.fill(' ', 148, 156);
    putNumber(
      block,
      block.reduce((a, b) => a + b, 0),
      148,
      8,
    );
  }
}

test('when the caller stops, the source is returned', async () => {
  for (const stop of ['return', 'throw', 'malformed'] as const) {
    let returned = false;
    async function* source(): AsyncGenerator<Uint8Array> {
      try {
        yield* chunked(tarOf(...TREE), 512);
        if (stop === 'malformed') yield Buffer.alloc(0);
      } finally {
        returned = true;
      }
    }
    const damaged = stop === 'malformed' ? chunkedDamage(source()) : source();
    await assert.doesNotReject(async () => {
      try {
        for await (const { header } of readTar(damaged)) {
          if (stop === 'return' && header.name === 'a') break;
          if (stop === 'throw' && header.name === 'a') throw new Error('of the caller');
        }
      } catch (error) {
        assert.notEqual(stop, 'return', String(error));
      }
    });
    await new Promise(setImmediate);
    assert.ok(returned, stop);
  }
});

async function* chunkedDamage(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let n = 0;
  for await (const chunk of source) yield n++ === 2 ? Buffer.alloc(512, 1) : chunk;
}

test('an abort ends the reading at once, also while the source is silent, and returns the source', async () => {
  const controller = new AbortController();
  let returned = false;
  const chunks = chunked(Buffer.concat(TREE), 512);
  const source: ByteStream = {
    [Symbol.asyncIterator]: () => ({
      next: async () => {
        const step = await chunks.next();
        return step.done === true ? new Promise<never>(() => setImmediate(() => controller.abort())) : step;
      },
      return: async () => {
        returned = true;
        return { done: true, value: undefined };
      },
    }),
  };
  const reading = (async () => {
    for await (const { body } of readTar(source, controller.signal)) for await (const _ of body) void _;
  })();
  await assert.rejects(reading, { code: 'aborted' });
  assert.ok(returned);
});

test('an abort while bytes after the end are awaited, and one before the start', async () => {
  const controller = new AbortController();
  const source: ByteStream = {
    async *[Symbol.asyncIterator]() {
      yield tarOf(...TREE);
      setImmediate(() => controller.abort());
      await new Promise(() => undefined);
    },
  };
  const read = async (): Promise<void> => {
    for await (const { body } of readTar(source, controller.signal)) for await (const _ of body) void _;
  };
  await assert.rejects(read(), { code: 'aborted' });
  await assert.rejects(read(), { code: 'aborted' });
});

test('a source that fails is told from an archive that is wrong', async () => {
  async function* source(): AsyncGenerator<Uint8Array> {
    yield TREE[0] ?? Buffer.alloc(0);
    throw new Error('ECONNRESET');
  }
  await assert.rejects(read(source()), {
    code: 'aborted',
    message: 'the archive was not sent whole: ECONNRESET',
  });
});
