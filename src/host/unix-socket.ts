/** A server's place on the file system: one owner, mode 0600 from the first moment, no stale file in the way. */

import { once } from 'node:events';
import { lstatSync, mkdirSync, unlinkSync } from 'node:fs';
import { connect } from 'node:net';
import type { Server } from 'node:net';
import { dirname } from 'node:path';

import { ThinlayerError } from '../core/errors.js';

/** sockaddr_un has room for 108 bytes, the last of them a NUL: libuv cuts off what is longer, without a word. */
const MAX_PATH_BYTES = 107;

/**
 * Replaces a socket that nobody answers on (left by a killed process). Rejects with `failed_precondition` if
 * somebody does, or if the file is no socket.
 */
export async function listenOn(server: Server, path: string): Promise<void> {
  checkLength(path);
  mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
  if (await isStale(path)) unlinkSync(path);
  // bind() happens within listen(), and takes the mode from the umask: a chmod afterwards would leave a moment open to all.
  const before = process.umask(0o177);
  try {
    server.listen(path);
  } finally {
    process.umask(before);
  }
  await once(server, 'listening');
}

function checkLength(path: string): void {
  const bytes = Buffer.byteLength(path);
  if (bytes <= MAX_PATH_BYTES) return;
  const message = `cannot listen on ${path}: it has ${bytes} bytes, a socket's path at most ${MAX_PATH_BYTES}; name a shorter one`;
  throw new ThinlayerError('invalid_argument', message, { op: 'listen', path });
}

async function isStale(path: string): Promise<boolean> {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (!stat) return false;
  if (!stat.isSocket()) throw inTheWay(path, 'it is not a socket; name another path, or move that file away');
  const error = await connectionError(path);
  if (error === undefined) throw inTheWay(path, 'another process answers on it; stop that one first');
  if (error === 'ECONNREFUSED') return true;
  throw inTheWay(path, `connecting to it fails with ${error}`);
}

/** The errno name of a connection attempt; undefined if it succeeds. */
async function connectionError(path: string): Promise<string | undefined> {
  const socket = connect(path);
  try {
    await once(socket, 'connect');
    return undefined;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? 'an unknown error';
  } finally {
    socket.destroy();
  }
}

function inTheWay(path: string, why: string): ThinlayerError {
  return new ThinlayerError('failed_precondition', `cannot listen on ${path}: ${why}`, {
    op: 'listen',
    path,
  });
}
