/** Runs CERN's `cvmfs2`, never through a shell. */

import { execFile, spawn } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';

import { ThinlayerError } from '../core/errors.js';
import { parseSettings } from './cvmfs2-settings.js';
import type { Cvmfs2Settings } from './cvmfs2-settings.js';
import { DISK_FILES } from './embedded/config/disk-files.js';
import { defaultFiles, repositoryFiles } from './embedded/config/hierarchy.js';
import { DEFAULT_DIRECTORY } from './embedded/config/load.js';
import { lastWords } from './process-log.js';
import type { ProcessLog } from './process-log.js';

/** Reading its configuration takes it milliseconds. */
const PARSE_TIMEOUT_MS = 30_000;

/** The first program of this name in PATH that may be executed; null if there is none. */
export function findProgram(name: string, path = process.env['PATH'] ?? ''): string | null {
  const places = path.split(delimiter).filter((directory) => directory !== '');
  return places.map((directory) => join(directory, name)).find(isExecutable) ?? null;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'EACCES') return false;
    throw error;
  }
}

/**
 * For `-o config=`, which it reads in place of all others. Null, so that it reads its own, where nothing differs from those:
 * only then it asks a configuration repository too.
 */
export function configFiles(directory: string, repository: string, last: readonly string[]): string[] | null {
  if (directory === DEFAULT_DIRECTORY && last.length === 0) return null;
  const known = [...defaultFiles(directory, DISK_FILES), ...repositoryFiles(directory, repository)];
  const files = [...known.filter((path) => DISK_FILES.kind(path) === 'file'), ...last];
  if (files.length === 0) throw notConfigured(repository, directory);
  const bad = files.find((path) => /[,:]/.test(path));
  if (bad === undefined) return files;
  throw new ThinlayerError(
    'invalid_argument',
    `cvmfs2 takes no configuration file with a comma or colon in its path: ${bad}`,
    { op: 'mount', path: bad },
  );
}

export function notConfigured(repository: string, directory: string): ThinlayerError {
  return new ThinlayerError(
    'failed_precondition',
    `the repository ${repository} is not configured for cvmfs2: CVMFS_SERVER_URL is not set; write ${directory}/config.d/${repository}.conf, see "cvmfs_config showconfig ${repository}"`,
    { op: 'mount' },
  );
}

export interface Cvmfs2Run {
  readonly program: string;
  readonly repository: string;
  readonly mountpoint: string;
  readonly configFiles: readonly string[] | null;
}

/** Its configuration of this repository. */
export async function readSettings(run: Cvmfs2Run): Promise<Cvmfs2Settings> {
  const args = argumentsOf(run, ['parse']);
  try {
    const { stdout } = await promisify(execFile)(run.program, args, { timeout: PARSE_TIMEOUT_MS, cwd: '/' });
    return parseSettings(stdout);
  } catch (error) {
    const { stderr, message } = error as Error & { stderr?: string };
    const reason = stderr?.trim() || message;
    throw new ThinlayerError(
      'failed_precondition',
      `${run.program} cannot read the configuration of the repository ${run.repository}: ${reason}`,
      { op: 'mount', cause: error },
    );
  }
}

/** Resolves when it has mounted and gone into the background; rejects with what it printed. */
export async function mountInBackground(
  run: Cvmfs2Run,
  options: readonly string[],
  log: ProcessLog,
): Promise<void> {
  const child = spawn(run.program, argumentsOf(run, options), {
    detached: true,
    stdio: ['ignore', log.fd, log.fd],
    cwd: '/',
  });
  const status = await new Promise<number | string>((resolve, reject) => {
    child.once('error', reject);
    // Not `close`: what stays in the background may keep our descriptors.
    child.once('exit', (code, signal) => resolve(code ?? signal ?? 0));
  });
  if (status === 0) return;
  throw new ThinlayerError(
    'unavailable',
    `the repository ${run.repository} cannot be mounted: ${run.program} ended with ${status}: ${await lastWords(log)} (${log.path}); see "cvmfs_config chksetup"`,
    { op: 'mount', path: run.mountpoint },
  );
}

function argumentsOf(run: Cvmfs2Run, options: readonly string[]): string[] {
  const config = run.configFiles === null ? [] : [`config=${run.configFiles.join(':')}`];
  return ['-o', [...options, ...config].join(','), run.repository, run.mountpoint];
}

export interface Cvmfs2User {
  readonly uid: number;
  readonly gid: number;
}

/** CVMFS_USER, for whom it gives up root; null where nobody is named. */
export async function userOf(settings: Cvmfs2Settings): Promise<Cvmfs2User | null> {
  const user = settings.get('CVMFS_USER') ?? 'root';
  if (user === 'root') return null;
  try {
    const { stdout } = await promisify(execFile)('getent', ['--', 'passwd', user]);
    const [, , uid, gid] = stdout.split(':');
    return { uid: Number(uid), gid: Number(gid) };
  } catch (error) {
    throw new ThinlayerError(
      'failed_precondition',
      `cvmfs2 is to run as CVMFS_USER=${user}, whom this host does not know ("getent passwd ${user}"): add that user, or change CVMFS_USER`,
      { op: 'mount', cause: error },
    );
  }
}

/** As CERN's mount helper says it. */
export function userOptions(user: Cvmfs2User | null): string[] {
  return user ? [`uid=${user.uid}`, `gid=${user.gid}`] : [];
}
