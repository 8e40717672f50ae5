/** A way through a proxy to a server that speaks TLS: CONNECT (RFC 9110, section 9.3.6). */

import type { Socket } from 'node:net';

import { TransferFailure } from './failure.js';
import { buildConnector, Client } from './undici.js';
import type { Connector } from './undici.js';

/** `headers`: what the proxy wants to know of us. */
export function tunnelConnector(proxy: string, headers: Record<string, string>, timeout: number): Connector {
  const secure = buildConnector({ timeout });
  return (options, done) => {
    const { hostname, port } = options;
    openTunnel(proxy, `${hostname}:${port || '443'}`, headers, timeout).then(
      (httpSocket) => secure({ ...options, httpSocket }, done),
      (error: Error) => done(error, null),
    );
  };
}

async function openTunnel(
  proxy: string,
  target: string,
  headers: Record<string, string>,
  timeout: number,
): Promise<Socket> {
  // undici's own patience with a proxy that says nothing is five minutes, and nobody can cut that short.
  const client = new Client(proxy, { connect: { timeout }, headersTimeout: timeout });
  try {
    const { statusCode, socket } = await client.connect({
      path: target,
      headers: { ...headers, host: target },
    });
    if (statusCode === 200) return socket as Socket;
    socket.destroy();
    throw new TransferFailure('proxy', `the proxy answered ${statusCode} to CONNECT ${target}`);
  } finally {
    // The tunnel is no longer its own.
    void client.destroy();
  }
}
