/** The log of a process: one line of JSON a record, on standard error. */

import { pino } from 'pino';
import type { Logger } from 'pino';

const STDERR = 2;
/** Of records that could not be written yet; what comes beyond is lost. */
const MAX_WAITING_BYTES = 1024 * 1024;

/**
 * A record is written before the call returns, so none is lost, however the process ends. While it cannot be written (the
 * disk of the log is full, say) it waits for a later record.
 */
export function openLog(level: string): Logger {
  const destination = pino.destination({ dest: STDERR, sync: true, maxLength: MAX_WAITING_BYTES });
  // Without a listener it would end a process on which mounts depend; and there is nobody else to tell.
  destination.on('error', () => undefined);
  return pino({ level, base: null }, destination);
}
