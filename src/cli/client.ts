/** One question to the daemon's control socket. */

import { request } from 'node:http';

import { ThinlayerError } from '../core/errors.js';
import type { ErrorCode } from '../core/errors.js';

/** The JSON that the daemon answers. Rejects with the daemon's own error, or `unavailable` if none listens. */
export async function ask(socketPath: string, method: string, path: string): Promise<unknown> {
  const { status, text } = await exchange(socketPath, method, path);
  const body = parsed(socketPath, text);
  if (status === 200) return body;
  throw daemonError(body as { code: ErrorCode; message: string });
}

function exchange(
  socketPath: string,
  method: string,
  path: string,
): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    // One question, one connection: none is kept.
    const call = request({ socketPath, method, path, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', (cause) => reject(noDaemon(socketPath, cause)));
      response.on('end', () => {
        resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString('utf8') });
      });
    });
    call.on('error', (cause) => reject(noDaemon(socketPath, cause)));
    call.end();
  });
}

function parsed(socketPath: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw noDaemon(socketPath, new Error('its answer is not JSON', { cause }));
  }
}

function daemonError({ code, message }: { code: ErrorCode; message: string }): ThinlayerError {
  return new ThinlayerError(code, message);
}

function noDaemon(socketPath: string, cause: Error): ThinlayerError {
  return new ThinlayerError(
    'unavailable',
    `no thinlayerd answers on ${socketPath} (${cause.message}); is it running, and is this its --control socket?`,
    { path: socketPath, cause },
  );
}
