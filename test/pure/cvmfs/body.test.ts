import assert from 'node:assert/strict';
import { test } from 'node:test';

import fc from 'fast-check';

import { Body } from '../../../src/cvmfs/embedded/fetch/body.js';

function arrived(pieces: Buffer[]): Body {
  const body = new Body(() => assert.fail('nobody gave up'));
  for (const piece of pieces) body.push(piece);
  body.end();
  return body;
}

async function readAll(body: Body): Promise<Buffer[]> {
  const given: Buffer[] = [];
  for (let piece = await body.next(); piece; piece = await body.next()) given.push(piece);
  return given;
}

test('however a body is cut, it is read whole and in order, and nothing waits then', async () => {
  const sizes = fc.array(fc.oneof(fc.nat(3), fc.nat(200_000)), { maxLength: 40 });
  await fc.assert(
    fc.asyncProperty(sizes, async (lengths) => {
      const pieces = lengths.map((length, i) => Buffer.alloc(length, i + 1));
      const body = arrived(pieces);
      assert.deepEqual(Buffer.concat(await readAll(body)), Buffer.concat(pieces));
      assert.equal(body.waiting, 0);
    }),
    { numRuns: 200 },
  );
});

test('single bytes are read together, and count for the memory that they take until then', async () => {
  const body = arrived(Array.from({ length: 100_000 }, () => Buffer.from('x')));
  assert.ok(body.waiting > 10_000_000, `${body.waiting} bytes`);
  assert.deepEqual(
    (await readAll(body)).map((piece) => piece.length),
    [65_536, 34_464],
  );
});

test('a large piece is given as it came, not copied', async () => {
  const pieces: Buffer[] = [Buffer.alloc(65_000), Buffer.alloc(65_536), Buffer.alloc(1000)];
  const given = await readAll(arrived(pieces));
  assert.deepEqual(
    given.map((piece) => pieces.indexOf(piece)),
    [0, 1, 2],
  );
});

test('what came before a failure is read before it', async () => {
  const body = new Body(() => assert.fail('nobody gave up'));
  body.push(Buffer.from('first'));
  body.end(new Error('cut off'));
  assert.equal(String(await body.next()), 'first');
  await assert.rejects(body.next(), /cut off/);
});
