/** After OTP's supervisors: an actor that dies is started again from its record, but not for ever. */

import { ThinlayerError } from '../src/core/errors.js';
import type { LayerId } from '../src/core/model.js';

const MAX_DEATHS = 3;
const PERIOD_MS = 60_000;

export class Quarantine {
  readonly #now: () => number;
  readonly #deaths = new Map<LayerId, number[]>();

  constructor(now: () => number) {
    this.#now = now;
  }

  died(id: LayerId): void {
    this.#deaths.set(id, [...this.#recent(id), this.#now()]);
  }

  /** Throws `failed_precondition` for a layer whose actor died too often of late. */
  check(id: LayerId): void {
    if (this.#deaths.size === 0 || this.#recent(id).length < MAX_DEATHS) return;
    throw new ThinlayerError(
      'failed_precondition',
      `layer ${id} is set apart: its actor died ${MAX_DEATHS} times within ${PERIOD_MS / 1000} s, see the log for the cause; run "thinlayer repair ${id}" to try again`,
      { layer: id },
    );
  }

  forgive(id: LayerId): void {
    this.#deaths.delete(id);
  }

  #recent(id: LayerId): number[] {
    const since = this.#now() - PERIOD_MS;
    return (this.#deaths.get(id) ?? []).filter((time) => time > since);
  }
}
