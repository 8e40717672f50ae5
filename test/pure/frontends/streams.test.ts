/** Archives on the wire: how they end well, how they break, and what the connection is good for afterwards. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { ThinlayerError } from '../../../src/core/errors.js';
import type { ErrorCode } from '../../../src/core/errors.js';
import type { ByteStream, LayerService } from '../../../src/core/service.js';
import { chunk, dockerApply } from '../../fakes/raw-connection.js';
import { signalled } from '../../fakes/signalled.js';
import { withDriver } from './driver.js';

const DIFF = 'GraphDriver.Diff';
const APPLY = dockerApply('id=a&parent=');

async function* stream(...parts: (string | Error)[]): ByteStream {
  for (const part of parts) {
    if (part instanceof Error) throw part;
    yield Buffer.from(part);
  }
}

function diffing(...parts: (string | Error)[]): Partial<LayerService> {
  return { diff: async () => stream(...parts), stat: () => undefined };
}

test('an archive comes whole, and the connection carries the next call', async () => {
  await withDriver(diffing('one ', '', 'two'), async ({ connect, service }) => {
    const connection = await connect();
    for (let i = 0; i < 2; i++) {
      connection.call(DIFF, { ID: 'a', Parent: 'b' });
      assert.deepEqual(await connection.answer(), { status: 200, body: 'one two', whole: true });
    }
    assert.deepEqual(service.calls[0], ['diff', 'a', 'b']);
    connection.close();
  });
});

test('a diff that is refused has a status', async () => {
  const diff = () => Promise.reject(new ThinlayerError('not_found', 'no layer a'));
  await withDriver({ diff }, async ({ connect }) => {
    const connection = await connect();
    connection.call(DIFF, { ID: 'a' });
    assert.deepEqual(await connection.answer(), { status: 404, body: '{"Err":"no layer a"}\n', whole: true });
    connection.close();
  });
});

test('a diff that fails before its first byte has a status', async () => {
  await withDriver(diffing('', new ThinlayerError('data_loss', 'bad disk')), async ({ connect }) => {
    const connection = await connect();
    connection.call(DIFF, { ID: 'a' });
    assert.deepEqual(await connection.answer(), { status: 500, body: '{"Err":"bad disk"}\n', whole: true });
    connection.close();
  });
});

test('a diff without a byte is an error, never an empty success', async () => {
  for (const parts of [[], [''], ['', '']]) {
    await withDriver(diffing(...parts), async ({ connect }) => {
      const connection = await connect();
      connection.call(DIFF, { ID: 'a' });
      const { status, body, whole } = await connection.answer();
      assert.deepEqual({ status, whole }, { status: 500, whole: true });
      assert.match(body, /came out empty/);
      connection.call('GraphDriver.Exists', { ID: 'a' });
      assert.equal((await connection.answer()).status, 200);
      connection.close();
    });
  }
});

test('a diff that fails in the middle cuts the connection', async () => {
  await withDriver(
    diffing('begin', new ThinlayerError('data_loss', 'bad disk')),
    async ({ connect, logged }) => {
      const connection = await connect();
      connection.call(DIFF, { ID: 'a' });
      const { status, whole } = await connection.answer();
      assert.ok(status === 200 || status === 0);
      assert.equal(whole, false);
      assert.equal(logged[0]?.error?.message, 'bad disk');
      const other = await connect();
      other.call('GraphDriver.Exists', { ID: 'a' });
      assert.equal((await other.answer()).status, 200);
      other.close();
    },
  );
});

test('a reader that goes away in the middle of a diff ends the work', async () => {
  const aborted = signalled();
  const returned = signalled();
  const endless = async function* (): ByteStream {
    try {
      for (;;) yield Buffer.alloc(64 * 1024);
    } finally {
      returned.signal();
    }
  };
  const diff: LayerService['diff'] = async (_id, _parent, cancel) => {
    cancel?.signal?.addEventListener('abort', () => aborted.signal());
    return endless();
  };
  await withDriver({ diff, stat: () => undefined }, async ({ connect }) => {
    const connection = await connect();
    connection.call(DIFF, { ID: 'a' });
    await new Promise((resolve) => connection.socket.once('data', resolve));
    connection.close();
    await Promise.all([aborted.promise, returned.promise]);
    const other = await connect();
    other.call('GraphDriver.Exists', { ID: 'a' });
    assert.equal((await other.answer()).status, 200);
    other.close();
  });
});

test('no chunk is asked for before the last one is with the kernel: its memory may be filled anew then', async () => {
  const lines = Array.from({ length: 200 }, (_, i) => `${i}`.padStart(8191, '.') + '\n');
  const inOneMemory = async function* (): ByteStream {
    const memory = Buffer.alloc(8192);
    for (const line of lines) {
      memory.write(line);
      yield memory;
    }
  };
  await withDriver({ diff: async () => inOneMemory(), stat: () => undefined }, async ({ connect }) => {
    const connection = await connect();
    connection.socket.pause();
    connection.call(DIFF, { ID: 'a' });
    // Time enough for the server to send all, if it would.
    const other = await connect();
    for (let i = 0; i < 300; i++) {
      other.call('GraphDriver.Exists', { ID: 'a' });
      await other.answer();
    }
    other.close();
    connection.socket.resume();
    assert.equal((await connection.answer()).body, lines.join(''));
    connection.close();
  });
});

test('a caller that goes away before its diff begins ends the work', async () => {
  const begun = signalled();
  const aborted = signalled();
  const diff: LayerService['diff'] = (_id, _parent, cancel) => {
    begun.signal();
    return new Promise((_, reject) => {
      cancel?.signal?.addEventListener('abort', () => {
        aborted.signal();
        reject(new ThinlayerError('aborted', 'gone'));
      });
    });
  };
  await withDriver({ diff }, async ({ connect }) => {
    const connection = await connect();
    connection.call(DIFF, { ID: 'a' });
    await begun.promise;
    connection.close();
    await aborted.promise;
  });
});

/** Reads the archive, and tells how that ended. */
function applying(): { methods: Partial<LayerService>; ended: Promise<string>; aborted: Promise<void> } {
  const ended = signalled<string>();
  const aborted = signalled();
  const applyDiff: LayerService['applyDiff'] = async (_id, _parent, tar, cancel) => {
    cancel?.signal?.addEventListener('abort', () => aborted.signal());
    let text = '';
    try {
      for await (const part of tar) text += Buffer.from(part).toString();
      ended.signal(text);
    } catch (error) {
      ended.signal(`failed after ${text}`);
      throw error;
    }
    return text.length;
  };
  return { methods: { applyDiff, stat: () => undefined }, ended: ended.promise, aborted: aborted.promise };
}

test('an archive is read to its end', async () => {
  const { methods, ended } = applying();
  await withDriver(methods, async ({ connect, service }) => {
    const connection = await connect();
    connection.send(dockerApply('id=a&parent=b'), chunk('one '), chunk('two'), chunk(''));
    assert.equal((await connection.answer()).body, '{"Size":7}\n');
    assert.equal(await ended, 'one two');
    assert.deepEqual(service.calls, [['applyDiff', 'a', 'b']]);
    connection.close();
  });
});

test('a caller that goes away in the middle of an apply ends the work, and the server serves on', async () => {
  const { methods, ended, aborted } = applying();
  await withDriver(methods, async ({ connect }) => {
    const connection = await connect();
    connection.send(APPLY, chunk('half'));
    await new Promise((resolve) => connection.socket.write(chunk(' of it'), resolve));
    connection.close();
    assert.match(await ended, /^failed after/);
    await aborted;
    const other = await connect();
    other.call('GraphDriver.Exists', { ID: 'a' });
    assert.equal((await other.answer()).status, 200);
    other.close();
  });
});

/** An apply that is refused after it read so many chunks. */
function refusing(code: ErrorCode, chunks: number): Partial<LayerService> {
  const applyDiff: LayerService['applyDiff'] = async (_id, _parent, tar) => {
    let left = chunks;
    if (left > 0) for await (const part of tar) if (part.length > 0 && --left <= 0) break;
    throw new ThinlayerError(code, 'refused');
  };
  return { applyDiff, stat: () => undefined };
}

for (const chunks of [0, 1, 2]) {
  test(`an apply that is refused after ${chunks} chunks is answered, and its connection carries the next call`, async () => {
    await withDriver(refusing('failed_precondition', chunks), async ({ connect }) => {
      const connection = await connect();
      connection.send(APPLY, chunk('x'.repeat(512)), chunk('y'), chunk('z'.repeat(300_000)));
      const { status, body } = await connection.answer();
      assert.deepEqual([status, body], [412, '{"Err":"refused"}\n']);
      connection.send(chunk('the rest'), chunk(''));
      connection.call('GraphDriver.Exists', { ID: 'a' });
      assert.equal((await connection.answer()).body, '{"Exists":false}\n');
      connection.close();
    });
  });
}

test('a service that reads no further makes the sender wait', async () => {
  const reading = signalled();
  const goOn = signalled();
  const applyDiff: LayerService['applyDiff'] = async (_id, _parent, tar) => {
    let size = 0;
    for await (const part of tar) {
      if (size === 0) {
        reading.signal();
        await goOn.promise;
      }
      size += part.length;
    }
    return size;
  };
  await withDriver({ applyDiff, stat: () => undefined }, async ({ connect }) => {
    const connection = await connect();
    const part = chunk('x'.repeat(64 * 1024));
    connection.send(APPLY, ...Array.from({ length: 128 }, () => part), chunk(''));
    await reading.promise;
    // Time enough for the server to take all, if it would.
    const other = await connect();
    for (let i = 0; i < 30; i++) {
      other.call('GraphDriver.Exists', { ID: 'a' });
      await other.answer();
    }
    other.close();
    assert.ok(connection.socket.writableLength > 0);
    goOn.signal();
    assert.equal((await connection.answer()).body, `{"Size":${128 * 64 * 1024}}\n`);
    connection.close();
  });
});
