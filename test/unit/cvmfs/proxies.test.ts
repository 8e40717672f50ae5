/** Proxies that are asked for more than a URL. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { parseObjectPath } from '../../../src/cvmfs/embedded/object-id.js';
import { bareServer } from './bare-server.js';
import { clientOf } from './client.js';

const LOREM = parseObjectPath('a7/c6ba9c43bd648741cc22cdcb494f5eab68d2ed');
const HOW = { compressed: true, size: 30_000 };

test('a server of HTTPS is asked through a tunnel of the proxy, which may refuse', async (t) => {
  let asked = '';
  const proxy = await bareServer(t, (socket) =>
    socket.end('HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n'),
  );
  const hosts = ['https://secure.invalid'];
  const refusing = await clientOf(t, 'thin', hosts, { proxies: [[proxy]], maxRetries: 0 });
  await assert.rejects(refusing.objects.fetch(LOREM, HOW), {
    code: 'unavailable',
    message: /answered 403 to CONNECT secure\.invalid:443|403/,
  });
  const open = await bareServer(t, (socket) => {
    socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
    socket.once('data', (hello: Buffer) => {
      asked = hello.toString('latin1');
      socket.end('this is no TLS');
    });
  });
  const tunnelled = await clientOf(t, 'thin', hosts, { proxies: [[open]], maxRetries: 0 });
  await assert.rejects(tunnelled.objects.fetch(LOREM, HOW), {
    code: 'unavailable',
    message: /SSL|EPROTO|wrong version/i,
  });
  assert.ok(asked.includes('secure.invalid'), 'the name of the server is in the first message of TLS');
});

test('a proxy that never answers CONNECT is left as soon as a server that hangs', async (t) => {
  const silent = await bareServer(t, () => undefined);
  const client = await clientOf(t, 'thin', ['https://secure.invalid'], {
    proxies: [[silent]],
    maxRetries: 0,
  });
  const began = performance.now();
  await assert.rejects(client.objects.fetch(LOREM, HOW), { code: 'unavailable' });
  assert.ok(performance.now() - began < 5000);
});

test('the password of a proxy may have a % in it that is no escape', async (t) => {
  let header = '';
  const proxy = await bareServer(t, (socket, question) => {
    header = /proxy-authorization: Basic (\S+)/.exec(question.toString('latin1'))?.[1] ?? '';
    socket.end('HTTP/1.1 404 No\r\ncontent-length: 0\r\n\r\n');
  });
  const withUser = proxy.replace('http://', 'http://user:100%25%zz%c3%a9@');
  const client = await clientOf(t, 'thin', ['http://a.invalid'], { proxies: [[withUser]], maxRetries: 0 });
  await assert.rejects(client.objects.fetch(LOREM, HOW), { code: 'unavailable' });
  assert.equal(Buffer.from(header, 'base64').toString(), 'user:100%%zzé');
});
