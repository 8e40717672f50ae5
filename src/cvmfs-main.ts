#!/usr/bin/env node
/** `thinlayer-cvmfs`: one CVMFS repository, mounted by a process of its own, which survives the daemon. */

import { createWriteStream } from 'node:fs';
import { dirname } from 'node:path';

import { asThinlayerError, ThinlayerError, undone } from './core/errors.js';
import { VERSION } from './core/version.js';
import { Client } from './cvmfs/embedded/client.js';
import type { ClientConfig } from './cvmfs/embedded/config/client-config.js';
import { DISK_FILES } from './cvmfs/embedded/config/disk-files.js';
import { loadConfig } from './cvmfs/embedded/config/load.js';
import { MOUNT_USAGE, parseMountArguments } from './cvmfs/embedded/config/mount-arguments.js';
import type { MountArguments } from './cvmfs/embedded/config/mount-arguments.js';
import { createClientControl } from './cvmfs/embedded/control.js';
import { checkDescriptor } from './host/descriptor.js';
import { checkDirectory } from './host/directory.js';
import { openLogLate } from './host/log.js';
import type { LateLog } from './host/log.js';
import { checkMountpoint } from './host/mountpoint.js';
import { listenOn } from './host/unix-socket.js';

const ENDING = ['SIGTERM', 'SIGINT'] as const;

async function serve(args: MountArguments): Promise<void> {
  // Nothing else keeps this process while it waits for the next attempt to reach a server.
  setInterval(() => undefined, 2 ** 30);
  const log = openLogLate(args.debug ? 'debug' : 'info');
  const config = configure(args);
  await checkMountpoint(args.mountpoint, args.nonEmpty);
  if (args.control !== null) await checkDirectory('--control', dirname(args.control));
  for (const { message } of config.notes) log.debug(message);
  // Before it is mounted nothing has to be undone but the attempt.
  const giveUp = new AbortController();
  const abort = () => giveUp.abort();
  for (const signal of ENDING) process.once(signal, abort);
  // What is being mounted is the newest revision anyway.
  const ignore = () => undefined;
  process.on('SIGHUP', ignore);
  const client = await Client.mount({
    config,
    signal: giveUp.signal,
    arguments: args,
    files: DISK_FILES,
    version: VERSION,
    log,
    settled: () => log.open(),
    ended: (error) => {
      if (error) log.error({ err: error }, error.message);
      else log.info(`${args.mountpoint} was unmounted by somebody else`);
      process.exit(error ? 1 : 0);
    },
  });
  const end = () => void unmountAndExit(client, log);
  for (const signal of ENDING) process.off(signal, abort).on(signal, end);
  if (giveUp.signal.aborted) end();
  // Why there is no new revision is in the log by then.
  const toldAlready = (error: unknown) => log.debug(asThinlayerError(error).message);
  process.off('SIGHUP', ignore).on('SIGHUP', () => void client.refresh().catch(toldAlready));
  if (args.control !== null) await answerOn(args.control, client, end);
}

/** The socket goes when the process ends, whoever ends it, unless it is killed. */
async function answerOn(socket: string, client: Client, quit: () => void): Promise<void> {
  const server = createClientControl({ client, quit });
  try {
    await listenOn(server, socket);
  } catch (error) {
    throw await undone(error, () => client.unmount());
  }
  process.on('exit', () => void server.close());
}

async function unmountAndExit(client: Client, log: LateLog): Promise<void> {
  try {
    await client.unmount();
    process.exit(0);
  } catch (error) {
    log.error({ err: error }, asThinlayerError(error).message);
    process.exit(1);
  }
}

function configure(args: MountArguments): ClientConfig {
  const config = loadConfig(
    { repository: args.repository, directory: args.configDirectory, only: args.configFiles, environment: {} },
    DISK_FILES,
  );
  if (!config.allowed) {
    const message = `${config.fqrn} may not be mounted here: CVMFS_STRICT_MOUNT is set, and CVMFS_REPOSITORIES does not name it`;
    throw new ThinlayerError('failed_precondition', message, { op: 'mount' });
  }
  // To go on without them would show other files, or run as somebody else, than was asked for.
  if (args.uid !== null || args.gid !== null) throw notYet('uid and gid');
  return config;
}

function notYet(what: string): ThinlayerError {
  return new ThinlayerError('unimplemented', `${what}: not supported yet; leave it out`, { op: 'mount' });
}

function printSettings(config: ClientConfig): void {
  for (const { name, value, from, used } of config.settings)
    console.log(
      `${name}=${value}    # from ${from}${used ? '' : ', ignored: this client has no use for it'}`,
    );
}

/** One line for whoever started this process and waits: that the repository is mounted, or why it is not. */
function report(fd: number | null, line: object): Promise<void> {
  if (fd === null) return Promise.resolve();
  return new Promise((resolve, reject) => {
    const stream = createWriteStream('', { fd });
    stream.on('error', reject);
    stream.end(`${JSON.stringify(line)}\n`, () => resolve());
  });
}

/** Whoever waited may be gone, killed, say. The mount is there for the next. */
async function reportMounted(fd: number | null): Promise<void> {
  try {
    await report(fd, { mounted: true });
  } catch (error) {
    console.error(`thinlayer-cvmfs: nobody waits for the mount any more: ${asThinlayerError(error).message}`);
  }
}

async function mount(args: MountArguments): Promise<void> {
  if (args.reportTo !== null) checkDescriptor('--report-fd', args.reportTo);
  try {
    await serve(args);
  } catch (failure) {
    complain(failure);
    const { code, message } = asThinlayerError(failure);
    await report(args.reportTo, { code, message });
    process.exit(1);
  }
  await reportMounted(args.reportTo);
}

async function control(words: readonly string[]): Promise<never> {
  const { runCtl } = await import('./cvmfs/ctl.js');
  process.stdout.write(await runCtl(words));
  process.exit(0);
}

async function run(words: readonly string[]): Promise<void> {
  if (words[0] === 'ctl') return control(words.slice(1));
  const command = parseMountArguments(words, process.cwd());
  if (command.kind === 'help') console.log(MOUNT_USAGE);
  else if (command.kind === 'version') console.log(VERSION);
  else if (command.arguments.parseOnly) printSettings(configure(command.arguments));
  else await mount(command.arguments);
}

function complain(failure: unknown): void {
  console.error(`thinlayer-cvmfs: ${asThinlayerError(failure).message}`);
}

// Not awaited here: in one file (rollup.config.js) the modules that are imported when they are needed come after this.
run(process.argv.slice(2)).catch((failure: unknown) => {
  complain(failure);
  process.exit(1);
});
