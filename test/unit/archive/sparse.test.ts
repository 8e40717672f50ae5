import assert from 'node:assert/strict';
import { test } from 'node:test';

import { readTar } from '../../../src/archive/tar/reader.js';
import { segmentsOf } from '../../../src/archive/tar/sparse.js';
import { chunked, paxEntry, tarEntry, tarOf } from '../../fakes/tar-bytes.js';
import { headerOf, headersOf, oldGnu } from '../../fakes/tar-entries.js';

/** Contents with `-` for holes. */
async function sparseContents(...entries: readonly Uint8Array[]): Promise<string> {
  for await (const { header, body } of readTar(chunked(tarOf(...entries), 700))) {
    const file = Buffer.alloc(header.sparse?.size ?? header.size, '-');
    for await (const { offset, bytes } of segmentsOf(header.sparse, body)) file.set(bytes, offset);
    return file.toString('latin1');
  }
  throw new Error('no entry');
}

test('sparse files of the old GNU format, with blocks of further extents', async () => {
  for (const count of [1, 4, 5, 25, 26, 60]) {
    const extents = Array.from({ length: count }, (_, i) => [i * 3, 2] as const);
    const file = await sparseContents(oldGnu(extents, count * 3, 'ab'.repeat(count)));
    assert.equal(file, 'ab-'.repeat(count), `${count} extents`);
  }
  const [, after] = await headersOf(
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
    tarEntry({ name: 'next' }),
  );
  assert.equal(after?.name, 'next');
});

test('sparse files of the PAX formats 0.0, 0.1 and 1.0', async () => {
  const body = tarEntry({ name: 'GNUSparseFile.0/s', body: 'abcd' });
  const numbers: [string, string][] = [
    ['GNU.sparse.size', '8'],
    ['GNU.sparse.numblocks', '3'],
    ['GNU.sparse.offset', '1'],
    ['GNU.sparse.numbytes', '2'],
    ['GNU.sparse.offset', '5'],
    ['GNU.sparse.numbytes', '2'],
    ['GNU.sparse.offset', '8'],
    ['GNU.sparse.numbytes', '0'],
  ];
  assert.equal(await sparseContents(paxEntry(numbers), body), '-ab--cd-');
  const map: [string, string][] = [
    ['GNU.sparse.name', 's'],
    ['GNU.sparse.size', '8'],
    ['GNU.sparse.map', '1,2,5,2,8,0'],
  ];
  assert.equal(await sparseContents(paxEntry(map), body), '-ab--cd-');
  assert.equal((await headerOf(paxEntry(map), body)).name, 's');
  const list = '3\n1\n2\n5\n2\n8\n0\n'.padEnd(512, '\0');
  const inBody = paxEntry([
    ['GNU.sparse.major', '1'],
    ['GNU.sparse.minor', '0'],
    ['GNU.sparse.name', 's'],
    ['GNU.sparse.realsize', '8'],
  ]);
  assert.equal(await sparseContents(inBody, tarEntry({ name: 'x', body: `${list}abcd` })), '-ab--cd-');
  for (const bad of ['', 'x'.repeat(600), '2000000\n', '1\n1\n', `${list}abc`, `${list}abcde`]) {
    await assert.rejects(sparseContents(inBody, tarEntry({ name: 'x', body: bad })), {
      code: 'invalid_argument',
    });
  }
});

test('sparse maps that overlap, pass the end or have other than their bytes are refused', async () => {
  for (const [map, size] of [
    ['5,2,1,2', '8'],
    ['1,2,2,2', '8'],
    ['1,4', '4'],
    ['1', '8'],
    ['a,b', '8'],
    ['1,2', '8'],
    ['1,9', '20'],
  ] as const) {
    const pax = paxEntry([
      ['GNU.sparse.size', size],
      ['GNU.sparse.map', map],
    ]);
    await assert.rejects(
      sparseContents(pax, tarEntry({ name: 's', body: 'abcd' })),
      { code: 'invalid_argument' },
      map,
    );
  }
});
