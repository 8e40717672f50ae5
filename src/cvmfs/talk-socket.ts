/** Asks a running cvmfs2 over the socket that `cvmfs_talk` uses: one command, one answer, then it closes the connection. */

import { connect } from 'node:net';

import { ThinlayerError } from '../core/errors.js';
import type { ErrorCode } from '../core/errors.js';

/** It answers in milliseconds; but one caller at a time, and a refresh before us waits for servers. */
const TIMEOUT_MS = 120_000;

/** Far above what the commands answer that we use. */
const MAX_ANSWER = 64 * 1024;

/** Nobody listens there: no such socket, one that a killed process left, or one whose process ended before it took the call. */
const NOBODY = new Set(['ENOENT', 'ECONNREFUSED', 'ECONNRESET', 'EPIPE']);

/** The answer without its last newline. Rejects with `not_found` if nobody listens there, else with `unavailable`. */
export function talk(socketPath: string, command: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = '';
    const socket = connect(socketPath, () => socket.end(command));
    const fail = (code: ErrorCode, reason: string) => {
      socket.destroy();
      reject(noAnswer(socketPath, command, code, reason));
    };
    socket.setEncoding('utf8').setTimeout(TIMEOUT_MS);
    socket.on('data', (text: string) => {
      answer += text;
      if (answer.length > MAX_ANSWER) fail('unavailable', `it answered more than ${MAX_ANSWER} characters`);
    });
    socket.on('timeout', () => fail('unavailable', `no answer within ${TIMEOUT_MS / 1000} s`));
    socket.on('error', (error: NodeJS.ErrnoException) =>
      fail(NOBODY.has(error.code ?? '') ? 'not_found' : 'unavailable', error.message),
    );
    // No command that we use is answered with nothing.
    socket.on('end', () =>
      answer === '' ? fail('not_found', 'it ended before it answered') : resolve(answer.trimEnd()),
    );
  });
}

function noAnswer(socketPath: string, command: string, code: ErrorCode, reason: string): ThinlayerError {
  const message = `cvmfs2 does not answer ${JSON.stringify(command)} on ${socketPath}: ${reason}`;
  return new ThinlayerError(code, message, { op: 'ask', path: socketPath });
}
