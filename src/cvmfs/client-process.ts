/** Starts a process of our client (`thinlayer-cvmfs`), detached: it outlives the daemon. */

import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { addAbortSignal } from 'node:stream';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';

import { ThinlayerError } from '../core/errors.js';
import type { ErrorCode } from '../core/errors.js';
import type { IdMaps } from '../core/model.js';
import { openLog } from './process-log.js';

/** Held by the process from before its first moment until its end: the descriptor is inherited. */
export interface ClientLock {
  readonly fd: number;
  release(): Promise<void>;
}

export interface ClientProcess {
  /** Node and the program. */
  readonly command: readonly [string, ...string[]];
  readonly repository: string;
  readonly mountpoint: string;
  readonly configDirectory: string;
  readonly logDirectory: string;
  readonly idMaps: IdMaps;
  readonly socket: string;
  readonly lock: ClientLock;
}

/** True when it says that it has mounted; false if it has said nothing within `patienceMs`. Rejects with what it says else. */
export async function startClient(client: ClientProcess, patienceMs: number): Promise<boolean> {
  const child = spawnClient(client);
  const failed = new Promise<never>((_, reject) => child.once('error', reject));
  const report = await Promise.race([reportOf(child, patienceMs), failed]);
  if (report === null) return false;
  const line =
    report === '' ? null : (JSON.parse(report) as { mounted?: true; code?: ErrorCode; message?: string });
  if (line?.mounted) return true;
  const reason =
    line?.message ??
    `its client ended before it had mounted anything (${child.exitCode ?? child.signalCode})`;
  const message = `the repository ${client.repository} cannot be mounted: ${reason}`;
  throw new ThinlayerError(line?.code ?? 'unavailable', message, { op: 'mount' });
}

function spawnClient(client: ClientProcess): ChildProcess {
  const [program, ...before] = client.command;
  const log = openLog(client.logDirectory, client.repository);
  try {
    const child = spawn(program, [...before, ...argumentsOf(client)], {
      detached: true,
      stdio: ['ignore', log.fd, log.fd, 'pipe', client.lock.fd],
      cwd: '/',
    });
    child.unref();
    return child;
  } finally {
    log.close();
  }
}

function argumentsOf({ repository, mountpoint, configDirectory, idMaps, socket }: ClientProcess): string[] {
  const ranges = (maps: IdMaps['uids']) =>
    maps.map(({ containerId, hostId, size }) => `${containerId}:${hostId}:${size}`).join(',');
  return [
    ...[repository, mountpoint, '-o', 'layers,cvmfs_suid', '--config-dir', configDirectory],
    ...['--map-uids', ranges(idMaps.uids), '--map-gids', ranges(idMaps.gids)],
    ...['--control', socket, '--report-fd', '3'],
  ];
}

/** Null: it took too long. A client whose report nobody reads any more mounts all the same. */
async function reportOf(child: ChildProcess, patienceMs: number): Promise<string | null> {
  const enough = AbortSignal.timeout(patienceMs);
  try {
    return await text(addAbortSignal(enough, child.stdio[3] as Readable));
  } catch (error) {
    if (enough.aborted) return null;
    throw error;
  }
}
