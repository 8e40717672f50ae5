/** Places for sockets that cannot be, or are taken. */

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

import { listenOn } from '../../../src/host/unix-socket.js';

test('a path that the kernel has no room for is refused, not cut off', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'thinlayer-socket-'));
  t.after(() => rm(directory, { recursive: true }));
  const server = createServer();
  const longest = join(directory, 's'.repeat(107 - directory.length - 1));
  await assert.rejects(listenOn(server, `${longest}s`), {
    code: 'invalid_argument',
    message: /it has 108 bytes, a socket's path at most 107/,
  });
  assert.ok(!existsSync(longest));
  await listenOn(server, longest);
  assert.ok(existsSync(longest));
  server.close();
});
