/** The revision under the mount follows that of the repository, and the log tells of it. */

import { asThinlayerError, ThinlayerError } from '../../core/errors.js';
import type { ClientLog } from './client.js';
import type { ClientConfig } from './config/client-config.js';
import { withoutPassword } from './fetch/failover.js';
import type { Route } from './fetch/routes.js';
import type { CvmfsMount } from './mount.js';
import { hashText, objectPath } from './object-id.js';
import type { Repository, RepositoryEvent, RepositoryFacts } from './repository.js';

export interface ShownRevisionOptions {
  readonly config: ClientConfig;
  readonly version: string;
  readonly log: ClientLog;
  readonly repository: Repository;
  readonly mount: CvmfsMount;
  /** Where the next request goes. */
  readonly route: () => Route | null;
}

export class ShownRevision {
  readonly #options: ShownRevisionOptions;

  constructor(options: ShownRevisionOptions) {
    this.#options = options;
  }

  /** Becomes the one under the mount. Rejects if it cannot be read: the former one stays. */
  async show(next: RepositoryFacts): Promise<void> {
    const { log, config, mount } = this.#options;
    const { root, revision } = next;
    this.tellMagic();
    try {
      await mount.setRoot(objectPath(root), revision);
    } catch (error) {
      await this.#showAnew(next, asThinlayerError(error));
    }
    log.info({ repository: config.fqrn, revision }, `${config.fqrn} shows revision ${revision}`);
  }

  note(event: RepositoryEvent): void {
    const { log, config } = this.#options;
    if (event.type === 'offline') return this.warnOffline(event.error);
    log.info({ repository: config.fqrn }, `${config.fqrn} hears from a server again`);
  }

  warnOffline(error: ThinlayerError): void {
    const { log, config } = this.#options;
    log.warn({ repository: config.fqrn }, `${config.fqrn} goes on with what it has: ${error.message}`);
  }

  /** The magic attributes tell of now; those of the revision the mount knows by itself. */
  tellMagic(): void {
    const { config, mount, version } = this.#options;
    const route = this.#options.route();
    mount.setMagic({
      'user.fqrn': config.fqrn,
      'user.host': route?.host ?? config.servers[0] ?? '',
      'user.proxy': route?.proxy ? withoutPassword(route.proxy) : 'DIRECT',
      'user.pid': String(process.pid),
      'user.version': version,
    });
  }

  async #showAnew(next: RepositoryFacts, cause: ThinlayerError): Promise<void> {
    const { log, config, repository, mount } = this.#options;
    if (cause.code !== 'not_found' && cause.code !== 'data_loss') throw cause;
    const why = cause.code === 'not_found' ? 'the cache lost it' : 'it was damaged in the cache';
    log.warn({ repository: config.fqrn }, `${config.fqrn}: the root catalog is fetched anew: ${why}`);
    await repository.fetchRootAnew(next);
    const { root, revision } = next;
    await mount.setRoot(objectPath(root), revision).catch((error: unknown) => {
      if (asThinlayerError(error).code !== 'data_loss') throw error;
      throw new ThinlayerError(
        'data_loss',
        `the root catalog of ${config.fqrn}, ${hashText(root)}, cannot be read, also when fetched anew; its publisher has to mend it`,
        { op: 'mount', cause: error },
      );
    });
  }
}
