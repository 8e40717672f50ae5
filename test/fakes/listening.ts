/** A server on a unix socket of its own, for one test. */

import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import type { Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Listening {
  readonly path: string;
  close(): Promise<void>;
}

export async function listening(server: Server): Promise<Listening> {
  const directory = mkdtempSync(join(tmpdir(), 'thinlayer-test-'));
  const path = join(directory, 'socket');
  server.listen(path);
  await once(server, 'listening');
  const close = async () => {
    server.close();
    server.closeAllConnections();
    await once(server, 'close');
    rmSync(directory, { recursive: true });
  };
  return { path, close };
}
