import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

import { asThinlayerError, ThinlayerError, undone } from '../../../src/core/errors.js';
import {
  controlSocketOf,
  DEFAULT_CONTROL_SOCKET,
  DEFAULT_SOCKET,
  stateFileOf,
} from '../../../src/core/places.js';
import { VERSION } from '../../../src/core/version.js';

test('a ThinlayerError stays what it is', () => {
  const error = new ThinlayerError('not_found', 'no a', { op: 'get', layer: 'a', path: '/a', cause: 1 });
  assert.equal(asThinlayerError(error, { op: 'other' }), error);
  const { code, op, layer, path, cause, name } = error;
  assert.deepEqual(
    { code, op, layer, path, cause, name },
    { code: 'not_found', op: 'get', layer: 'a', path: '/a', cause: 1, name: 'ThinlayerError' },
  );
});

test('a foreign failure is internal, with its message and as the cause', () => {
  const bug = new TypeError('x is not a function');
  const error = asThinlayerError(bug, { op: 'get', layer: 'a' });
  assert.deepEqual(
    [error.code, error.message, error.layer, error.cause],
    ['internal', 'x is not a function', 'a', bug],
  );
  assert.equal(asThinlayerError('a text').message, 'a text');
  assert.equal(asThinlayerError(undefined).code, 'internal');
});

test('an abort is aborted', () => {
  const { reason } = AbortSignal.abort() as { reason: unknown };
  const error = asThinlayerError(reason, { op: 'diff' });
  assert.deepEqual([error.code, error.message], ['aborted', 'diff was cancelled by its caller']);
});

test('undone tells the failure, and a word of the undoing if that failed too', async () => {
  const failure = new ThinlayerError('unavailable', 'disk full', { op: 'apply', layer: 'a' });
  assert.equal(await undone(failure, () => Promise.resolve()), failure);
  const both = await undone(failure, () => Promise.reject(new Error('still busy')));
  assert.deepEqual(
    [both.code, both.message, both.op, both.layer, both.cause],
    ['unavailable', 'disk full; undoing it failed too: still busy', 'apply', 'a', failure],
  );
});

test('the version is that of package.json', () => {
  const text = readFileSync(new URL('../../../../package.json', import.meta.url), 'utf8');
  assert.equal(VERSION, (JSON.parse(text) as { version: string }).version);
});

test('places are named after the socket, and short enough for one', () => {
  assert.equal(controlSocketOf(DEFAULT_SOCKET), DEFAULT_CONTROL_SOCKET);
  assert.equal(stateFileOf('/run/a.sock'), '/var/lib/thinlayer/run-a.sock.init.json');
  const [one, other] = ['a', 'b'].map((end) => controlSocketOf(`/${'x'.repeat(200)}/${end}`));
  assert.ok(one && other && one !== other && one.length <= 107);
});
