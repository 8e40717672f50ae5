/** Whether the mount of a repository ended while something was done on it: then that may be worth another try. */

import { isErrno } from '../src/core/errno.js';

/** The kernel tells of a client's death first; its connection closes a moment later. */
const MOMENT_MS = 1000;

export interface LossWatch {
  /** One of them was lost since. */
  readonly happened: boolean;
  /** Whether one of them was lost since, or `failure` says that it is about to be noticed. */
  explains(failure: unknown): Promise<boolean>;
}

export class Losses {
  readonly #counts = new Map<string, number>();
  readonly #waiting = new Set<() => void>();

  note(repository: string): void {
    this.#counts.set(repository, (this.#counts.get(repository) ?? 0) + 1);
    for (const wake of [...this.#waiting]) wake();
  }

  /** From now on, of these repositories. */
  watch(repositories: readonly string[]): LossWatch {
    const count = () => repositories.reduce((sum, name) => sum + (this.#counts.get(name) ?? 0), 0);
    const before = count();
    const lost = () => count() > before;
    return {
      get happened() {
        return lost();
      },
      explains: async (failure) => lost() || (saysDead(failure) && (await this.#within(MOMENT_MS, lost))),
    };
  }

  #within(milliseconds: number, isSo: () => boolean): Promise<boolean> {
    return new Promise((resolve) => {
      const end = (answer: boolean) => {
        clearTimeout(timer);
        this.#waiting.delete(wake);
        resolve(answer);
      };
      const wake = () => {
        if (isSo()) end(true);
      };
      const timer = setTimeout(() => end(false), milliseconds);
      this.#waiting.add(wake);
    });
  }
}

/** What FUSE answers when nobody serves it any more. */
function saysDead(failure: unknown): boolean {
  for (let error = failure; error instanceof Error; error = error.cause) {
    if (isErrno(error, 'ENOTCONN', 'ECONNABORTED')) return true;
  }
  return false;
}
