/** The control server, asked by the command's own client. */

import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { test } from 'node:test';

import { ask } from '../../../src/cli/client.js';
import type { LayerId, LayerInfo } from '../../../src/core/model.js';
import type { LayerReport, LayerService } from '../../../src/core/service.js';
import { createControlServer } from '../../../src/frontends/control/server.js';
import { listening } from '../../fakes/listening.js';
import { fakeService } from '../../fakes/service.js';
import type { FakeService } from '../../fakes/service.js';

const REPORT: LayerReport = { id: 'a' as LayerId, state: 'failed', uses: 0, parent: null, cause: 'no link' };

async function withControl(
  methods: Partial<LayerService>,
  body: (question: (method: string, path: string) => Promise<unknown>, service: FakeService) => Promise<void>,
): Promise<void> {
  const service = fakeService(methods);
  const { path: socket, close } = await listening(createControlServer(service));
  try {
    await body((method, path) => ask(socket, method, path), service);
  } finally {
    await close();
  }
}

test('status and layers are told as they are', async () => {
  await withControl({ status: () => [['Layers', '1']], report: () => [REPORT] }, async (question) => {
    assert.deepEqual(await question('GET', '/status'), { Layers: '1' });
    assert.deepEqual(await question('GET', '/layers'), [REPORT]);
  });
  const repository = { repository: 'a.example.org', state: 'absent', holders: 0, cause: null, facts: null };
  await withControl({ repositories: async () => [repository] }, async (question) => {
    assert.deepEqual(await question('GET', '/repositories'), [repository]);
  });
});

test('one layer is told whole: what is known of it, a broken one with its cause', async () => {
  const info = {
    record: { id: 'a' },
    paths: { root: '/h/a' },
    lowers: ['/h/b/diff'],
  } as unknown as LayerInfo;
  await withControl({ report: () => [REPORT], stat: () => info }, async (question) => {
    assert.deepEqual(await question('GET', '/layer/a'), {
      ...REPORT,
      record: { id: 'a' },
      paths: { root: '/h/a' },
      lowers: ['/h/b/diff'],
    });
  });
  await withControl({ report: () => [REPORT], stat: () => undefined }, async (question) => {
    assert.deepEqual(await question('GET', '/layer/a'), REPORT);
    await assert.rejects(question('GET', '/layer/b'), { code: 'not_found', message: /layer b/ });
  });
});

test('repair repairs and tells what came of it', async () => {
  const methods = { repair: async () => undefined, report: () => [REPORT], stat: () => undefined };
  await withControl(methods, async (question, service) => {
    assert.deepEqual(await question('POST', '/repair/a'), REPORT);
    assert.deepEqual(service.calls[0], ['repair', 'a']);
  });
});

test('a layer that nobody uses is removed, and what it was is told', async () => {
  const methods = { remove: async () => undefined, report: () => [REPORT], stat: () => undefined };
  await withControl(methods, async (question, service) => {
    assert.deepEqual(await question('POST', '/remove/a'), REPORT);
    assert.ok(service.calls.some(([name, ...given]) => name === 'remove' && given.join() === 'a,alone'));
    await assert.rejects(question('POST', '/remove/b'), { code: 'not_found', message: /layer b/ });
  });
  for (const used of [{ uses: 1 }, { state: 'mounted' }]) {
    await withControl({ ...methods, report: () => [{ ...REPORT, ...used }] }, async (question, service) => {
      await assert.rejects(question('POST', '/remove/a'), { code: 'failed_precondition', message: /in use/ });
      assert.ok(!service.calls.some(([name]) => name === 'remove'));
    });
  }
});

test('questions that make no sense are refused by their class', async () => {
  await withControl({ report: () => [] }, async (question) => {
    await assert.rejects(question('GET', '/'), { code: 'not_found' });
    await assert.rejects(question('POST', '/status'), { code: 'not_found' });
    await assert.rejects(question('GET', '/constructor'), { code: 'not_found' });
    await assert.rejects(question('GET', '/layer/'), { code: 'invalid_argument' });
    await assert.rejects(question('GET', '/layer/..%2Fetc'), { code: 'invalid_argument' });
    await assert.rejects(question('GET', '/layer/%zz'), { code: 'invalid_argument' });
  });
});

test('without a daemon the answer says where none was found', async () => {
  await assert.rejects(ask('/nonexistent/socket', 'GET', '/status'), {
    code: 'unavailable',
    message: /no thinlayerd answers on \/nonexistent\/socket/,
  });
});

test('what is no thinlayerd is not taken for one', async () => {
  const server = createServer((_, response) => response.end('<html>'));
  const { path, close } = await listening(server);
  try {
    await assert.rejects(ask(path, 'GET', '/status'), { code: 'unavailable', message: /not JSON/ });
  } finally {
    await close();
  }
});
