import assert from 'node:assert/strict';
import { test } from 'node:test';

import { primed } from '../../../actors/stream.js';
import type { ByteStream } from '../../../src/core/service.js';

class Closings {
  count = 0;
  readonly close = async () => void (this.count += 1);
}

async function* bytes(...texts: (string | Error)[]): ByteStream {
  for (const text of texts) {
    if (text instanceof Error) throw text;
    yield Buffer.from(text);
  }
}

async function read(stream: ByteStream): Promise<string> {
  let text = '';
  for await (const chunk of stream) text += Buffer.from(chunk).toString();
  return text;
}

test('all chunks come through, and the end closes once', async () => {
  const closings = new Closings();
  const stream = await primed(bytes('a', 'b', 'c'), closings.close);
  assert.equal(closings.count, 0);
  assert.equal(await read(stream), 'abc');
  assert.equal(await read(stream), '');
  assert.equal(closings.count, 1);
});

test('a failure before the first chunk rejects, closed', async () => {
  const closings = new Closings();
  await assert.rejects(primed(bytes(new Error('gone')), closings.close), /gone/);
  assert.equal(closings.count, 1);
});

test('a failure in the middle closes once and reaches the reader', async () => {
  const closings = new Closings();
  const stream = await primed(bytes('a', new Error('gone')), closings.close);
  await assert.rejects(read(stream), /gone/);
  assert.equal(closings.count, 1);
});

test('a reader that gives up ends the source and closes once', async () => {
  const closings = new Closings();
  let ended = false;
  const source = async function* () {
    try {
      yield* bytes('a', 'b');
    } finally {
      ended = true;
    }
  };
  for await (const chunk of await primed(source(), closings.close)) {
    assert.equal(Buffer.from(chunk).toString(), 'a');
    break;
  }
  assert.ok(ended);
  assert.equal(closings.count, 1);
});

test('after it was given up a stream is at its end', async () => {
  const closings = new Closings();
  const stream = await primed(bytes('a', 'b'), closings.close);
  await stream[Symbol.asyncIterator]().return?.();
  assert.equal(await read(stream), '');
  assert.equal(closings.count, 1);
});

test('a stream of nothing closes, too', async () => {
  const closings = new Closings();
  const stream = await primed(bytes(), closings.close);
  assert.equal(await read(stream), '');
  assert.equal(closings.count, 1);
});
