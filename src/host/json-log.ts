/**
 * A log of one line of JSON a record, as pino writes them, for processes that pino itself would hold up: to load it takes a tenth of the
 * time in which a repository is mounted. A record is written before the call returns, so none is lost, however the process ends.
 */

import { writeSync } from 'node:fs';

import { isErrno } from '../core/errno.js';

/** pino's, by which its readers go. */
const LEVELS = { debug: 20, info: 30, warn: 40, error: 50 } as const;
/** Between attempts on a pipe that is full and does not block. */
const FULL_MS = 10;

export class JsonLog {
  readonly #fd: number;
  readonly #least: number;
  /** Records that could not be written since the last one that could. */
  #lost = 0;

  constructor(fd: number, least: keyof typeof LEVELS) {
    this.#fd = fd;
    this.#least = LEVELS[least];
  }

  debug(facts: object, message: string): void {
    this.#record(LEVELS.debug, facts, message);
  }

  info(facts: object, message: string): void {
    this.#record(LEVELS.info, facts, message);
  }

  warn(facts: object, message: string): void {
    this.#record(LEVELS.warn, facts, message);
  }

  error(facts: object, message: string): void {
    this.#record(LEVELS.error, facts, message);
  }

  #record(level: number, facts: object, message: string): void {
    if (level < this.#least) return;
    const lost = this.#lost > 0 && { recordsLost: this.#lost };
    const record = JSON.stringify({ level, time: Date.now(), ...facts, ...lost, msg: message }, withErrors);
    // A part of the last one may be there.
    const line = `${lost ? '\n' : ''}${record}\n`;
    // Where a log cannot be written (its disk is full, its reader gone) there is nobody to tell, and the mount goes on.
    this.#lost = writeWhole(this.#fd, Buffer.from(line)) ? 0 : this.#lost + 1;
  }
}

/** With what JSON leaves out of an error. */
function withErrors(_key: string, value: unknown): unknown {
  if (!(value instanceof Error)) return value;
  const { name: type, message, stack, cause } = value;
  return { ...value, type, message, stack, cause };
}

/** False: it could not be written. */
function writeWhole(fd: number, bytes: Buffer): boolean {
  for (let written = 0; written < bytes.length;) {
    try {
      written += writeSync(fd, bytes, written);
    } catch (error) {
      if (!isErrno(error, 'EAGAIN')) return false;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, FULL_MS);
    }
  }
  return true;
}
