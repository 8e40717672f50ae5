/** `thinlayer-cvmfs ctl`: asks a running client over its control socket. */

import { existsSync } from 'node:fs';
import { resolve } from 'node:path';

import { isErrno } from '../core/errno.js';
import { ThinlayerError } from '../core/errors.js';
import { CVMFS_RUN_DIRECTORY } from '../core/places.js';
import { askClient, isUnanswered, socketOf, STATUS_TIMEOUT_MS } from './client-socket.js';

const USAGE = `thinlayer-cvmfs ctl SOCKET|MOUNTPOINT COMMAND: asks a client that runs

  SOCKET is what was given to it by --control; MOUNTPOINT is one of thinlayerd's, HOME/cvmfs/REPOSITORY: of a client that was
  started alone the SOCKET is needed.

  status               what it serves, from where
  revision             the revision that is shown
  refresh, remount     look for a new revision now (as SIGHUP does)
  hosts                the servers; which is asked next
  proxies              the proxies, by group
  metrics              counters, as Prometheus reads them
  cache                bytes, objects, quota
  cache list           all objects, last used first: bytes, time of use, name
  cache limit MB       another quota, until it ends; 0: none
  cache evict OBJECT   OBJECT as in the list, or a file's attribute user.hash
  cache pin OBJECT     never evict it
  cache unpin OBJECT
  cache check          read everything; what changed since it came is removed
  quit                 unmount and end
`;

interface Command {
  readonly method: 'GET' | 'POST';
  /** How long to wait for its answer; else as long as `askClient` does. */
  readonly timeoutMs?: number;
  /** What its argument is called in the request. */
  readonly argument?: string;
}

/** Answered out of the client's memory. */
const KNOWN: Command = { method: 'GET', timeoutMs: STATUS_TIMEOUT_MS };

const COMMANDS: Readonly<Record<string, Command>> = {
  status: KNOWN,
  revision: KNOWN,
  refresh: { method: 'POST' },
  remount: { method: 'POST' },
  hosts: KNOWN,
  proxies: KNOWN,
  metrics: KNOWN,
  cache: KNOWN,
  'cache/list': { method: 'GET' },
  'cache/limit': { method: 'POST', argument: 'megabytes' },
  'cache/evict': { method: 'POST', argument: 'object' },
  'cache/pin': { method: 'POST', argument: 'object' },
  'cache/unpin': { method: 'POST', argument: 'object' },
  'cache/check': { method: 'POST' },
  quit: { method: 'POST' },
};

/** The text to print. */
export async function runCtl(args: readonly string[]): Promise<string> {
  const [target, ...words] = args;
  if (target === undefined || target === '--help' || words.length === 0) return USAGE;
  const names = words[0] === 'cache' && words.length > 1 ? words.slice(0, 2) : words.slice(0, 1);
  const [argument, ...more] = words.slice(names.length);
  const name = names.join('/');
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (!command) throw invalid(`there is no command ${names.join(' ')}`);
  if ((argument === undefined) !== (command.argument === undefined) || more.length > 0) {
    throw invalid(
      `${names.join(' ')} needs ${command.argument === undefined ? 'no argument' : `its argument, ${command.argument}`}`,
    );
  }
  const query =
    command.argument === undefined ? '' : `?${command.argument}=${encodeURIComponent(argument ?? '')}`;
  return shown(name, await asked(resolve(target), command, `/${name}${query}`));
}

/** The mountpoint itself is not looked at: whoever serves it may not answer. */
async function asked(target: string, { method, timeoutMs }: Command, path: string): Promise<unknown> {
  const ofMountpoint = socketOf(target, CVMFS_RUN_DIRECTORY);
  const socket = existsSync(ofMountpoint) ? ofMountpoint : target;
  try {
    return await askClient(socket, method, path, { timeoutMs });
  } catch (error) {
    if (!isUnanswered(error)) throw error;
    // The system did not refuse: somebody is there.
    if (!isErrno(error.cause)) throw hanging(target, error);
    throw socket === target ? noSocket(error) : error;
  }
}

function hanging(target: string, cause: ThinlayerError): ThinlayerError {
  return new ThinlayerError(
    'unavailable',
    `${cause.message}; if the client hangs, end its process (kill -9): \`pgrep -f ${target}\` names it`,
    { op: 'ask', cause },
  );
}

function noSocket(cause: ThinlayerError): ThinlayerError {
  return new ThinlayerError(
    'unavailable',
    `${cause.message}; a mountpoint will do only for a client that thinlayerd started: of one that was started alone, give the SOCKET that it was given by --control`,
    { op: 'ask', cause },
  );
}

function shown(name: string, answer: unknown): string {
  if (typeof answer === 'string') return answer;
  if (name !== 'cache/list') return `${JSON.stringify(answer, null, 2)}\n`;
  const objects = answer as { object: string; size: number; used: number }[];
  return objects
    .map(
      ({ object, size, used }) =>
        `${String(size).padStart(12)}  ${new Date(used).toISOString()}  ${object}\n`,
    )
    .join('');
}

function invalid(message: string): ThinlayerError {
  return new ThinlayerError('invalid_argument', `${message}; see thinlayer-cvmfs ctl --help`);
}
