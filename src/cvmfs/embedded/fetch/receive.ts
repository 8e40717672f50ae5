/** What is done with a body as it arrives. */

import { Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createInflate } from 'node:zlib';

import { hasher, objectPath } from '../object-id.js';
import type { ObjectId } from '../object-id.js';
import { refusal } from '../refusal.js';
import type { Arriving } from './transfer.js';

/** Where verified content goes. What is written counts only when the whole object turned out right. */
export interface Sink {
  write(chunk: Buffer): Promise<void>;
}

export interface Encoding {
  /** As the server stores it. */
  readonly compressed: boolean;
  /** Uncompressed bytes: more are refused. */
  readonly size: number;
}

const INFLATE_CHUNK = 128 * 1024;

/** All of it; it must be small. */
export async function collect(body: Arriving): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** The most bytes that a server may need for an object: zlib at its worst, with other implementations in mind. */
export function storedBound({ compressed, size }: Encoding): number {
  return compressed ? size + Math.ceil(size / 8) + 1024 : size;
}

/**
 * Hashes and inflates in one pass, within bounded memory. Throws a refusal if the bytes are not those of the object's
 * name, are no whole zlib stream, go on after its end, or are more than `size` when inflated.
 */
export async function receiveObject(body: Arriving, id: ObjectId, how: Encoding, sink: Sink): Promise<void> {
  const path = objectPath(id);
  const hash = hasher(id.algorithm);
  let stored = 0;
  async function* hashed(): AsyncGenerator<Buffer> {
    for await (const chunk of body) {
      hash.update(chunk);
      stored += chunk.length;
      yield chunk;
    }
  }
  const source = Readable.from(hashed());
  const target = boundedWritable(path, how.size, sink);
  const inflate = createInflate({ chunkSize: INFLATE_CHUNK });
  try {
    await (how.compressed ? pipeline(source, inflate, target) : pipeline(source, target));
  } catch (error) {
    if (!isZlibError(error)) throw error;
    throw refusal(`${path} is not a whole zlib stream: ${error.message}`, error);
  } finally {
    inflate.destroy();
  }
  if (hash.digest('hex') !== id.hex) throw refusal(`${path} is not what its name says: its hash is another`);
  const left = how.compressed ? stored - inflate.bytesWritten : 0;
  if (left > 0) throw refusal(`${path} has ${left} bytes after the end of its zlib stream`);
}

function boundedWritable(path: string, size: number, sink: Sink): Writable {
  let total = 0;
  return new Writable({
    write(chunk: Buffer, _encoding, done) {
      total += chunk.length;
      if (total > size) done(refusal(`${path} holds more than the ${size} bytes that its catalog says`));
      else sink.write(chunk).then(() => done(), done);
    },
  });
}

function isZlibError(error: unknown): error is Error {
  return error instanceof Error && 'code' in error && String(error.code).startsWith('Z_');
}
