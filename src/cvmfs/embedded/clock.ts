/** The time, so that tests can have their own. */

import { setTimeout as delay } from 'node:timers/promises';

export interface Clock {
  /** Milliseconds since 1970, as far as the machine knows: somebody may set it, also back. */
  now(): number;
  /** Milliseconds since some moment of its own, which nobody sets: how long something lasts is told by these. */
  ticks(): number;
  /** Rejects as soon as `signal` says so; keeps no process alive. */
  sleep(milliseconds: number, signal?: AbortSignal): Promise<void>;
}

export const SYSTEM_CLOCK: Clock = {
  now: () => Date.now(),
  ticks: () => performance.now(),
  sleep: (milliseconds, signal) =>
    delay(milliseconds, undefined, { ref: false, ...(signal === undefined ? {} : { signal }) }),
};
