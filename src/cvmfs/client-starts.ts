/** Tells the processes of our client when containers start and end. */

import { relative } from 'node:path';
import { setImmediate } from 'node:timers/promises';

import { asThinlayerError } from '../core/errors.js';
import type { ThinlayerError } from '../core/errors.js';
import type { Starts } from '../core/repository.js';
import { askClient } from './client-socket.js';

export interface ClientStartsOptions {
  /** The control socket of a repository's process. */
  readonly socket: (repository: string) => string;
  readonly mountpoint: (repository: string) => string;
  readonly failed: (error: ThinlayerError) => void;
}

export class ClientStarts implements Starts {
  readonly #options: ClientStartsOptions;
  /** The last message of each holder: an end must not overtake its beginning. */
  readonly #sent = new Map<string, Promise<unknown>>();

  constructor(options: ClientStartsOptions) {
    this.#options = options;
  }

  begin(repository: string, holder: string, directories: readonly string[]): void {
    const mountpoint = this.#options.mountpoint(repository);
    const layers = directories.map((directory) => relative(mountpoint, directory));
    this.#send(repository, holder, '/start/begin', { holder, layers });
  }

  end(repository: string, holder: string): void {
    this.#send(repository, holder, '/start/end', { holder });
  }

  #send(repository: string, holder: string, path: string, body: object): void {
    const key = `${repository} ${holder}`;
    // The attach is answered first: nobody waits for this.
    const before = this.#sent.get(key) ?? setImmediate();
    const sent = before
      .then(() => askClient(this.#options.socket(repository), 'POST', path, { body }))
      .then(
        () => undefined,
        (error: unknown) => this.#options.failed(asThinlayerError(error)),
      )
      .finally(() => {
        if (this.#sent.get(key) === sent) this.#sent.delete(key);
      });
    this.#sent.set(key, sent);
  }
}
