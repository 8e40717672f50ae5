/**
 * The last Init, on disk. dockerd says it once at its own start; a plugin that restarts alone and forgot it could
 * only refuse every call until somebody restarts dockerd, with all that then stops.
 */

import { mkdir, open, readFile, rename } from 'node:fs/promises';
import { dirname } from 'node:path';

import { fromErrno } from '../../core/errno.js';
import { ThinlayerError } from '../../core/errors.js';
import { parseBody, parseInit } from './wire.js';
import type { InitRequest } from './wire.js';

/**
 * In the form of the wire, so that one parser reads both. The same again is not written: dockerd has to come up on a
 * full disk too.
 */
export async function saveInit(file: string, init: InitRequest): Promise<void> {
  const map = (maps: InitRequest['uids']) =>
    maps.map((m) => ({ container_id: m.containerId, host_id: m.hostId, size: m.size }));
  const body = JSON.stringify({
    Home: init.home,
    Opts: init.options,
    UIDMaps: map(init.uids),
    GIDMaps: map(init.gids),
  });
  try {
    if ((await read(file))?.toString() === body) return;
    await mkdir(dirname(file), { recursive: true, mode: 0o700 });
    await writeDurably(`${file}.tmp`, body);
    await rename(`${file}.tmp`, file);
  } catch (cause) {
    throw unusable(file, 'written', cause);
  }
}

async function writeDurably(file: string, body: string): Promise<void> {
  const handle = await open(file, 'w', 0o600);
  try {
    await handle.writeFile(body);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Null if there is none. Throws `data_loss` for a file that cannot be understood: then dockerd has to be restarted. */
export async function loadInit(file: string): Promise<InitRequest | null> {
  let body: Buffer | null;
  try {
    body = await read(file);
  } catch (error) {
    throw unusable(file, 'read', error);
  }
  if (body === null) return null;
  try {
    return parseInit(parseBody(body));
  } catch (cause) {
    throw new ThinlayerError(
      'data_loss',
      `${file}, the remembered Init, cannot be read: ${(cause as Error).message}; restart dockerd, which writes it anew`,
      { path: file, cause },
    );
  }
}

async function read(file: string): Promise<Buffer | null> {
  try {
    return await readFile(file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

function unusable(file: string, done: 'read' | 'written', cause: unknown): ThinlayerError {
  const { code, message } = fromErrno(cause, { op: 'remembering Init', path: file });
  return new ThinlayerError(
    code,
    `${file}, the remembered Init, cannot be ${done}: ${message}; see that this is a file of thinlayerd's own`,
    { path: file, cause },
  );
}
