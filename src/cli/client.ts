/** One question to the daemon's control socket. */

import { request } from 'node:http';

import { ThinlayerError } from '../core/errors.js';
import type { ErrorCode } from '../core/errors.js';

/** The JSON that the daemon answers. Rejects with the daemon's own error, or `unavailable` if none listens. */
export function ask(socketPath: string, method: string, path: string): Promise<unknown> {
  return new Promise((resolve, reject) => {
    // One question, one connection: none is kept.
    const call = request({ socketPath, method, path, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        const body = JSON.parse(Buffer.concat(chunks).toString('utf8')) as unknown;
        if (response.statusCode === 200) resolve(body);
        else reject(daemonError(body as { code: ErrorCode; message: string }));
      });
    });
    call.on('error', (cause) => reject(noDaemon(socketPath, cause)));
    call.end();
  });
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
