/** The log of a process: one line of JSON a record, on standard error. */

import { createRequire } from 'node:module';

import type { Logger, pino as Pino } from 'pino';

const load = createRequire(import.meta.url);

const STDERR = 2;
/** Of records that could not be written yet; what comes beyond is lost. */
const MAX_WAITING_BYTES = 1024 * 1024;

/**
 * A record is written before the call returns, so none is lost, however the process ends. While it cannot be written (the
 * disk of the log is full, say) it waits for a later record.
 */
export function openLog(level: string): Logger {
  const { pino } = load('pino') as { pino: typeof Pino };
  const destination = pino.destination({ dest: STDERR, sync: true, maxLength: MAX_WAITING_BYTES });
  // Without a listener it would end a process on which mounts depend; and there is nobody else to tell.
  destination.on('error', () => undefined);
  return pino({ level, base: null }, destination);
}

/** A log that opens when it has to. */
export interface LateLog extends Pick<Logger, 'info' | 'warn' | 'error'> {
  debug(message: string): void;
  /** Opens it now, and writes what waits. */
  open(): void;
}

/**
 * For a process whose start somebody waits for, since pino takes 20 ms to load: information waits for the first warning,
 * for `open`, or for the end of the process. To be opened at the next quiet moment: what is loaded much later may be the
 * file of another version.
 */
export function openLogLate(level: 'debug' | 'info'): LateLog {
  let log: Logger | undefined;
  const waiting: [unknown][] = [];
  const opened = () => {
    log ??= openLog(level);
    for (const record of waiting.splice(0)) log.info(...record);
    return log;
  };
  process.once('exit', () => waiting.length > 0 && opened());
  return {
    open: () => void opened(),
    debug: (message) => void (level === 'debug' && opened().debug(message)),
    info: (...record: [unknown]) => (log ? log.info(...record) : void waiting.push(record)),
    warn: (...record: [unknown]) => opened().warn(...record),
    error: (...record: [unknown]) => opened().error(...record),
  };
}
