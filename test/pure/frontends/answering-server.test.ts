import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { connect } from 'node:net';
import { test } from 'node:test';

import { AnsweringServer } from '../../../src/frontends/graphdriver/answering-server.js';
import { listening } from '../../fakes/listening.js';

/** A server that has been asked `count` things, and owes the answers. */
async function asked(count: number) {
  const responses: ServerResponse[] = [];
  const server = new AnsweringServer({}, (_, response) => void responses.push(response));
  const { path, close } = await listening(server);
  const sockets = Array.from({ length: count }, () => connect(path));
  for (const socket of sockets) {
    socket.resume().write('POST / HTTP/1.1\r\nHost: \r\nContent-Length: 0\r\n\r\n');
    await once(server, 'request');
  }
  let answered = false;
  const all = server.answered().then(() => (answered = true));
  return { responses, sockets, all, answered: () => answered, close };
}

test('answers are owed until the last of them is sent', async () => {
  const { responses, all, answered, close } = await asked(2);
  responses[0]?.end('one');
  await once(responses[0] as ServerResponse, 'close');
  assert.equal(answered(), false);
  responses[1]?.write('the half');
  responses[1]?.end('the rest');
  await all;
  await close();
});

test('nothing is owed to a caller who is gone, nor before the first question', async () => {
  const { sockets, all, close } = await asked(1);
  sockets[0]?.destroy();
  await all;
  await new AnsweringServer({}, () => undefined).answered();
  await close();
});
