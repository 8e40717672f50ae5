/**
 * Stands in for CERN's cvmfs2 where that is not installed: its command line, its going into the background and its talk socket,
 * over our own client, so that what it mounts is a real repository.
 *
 *   cvmfs2 -o parse,config=FILES REPOSITORY MOUNTPOINT       cvmfs2 -o OPTIONS,config=FILES REPOSITORY MOUNTPOINT
 */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';

import { askClient } from '../../src/cvmfs/client-socket.js';
import { parseSettings, talkSocketOf } from '../../src/cvmfs/cvmfs2-settings.js';
import { check } from '../system/process.js';
import { CVMFS_CLIENT } from '../system/project.js';

const SELF = fileURLToPath(import.meta.url);

const [flag, list = '', repository = '', mountpoint = ''] = process.argv.slice(2);
const options = list.split(',');
const config = options.filter((option) => option.startsWith('config='));
const client = (...more: string[]) => [
  CVMFS_CLIENT,
  '-o',
  [...config, ...more].join(','),
  repository,
  mountpoint,
];

if (flag === '--serve') await serve();
else if (options.includes('parse')) process.stdout.write(await check(process.execPath, client('parse')));
else await goIntoBackground();

/** Ends when the background process has mounted: with 0, else with what that printed. */
async function goIntoBackground(): Promise<void> {
  const background = spawn(process.execPath, [SELF, '--serve', list, repository, mountpoint], {
    detached: true,
    stdio: ['ignore', 'inherit', 'inherit', 'pipe'],
  });
  const status = await Promise.race([
    once(background.stdio[3] as Readable, 'data').then(([report]) => (isMounted(report as Buffer) ? 0 : 9)),
    once(background, 'exit').then(([code]) => Number(code) || 9),
  ]);
  console.log(status === 0 ? `CernVM-FS: mounted cvmfs on ${mountpoint}` : 'CernVM-FS: not mounted');
  process.exit(status);
}

function isMounted(report: Buffer): boolean {
  return (JSON.parse(report.toString()) as { mounted?: boolean }).mounted ?? false;
}

async function serve(): Promise<void> {
  const settings = parseSettings(await check(process.execPath, client('parse')));
  const socket = talkSocketOf(settings, repository);
  // Its directories are for its mount helper to make (cvmfs2's kFailLoaderTalk is 5).
  for (const directory of [settings.get('CVMFS_RELOAD_SOCKETS') ?? '/var/run/cvmfs', dirname(socket)]) {
    if (existsSync(directory)) continue;
    console.log(`Failed to initialize loader socket: no ${directory}`);
    process.exit(5);
  }
  const control = join(dirname(socket), `control.${repository}`);
  const mounted = spawn(
    process.execPath,
    [...client('cvmfs_suid'), '--control', control, '--report-fd', '3'],
    { stdio: ['ignore', 'inherit', 'inherit', 3] },
  );
  const server = createServer({ allowHalfOpen: true }, (connection) => {
    connection.once('data', (command) => {
      void answer(command.toString()).then((line) => connection.end(`${line}\n`));
    });
  });
  const answer = async (command: string): Promise<string> => {
    // Of the process that answers here, as with cvmfs2: whoever sees it end finds nobody here.
    if (command === 'pid') return String(process.pid);
    if (command === 'mountpoint') return mountpoint;
    const path = command.startsWith('remount') ? '/refresh' : '/status';
    const { revision } = (await askClient(control, path === '/refresh' ? 'POST' : 'GET', path)) as {
      revision: number;
    };
    return command === 'revision' ? String(revision) : 'Catalog up to date';
  };
  rmSync(socket, { force: true });
  server.listen(socket);
  await once(mounted, 'exit');
  process.exit(0);
}
