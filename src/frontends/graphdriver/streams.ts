/** The two calls whose bodies are archives: they flow through with back-pressure and are never held whole. */

import type { IncomingMessage, ServerResponse } from 'node:http';

import { ThinlayerError } from '../../core/errors.js';
import { parseLayerId } from '../../core/model.js';
import type { LayerId } from '../../core/model.js';
import type { ByteStream, Cancel, LayerService } from '../../core/service.js';
import { CONTENT_TYPE, parseLayerCall, parseParent } from './wire.js';

/** `id` and `parent` come in the query string; dockerd does not escape them. */
export async function applyDiff(
  service: LayerService,
  query: URLSearchParams,
  request: IncomingMessage,
  cancel: Cancel,
): Promise<{ Size: number }> {
  const id = parseLayerId(query.get('id') ?? '');
  const parent = parseParent(query.get('parent') ?? '');
  // An early end must not destroy the request: its socket is needed for the answer.
  const body = request.iterator({ destroyOnReturn: false }) as ByteStream;
  const size = await service.applyDiff(id, parent, body, cancel);
  return { Size: size };
}

/**
 * An error before the first byte is the caller's to answer with a status. Later there is no way to tell one but to cut
 * the connection: an archive that ends well is taken for whole. One without a byte would be committed as an empty
 * layer, with success: every archive, also one of no files, has its end blocks.
 */
export async function diff(
  service: LayerService,
  fields: Readonly<Record<string, unknown>>,
  response: ServerResponse,
  cancel: Cancel,
): Promise<void> {
  const { id, parent } = parseLayerCall(fields);
  for await (const chunk of await service.diff(id, parent, cancel)) {
    if (chunk.length === 0) continue;
    if (!response.headersSent) response.writeHead(200, { 'Content-Type': CONTENT_TYPE });
    await sent(response, chunk);
  }
  if (!response.headersSent) throw emptyArchive(id);
  response.end();
}

function emptyArchive(id: LayerId): ThinlayerError {
  return new ThinlayerError(
    'internal',
    `the archive of layer ${id} came out empty; nothing was sent, so that no empty layer is made of it`,
    { op: 'diff', layer: id },
  );
}

/** Resolves when the kernel has the bytes: from then on their memory may hold others. */
function sent(response: ServerResponse, chunk: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    const leave = () => reject(callerLeft());
    response.once('close', leave);
    response.write(chunk, (error) => {
      response.off('close', leave);
      if (error) reject(callerLeft(error));
      else resolve();
    });
  });
}

function callerLeft(cause?: Error): ThinlayerError {
  return new ThinlayerError('aborted', 'the caller went away before it had the whole archive', {
    op: 'diff',
    cause,
  });
}
