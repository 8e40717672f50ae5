/** Watches over the processes that serve repositories, and who wants to know of their ends. */

import type { ThinlayerError } from '../core/errors.js';

export type Lost = (repository: string, reason: ThinlayerError) => void;

export interface ProcessWatch {
  /** Resolves when the process ends, or `end` was called. */
  readonly closed: Promise<void>;
  readonly end: () => void;
}

export class Watches {
  readonly #listeners = new Set<Lost>();
  readonly #watches = new Map<string, ProcessWatch>();

  /** See RepositorySource.watch. */
  listen(lost: Lost): () => void {
    this.#listeners.add(lost);
    return () => {
      this.#listeners.delete(lost);
      if (this.#listeners.size > 0) return;
      for (const repository of [...this.#watches.keys()]) this.stop(repository);
    };
  }

  /** In place of the watch that this repository had. */
  start(repository: string, watch: ProcessWatch, reason: () => ThinlayerError): void {
    this.stop(repository);
    this.#watches.set(repository, watch);
    void watch.closed.then(() => {
      if (this.#watches.get(repository) !== watch) return;
      this.#watches.delete(repository);
      for (const lost of this.#listeners) lost(repository, reason());
    });
  }

  stop(repository: string): void {
    const watch = this.#watches.get(repository);
    this.#watches.delete(repository);
    watch?.end();
  }
}
