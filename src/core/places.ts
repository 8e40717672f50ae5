/** Where things are when nobody says otherwise. */

import { createHash } from 'node:crypto';

/** dockerd finds the driver `thinlayer` here (its directory of plugin sockets is compiled in). */
export const DEFAULT_SOCKET = '/run/docker/plugins/thinlayer.sock';
export const DEFAULT_CONTROL_SOCKET = '/run/thinlayer/run-docker-plugins-thinlayer.sock';

/** One daemon per socket: what else it needs is named after that. */
export function controlSocketOf(socket: string): string {
  return `/run/thinlayer/${flat(socket)}`;
}

/** The file with the last Init. */
export function stateFileOf(socket: string): string {
  return `/var/lib/thinlayer/${flat(socket)}.init.json`;
}

/** A socket's path has at most 107 bytes: a long one becomes its digest. */
function flat(path: string): string {
  const name = path.replace(/^\/+/, '').replaceAll('/', '-');
  return name.length <= 80 ? name : `${createHash('sha256').update(path).digest('hex').slice(0, 32)}.sock`;
}

/** Sockets of the processes that serve repositories. */
export const CVMFS_RUN_DIRECTORY = '/run/thinlayer/cvmfs';
