#!/usr/bin/env node
/** `thinlayerd`: the composition root. Everything is made here, and handed to each other as ports. */

import { existsSync } from 'node:fs';

import type { Logger } from 'pino';

import { Supervisor } from '../actors/supervisor.js';
import { DAEMON_USAGE, parseDaemonArguments } from './cli/daemon-arguments.js';
import type { DaemonArguments } from './cli/daemon-arguments.js';
import { asThinlayerError } from './core/errors.js';
import { parseOptions } from './core/options.js';
import { VERSION } from './core/version.js';
import { openEngine } from './engine.js';
import { createControlServer } from './frontends/control/server.js';
import { loadInit, saveInit } from './frontends/graphdriver/remembered-init.js';
import { createGraphDriverServer } from './frontends/graphdriver/server.js';
import type { ServerOptions } from './frontends/graphdriver/server.js';
import type { InitRequest } from './frontends/graphdriver/wire.js';
import { checkDirectory } from './host/directory.js';
import { openLog } from './host/log.js';
import { listenOn } from './host/unix-socket.js';
import { supervisionLog } from './supervision-log.js';

/** `resumed`: see HomeConfig. */
type Open = (request: InitRequest, resumed: boolean) => Promise<void>;

async function serve(args: DaemonArguments): Promise<void> {
  const log = openLog(args.logLevel);
  const ending = new AbortController();
  const supervisor = new Supervisor({
    openEngine: (config) => openEngine(config, log, ending.signal),
    now: Date.now,
    ...supervisionLog(log),
    version: VERSION,
  });
  const open: Open = (request, resumed) => openHome(supervisor, args, request, resumed);
  await checkPlaces(args.storageOptions);

  const driver = createGraphDriverServer({
    service: supervisor,
    init: remembering(open, args),
    log: callLog(log),
  });
  const control = createControlServer(supervisor);
  const remembered = await recall(args, log);
  await listenOn(driver, args.socket);
  // In the same turn: a call that came already waits for the home, and is not refused.
  const opened = remembered && reopen(open, remembered, log);
  await listenOn(control, args.control);
  log.info(
    { socket: args.socket, control: args.control, version: VERSION },
    `thinlayerd listens on ${args.socket}`,
  );

  const end = once(async (signal: string) => {
    log.info(`${signal}: running calls end, mounts of running containers stay`);
    driver.close();
    control.close();
    ending.abort();
    await supervisor.drain();
    // The calls have ended, but their answers may still be on their way.
    await driver.answered();
    log.info('stopped');
  });
  process.on('SIGTERM', end);
  process.on('SIGINT', end);
  await opened;
}

/**
 * dockerd repeats no Init when only this process restarts. A home that is not there is not made anew: its disk may be
 * mounted later, and would then hide what we serve.
 */
async function recall(args: DaemonArguments, log: Logger): Promise<InitRequest | null> {
  try {
    const remembered = await loadInit(args.state);
    if (!remembered || existsSync(remembered.home)) return remembered;
    log.warn(
      { home: remembered.home },
      `${remembered.home}, where dockerd last had its layers, does not exist; is its disk mounted? waiting for dockerd to name a home`,
    );
    return null;
  } catch (error) {
    log.error({ err: error }, asThinlayerError(error).message);
    return null;
  }
}

/** Never rejects: a failure is told to whoever calls next. */
async function reopen(open: Open, remembered: InitRequest, log: Logger): Promise<void> {
  log.info({ home: remembered.home }, `opening ${remembered.home}, as dockerd last said`);
  try {
    await open(remembered, true);
    await checkPlaces(remembered.options).catch((error: unknown) =>
      log.warn(asThinlayerError(error).message),
    );
  } catch (error) {
    log.error({ err: error }, `the remembered home is not open: ${asThinlayerError(error).message}`);
  }
}

function openHome(
  supervisor: Supervisor,
  args: DaemonArguments,
  request: InitRequest,
  resumed: boolean,
): Promise<void> {
  return supervisor.open({
    home: request.home,
    options: parseOptions([...args.storageOptions, ...request.options]),
    idMaps: { uids: request.uids, gids: request.gids },
    resumed,
  });
}

/** A remembered Init goes on with a warning in its place: containers may run, and ordinary ones need none of it. */
async function checkPlaces(storageOptions: readonly string[]): Promise<void> {
  const { cvmfsConfigDirectory } = parseOptions(storageOptions);
  if (cvmfsConfigDirectory !== null) await checkDirectory('cvmfs.config_dir', cvmfsConfigDirectory);
}

function remembering(open: Open, args: DaemonArguments): ServerOptions['init'] {
  return async (request) => {
    await checkPlaces(request.options);
    await open(request, false);
    await saveInit(args.state, request);
  };
}

/** A failure is logged once, here, where it is answered. */
function callLog(log: Logger): ServerOptions['log'] {
  return ({ method, ms, status, error }) => {
    if (!error) log.debug({ method, ms, status }, method);
    else if (error.code === 'internal' || error.code === 'data_loss')
      log.error({ method, ms, status, err: error }, error.message);
    else log.warn({ method, ms, status, code: error.code }, error.message);
  };
}

/** The first signal ends the daemon in order, a second one at once. */
function once(work: (signal: string) => Promise<void>): (signal: string) => void {
  let begun = false;
  return (signal) => {
    if (begun) process.exit(1);
    begun = true;
    void work(signal).finally(() => process.exit());
  };
}

try {
  const args = parseDaemonArguments(process.argv.slice(2));
  if (args.version) console.log(VERSION);
  else if (args.help) console.log(DAEMON_USAGE);
  else await serve(args);
} catch (error) {
  console.error(`thinlayerd: ${asThinlayerError(error).message}`);
  process.exit(1);
}
