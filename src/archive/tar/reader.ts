/** The entries of a tar that comes as a stream. */

import { ThinlayerError } from '../../core/errors.js';
import type { ByteStream } from '../../core/service.js';
import { TarInput } from './input.js';
import { TarParser } from './parser.js';
import type { TarEntry } from './parser.js';

/**
 * Each entry, in order. Rejects with `invalid_argument` if the archive is empty, malformed or cut off (the zero block
 * after the last entry is missing), with `aborted` if `signal` aborts or `source` fails. Bytes after the end are
 * read and ignored. However it ends, the iteration of `source` is finished, or `return` was called on it.
 */
export async function* readTar(source: ByteStream, signal?: AbortSignal): AsyncGenerator<TarEntry> {
  const input = new TarInput(source);
  const parser = new TarParser(input);
  const onAbort = (): void => input.interrupt(cancelled(signal));
  signal?.addEventListener('abort', onAbort);
  try {
    if (signal?.aborted) throw cancelled(signal);
    for (let entry = await parser.next(); entry; entry = await parser.next()) yield entry;
    while (await input.more()) continue;
  } finally {
    signal?.removeEventListener('abort', onAbort);
    input.close();
  }
}

function cancelled(signal: AbortSignal | undefined): ThinlayerError {
  return new ThinlayerError('aborted', 'unpacking was cancelled by its caller', {
    op: 'apply',
    cause: signal?.reason,
  });
}
