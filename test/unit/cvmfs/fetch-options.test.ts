import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';

import type { ClientConfig } from '../../../src/cvmfs/embedded/config/client-config.js';
import { fetchOptions } from '../../../src/cvmfs/embedded/fetch-options.js';
import { parseObjectPath } from '../../../src/cvmfs/embedded/object-id.js';
import { clientOf, serverOf } from './client.js';

test('a time-out that is to be none in practice is none, and not over at once', async (t) => {
  const forever = 10_000_000;
  const network = {
    timeoutSeconds: forever,
    timeoutDirectSeconds: forever,
    maxRetries: 0,
    backoffInitSeconds: 2,
    backoffMaxSeconds: forever,
    lowSpeedLimit: 1024,
    proxyResetSeconds: null,
    hostResetSeconds: null,
  };
  const config = { servers: [], proxies: { groups: [], fallback: [] }, network } as Partial<ClientConfig>;
  const { timeoutMs, timeoutDirectMs, backoffMaxMs } = fetchOptions(config as ClientConfig);
  const server = await serverOf(t, 'thin/rev-1');
  // Longer than a timer that is over at once.
  server.misbehave = () => ({ until: delay(100) });
  const client = await clientOf(t, 'thin', [server.url], { timeoutMs, timeoutDirectMs, backoffMaxMs });
  const id = parseObjectPath('a7/c6ba9c43bd648741cc22cdcb494f5eab68d2ed');
  assert.ok(await client.objects.fetch(id, { compressed: true, size: 30_000 }));
});
