/** What is done with a body as it arrives. */

import type { Hash } from 'node:crypto';
import { inflateSync } from 'node:zlib';

import type { ThinlayerError } from '../../../core/errors.js';
import { hasher, objectPath } from '../object-id.js';
import type { ObjectId } from '../object-id.js';
import { notWhole, refusal } from '../refusal.js';
import type { Sink } from '../sink.js';
import { InflatingSink } from './inflating-sink.js';
import type { Arriving } from './transfer.js';

export interface Encoding {
  /** As the server stores it. */
  readonly compressed: boolean;
  /** Uncompressed bytes: more are refused. */
  readonly size: number;
}

/** Uncompressed. Inflating that much holds up the event loop for a fraction of a millisecond. */
const SMALL_BYTES = 128 * 1024;

interface Inflated {
  readonly buffer: Buffer;
  readonly engine: { readonly bytesWritten: number };
}

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
 * Within bounded memory. Throws a refusal if the bytes are not those of the object's name, are no whole zlib stream, go
 * on after its end, or are more than `size` when inflated.
 */
export async function receiveObject(body: Arriving, id: ObjectId, how: Encoding, sink: Sink): Promise<void> {
  if (how.size <= SMALL_BYTES) await receiveSmall(body, id, how, sink);
  else await receiveLarge(body, id, how, sink);
}

/** At one go: the streams below would cost half a millisecond, more than all the rest of a small object. */
async function receiveSmall(body: Arriving, id: ObjectId, how: Encoding, sink: Sink): Promise<void> {
  const path = objectPath(id);
  const stored = await collect(body);
  checkHash(hasher(id.algorithm).update(stored), id);
  if (!how.compressed) return await sink.write(stored);
  // `info` makes it answer with the engine as well, which the types do not know.
  const options = { maxOutputLength: Math.max(how.size, 1), info: true };
  let inflated: Inflated;
  try {
    inflated = inflateSync(stored, options) as unknown as Inflated;
  } catch (error) {
    throw asRefusal(path, how.size, error);
  }
  checkEnd(stored.length - inflated.engine.bytesWritten, path);
  if (inflated.buffer.length > how.size) throw tooLarge(path, how.size);
  await sink.write(inflated.buffer);
}

/** Hashes, inflates and writes in one pass. */
async function receiveLarge(body: Arriving, id: ObjectId, how: Encoding, sink: Sink): Promise<void> {
  const path = objectPath(id);
  const hash = hasher(id.algorithm);
  const target = boundedSink(path, how.size, sink);
  const inflating = how.compressed ? new InflatingSink(path, target) : null;
  for await (const chunk of body) {
    hash.update(chunk);
    await (inflating ?? target).write(chunk);
  }
  const left = await inflating?.end();
  checkHash(hash, id);
  checkEnd(left ?? 0, path);
}

function checkHash(hash: Hash, id: ObjectId): void {
  if (hash.digest('hex') === id.hex) return;
  throw refusal(`${objectPath(id)} is not what its name says: its hash is another`);
}

function checkEnd(left: number, path: string): void {
  if (left > 0) throw refusal(`${path} has ${left} bytes after the end of its zlib stream`);
}

function tooLarge(path: string, size: number): ThinlayerError {
  return refusal(`${path} holds more than the ${size} bytes that its catalog says`);
}

function boundedSink(path: string, size: number, sink: Sink): Sink {
  let total = 0;
  return {
    async write(chunk) {
      total += chunk.length;
      if (total > size) throw tooLarge(path, size);
      await sink.write(chunk);
    },
  };
}

/** What zlib says of a stranger's bytes as a refusal; other failures unchanged. */
function asRefusal(path: string, size: number, error: unknown): unknown {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (code === 'ERR_BUFFER_TOO_LARGE') return tooLarge(path, size);
  return code.startsWith('Z_') ? notWhole(path, (error as Error).message, error) : error;
}
