import assert from 'node:assert/strict';
import { test } from 'node:test';

import { ThinlayerError } from '../../../src/core/errors.js';
import { fromErrno, isErrno } from '../../../src/core/errno.js';
import { systemError } from '../../unit/host/system-error.js';

test('each errno has one code', () => {
  const codes = {
    ENOSPC: 'resource_exhausted',
    EDQUOT: 'resource_exhausted',
    ENOENT: 'not_found',
    EEXIST: 'already_exists',
    EBUSY: 'failed_precondition',
    EINVAL: 'invalid_argument',
    ENOSYS: 'unimplemented',
    EIO: 'data_loss',
    EUCLEAN: 'data_loss',
    ENOTCONN: 'unavailable',
    EINTR: 'aborted',
    EXYZ: 'internal',
  };
  for (const [errno, code] of Object.entries(codes))
    assert.equal(fromErrno(systemError(errno), { op: 'x' }).code, code, errno);
});

test('the error says what failed, on what, and what to do', () => {
  const cause = systemError('ENOSPC', 'write /home/x: ENOSPC (No space left on device)', '/home/x');
  const error = fromErrno(cause, { op: 'unpack', layer: 'abc' });
  assert.equal(
    error.message,
    'unpack of layer abc failed: write /home/x: ENOSPC (No space left on device); free space or inodes on the file system of /home/x, or raise its quota',
  );
  assert.deepEqual(
    [error.code, error.op, error.layer, error.path, error.cause],
    ['resource_exhausted', 'unpack', 'abc', '/home/x', cause],
  );
});

test('a path with $& in it is not taken for a pattern', () => {
  const error = fromErrno(systemError('EBUSY', 'umount', '/a$&b'), { op: 'unmount' });
  assert.match(error.message, /find out who uses \/a\$&b, and/);
});

test('the path of the context wins; without any the advice names the host', () => {
  assert.equal(fromErrno(systemError('EIO', 'x', '/a'), { op: 'read', path: '/b' }).path, '/b');
  assert.match(fromErrno(systemError('EIO'), { op: 'read' }).message, /file system of this host/);
});

test('errors of our own pass unchanged, foreign ones become internal', () => {
  const ours = new ThinlayerError('aborted', 'stop');
  assert.equal(fromErrno(ours, { op: 'x' }), ours);
  assert.equal(fromErrno(new TypeError('bug'), { op: 'x' }).code, 'internal');
  assert.equal(fromErrno(new DOMException('x', 'AbortError'), { op: 'x' }).code, 'aborted');
});

test('errors of Node itself are not system errors', () => {
  assert.ok(isErrno(systemError('ENOENT')));
  assert.ok(!isErrno(systemError('ERR_INVALID_ARG_TYPE')));
  assert.ok(!isErrno(null));
});
