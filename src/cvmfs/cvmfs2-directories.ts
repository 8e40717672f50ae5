/**
 * What CERN's mount helper does before it starts cvmfs2 (mount.cvmfs.cc): cvmfs2 makes none of its directories, and without the
 * one for its sockets, which is in /var/run and so gone after each boot, it ends with "Failed to initialize loader socket".
 */

import { chownSync, mkdirSync } from 'node:fs';

import { fromErrno } from '../core/errno.js';
import type { Cvmfs2User } from './cvmfs2-command.js';
import { cacheOf, workspaceOf } from './cvmfs2-settings.js';
import type { Cvmfs2Settings } from './cvmfs2-settings.js';

/** LoaderExports of cvmfs2, for its reload without an unmount. */
const SOCKETS = '/var/run/cvmfs';

/** What is missing is made, and given to the user that it runs as; what is there keeps its owner. */
export function makeDirectories(settings: Cvmfs2Settings, repository: string, user: Cvmfs2User | null): void {
  const sockets = settings.get('CVMFS_RELOAD_SOCKETS') ?? SOCKETS;
  for (const path of [workspaceOf(settings, repository), cacheOf(settings, repository), sockets]) {
    try {
      const isNew = mkdirSync(path, { recursive: true, mode: 0o755 }) !== undefined;
      if (isNew && user) chownSync(path, user.uid, user.gid);
    } catch (error) {
      throw fromErrno(error, { op: `make a directory for cvmfs2 of ${repository}`, path });
    }
  }
}
