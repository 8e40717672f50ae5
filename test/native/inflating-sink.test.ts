/** Streams that are inflated piece by piece, into memory that is used again. */

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { deflateSync } from 'node:zlib';

import fc from 'fast-check';

import { InflatingSink } from '../../src/cvmfs/embedded/fetch/inflating-sink.js';

const ROOM = 256 * 1024;

interface Inflated {
  readonly content: Buffer;
  readonly left: number;
}

/** Cut at these places; each chunk is copied as it comes. */
async function inflate(stored: Buffer, cuts: readonly number[]): Promise<Inflated> {
  const chunks: Buffer[] = [];
  const sink = new InflatingSink('aa/bb', {
    write: (chunk) => Promise.resolve(void chunks.push(Buffer.from(chunk))),
  });
  const places = [0, ...cuts.map((cut) => cut % (stored.length + 1)), stored.length].sort((a, b) => a - b);
  for (const [i, place] of places.entries()) await sink.write(stored.subarray(place, places[i + 1] ?? place));
  const left = await sink.end();
  return { content: Buffer.concat(chunks), left };
}

/** Of all lengths around the room that there is, compressible and not. */
const contents = fc
  .tuple(fc.integer({ min: 0, max: 3 * ROOM }), fc.constantFrom(0, 1, 40, ROOM), fc.nat())
  .map(([length, period, seed]) =>
    period === 0 ? randomBytes(length) : Buffer.alloc(length, Buffer.alloc(period, `seed ${seed}`)),
  );

test('whatever the content is and wherever its stream is cut, it comes out as it was', async () => {
  const cuts = fc.array(fc.nat(), { maxLength: 12 });
  const levels = fc.integer({ min: 0, max: 9 });
  const runs = fc.asyncProperty(contents, levels, cuts, async (content, level, places) => {
    const inflated = await inflate(deflateSync(content, { level }), places);
    assert.deepEqual(inflated, { content, left: 0 });
  });
  await fc.assert(runs, { numRuns: 60 });
});

test('content that ends where the room does', async () => {
  for (const length of [ROOM - 1, ROOM, ROOM + 1, 2 * ROOM]) {
    const { content } = await inflate(deflateSync(Buffer.alloc(length, 7)), [5]);
    assert.equal(content.length, length);
  }
});

test('bytes after the end are counted, in whatever pieces they come', async () => {
  const stored = Buffer.concat([deflateSync(Buffer.alloc(2 * ROOM)), Buffer.alloc(100)]);
  assert.equal((await inflate(stored, [stored.length - 60, stored.length - 1])).left, 100);
});

test('a stream cut short anywhere is refused', async () => {
  const stored = deflateSync(randomBytes(1000));
  for (let length = 0; length < stored.length; length++) {
    const message = 'aa/bb is not a whole zlib stream: unexpected end of file';
    await assert.rejects(inflate(stored.subarray(0, length), [length / 2]), { op: 'verify', message });
  }
});

test('what is no zlib stream is refused with the reason', async () => {
  const wantsDictionary = deflateSync(Buffer.alloc(100), { dictionary: Buffer.from('dictionary') });
  const wrongSum = deflateSync(Buffer.alloc(100));
  wrongSum.writeUInt32BE(1, wrongSum.length - 4);
  for (const [stored, reason] of [
    [Buffer.from('no zlib stream'), /incorrect header check/],
    [wrongSum, /incorrect data check/],
    [wantsDictionary, /a dictionary is needed/],
  ] as const) {
    await assert.rejects(inflate(stored, []), { code: 'data_loss', op: 'verify', message: reason });
  }
});

test('a sink that fails ends it with its own error', async () => {
  const full = new Error('no room');
  const sink = new InflatingSink('aa/bb', { write: () => Promise.reject(full) });
  await assert.rejects(sink.write(deflateSync(Buffer.alloc(ROOM))), full);
});
