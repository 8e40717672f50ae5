/** `thinlayer-cvmfs ctl`: asks a running client over its control socket. */

import { existsSync } from 'node:fs';
import { resolve } from 'node:path';

import { ThinlayerError } from '../core/errors.js';
import { CVMFS_RUN_DIRECTORY } from '../core/places.js';
import { askClient, isUnanswered, socketOf } from './client-socket.js';

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
  /** What its argument is called in the request. */
  readonly argument?: string;
}

const COMMANDS: Readonly<Record<string, Command>> = {
  status: { method: 'GET' },
  revision: { method: 'GET' },
  refresh: { method: 'POST' },
  remount: { method: 'POST' },
  hosts: { method: 'GET' },
  proxies: { method: 'GET' },
  metrics: { method: 'GET' },
  cache: { method: 'GET' },
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
  return shown(name, await asked(resolve(target), command.method, `/${name}${query}`));
}

/** The mountpoint itself is not looked at: whoever serves it may not answer. */
async function asked(target: string, method: string, path: string): Promise<unknown> {
  const ofMountpoint = socketOf(target, CVMFS_RUN_DIRECTORY);
  if (existsSync(ofMountpoint)) return await askClient(ofMountpoint, method, path);
  try {
    return await askClient(target, method, path);
  } catch (error) {
    throw isUnanswered(error) ? noSocket(error) : error;
  }
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
