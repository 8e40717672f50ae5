/** Work beneath mounts of repositories that takes long: a client that hangs keeps whoever needs it waiting, and cannot say so. */

import { ThinlayerError } from '../src/core/errors.js';

/** More than a layer takes to be found and mounted over a slow line. */
export const LONG_MS = 20_000;

export interface DelaysOptions {
  /** Of the process that serves a repository; undefined: nobody knows. */
  readonly processOf: (repository: string) => number | undefined;
  /** Told of each that takes long, once. */
  readonly told: (cause: ThinlayerError) => void;
}

export class Delays {
  readonly #options: DelaysOptions;
  /** By who waits. */
  readonly #causes = new Map<string, ThinlayerError>();

  constructor(options: DelaysOptions) {
    this.#options = options;
  }

  /** Ends as `work` does, however late: what hangs may be mended, and `work` then goes on. */
  async watch<T>(holder: string, repositories: readonly string[], work: () => Promise<T>): Promise<T> {
    if (repositories.length === 0) return work();
    const timer = setTimeout(() => this.#note(holder, repositories), LONG_MS);
    try {
      return await work();
    } finally {
      clearTimeout(timer);
      this.#causes.delete(holder);
    }
  }

  /** Null: it does not wait, or not yet for long. */
  causeOf(holder: string): string | null {
    return this.#causes.get(holder)?.message ?? null;
  }

  #note(holder: string, repositories: readonly string[]): void {
    const { processOf, told } = this.#options;
    const processes = repositories.flatMap((repository) => processOf(repository) ?? []);
    const cause = late(holder, repositories, processes);
    this.#causes.set(holder, cause);
    told(cause);
  }
}

function late(holder: string, repositories: readonly string[], processes: readonly number[]): ThinlayerError {
  const named = processes.length === 0 ? '' : ` (process ${processes.join(', ')})`;
  const ended = processes.length === 0 ? '' : ` (kill -9 ${processes.join(' or ')})`;
  return new ThinlayerError(
    'unavailable',
    `${holder} has waited for ${LONG_MS / 1000} s for the repository ${repositories.join(', ')}${named}: its servers are slow, or its client hangs, as \`thinlayer repositories\` tells. One that hangs has to be ended${ended}: the mount is made anew then, and who waits goes on`,
    { op: 'mount' },
  );
}
