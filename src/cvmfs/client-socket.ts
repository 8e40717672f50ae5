/** Talks to a `thinlayer-cvmfs` over its control socket. */

import { request } from 'node:http';
import type { ClientRequest, IncomingMessage } from 'node:http';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';

import { isErrno } from '../core/errno.js';
import { ThinlayerError } from '../core/errors.js';
import type { ErrorCode } from '../core/errors.js';
import type { ClientStatus } from './embedded/client.js';
import { mountName } from './mount-name.js';

/** A process that answers takes milliseconds; a refresh waits for servers, which has limits of its own. */
const TIMEOUT_MS = 120_000;
/** For a person who asks for what it knows already: whether it answers at all is then what he wants to know. */
export const STATUS_TIMEOUT_MS = 5000;
const NO_ANSWER = 'ask';

export interface Question {
  readonly body?: object;
  readonly timeoutMs?: number | undefined;
}

/** The JSON that it answers, or text. Rejects with `unavailable` if nobody answers there, else with what it refused with. */
export async function askClient(
  socketPath: string,
  method: string,
  path: string,
  { body, timeoutMs = TIMEOUT_MS }: Question = {},
): Promise<unknown> {
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const sent: ClientRequest = request(
      { socketPath, method, path, agent: false, timeout: timeoutMs },
      resolve,
    );
    sent.on('timeout', () => sent.destroy(new Error(`no answer within ${timeoutMs / 1000} s`)));
    sent.on('error', (cause) => reject(noAnswer(socketPath, cause)));
    sent.end(body && JSON.stringify(body));
  });
  const answer = await text(response);
  if (response.statusCode === 200 && /^text\//.test(response.headers['content-type'] ?? '')) return answer;
  const value: unknown = JSON.parse(answer);
  if (response.statusCode === 200) return value;
  const { code, message } = value as { code: ErrorCode; message: string };
  throw new ThinlayerError(code, message, { op: path.slice(1) });
}

/** Its status, for a report. Rejects with what to do about one that is there and does not answer. */
export async function describeClient(
  socketPath: string,
  repository: string,
  pid: number | undefined,
): Promise<ClientStatus> {
  try {
    const question = { timeoutMs: STATUS_TIMEOUT_MS };
    return (await askClient(socketPath, 'GET', '/status', question)) as ClientStatus;
  } catch (error) {
    if (!isUnanswered(error) || isAbsent(error)) throw error;
    throw hanging(repository, pid, error);
  }
}

/** Of the process that a daemon started for that mountpoint. Two homes may mount the same repository. */
export function socketOf(mountpoint: string, runDirectory: string): string {
  return join(runDirectory, `${mountName(mountpoint)}.sock`);
}

/** Held by that process as long as it lives, the time before it answers on its socket included. */
export function lockOf(mountpoint: string, runDirectory: string): string {
  return join(runDirectory, `${mountName(mountpoint)}.lock`);
}

/** `closed` resolves when the process ends, or `end` was called. */
export function watchClient(socketPath: string): {
  readonly closed: Promise<void>;
  readonly end: () => void;
} {
  const sent = request({ socketPath, method: 'GET', path: '/watch', agent: false });
  const closed = new Promise<void>((resolve) => {
    sent.on('response', (response) => response.resume());
    sent.on('error', () => resolve());
    sent.on('close', () => resolve());
  });
  sent.end();
  return { closed, end: () => void sent.destroy() };
}

/** Nobody was there; a client that answers may say `unavailable` too, of its servers. */
export function isUnanswered(error: unknown): error is ThinlayerError {
  return error instanceof ThinlayerError && error.code === 'unavailable' && error.op === NO_ANSWER;
}

/** Not even a process that is slow to answer. */
export function isAbsent(error: unknown): boolean {
  return isUnanswered(error) && isErrno(error.cause, 'ENOENT', 'ECONNREFUSED');
}

function hanging(repository: string, pid: number | undefined, cause: ThinlayerError): ThinlayerError {
  const process = pid === undefined ? 'its process' : `process ${pid}`;
  return new ThinlayerError(
    'unavailable',
    `the client of the repository ${repository} (${process}) does not answer within ${STATUS_TIMEOUT_MS / 1000} s; does it hang? end it then (kill -9${pid === undefined ? '' : ` ${pid}`}): the mount is made anew, and containers that run on it have to be restarted`,
    { op: NO_ANSWER, cause },
  );
}

function noAnswer(socketPath: string, cause: Error): ThinlayerError {
  return new ThinlayerError('unavailable', `no answer on ${socketPath}: ${cause.message}`, {
    op: NO_ANSWER,
    cause,
  });
}
