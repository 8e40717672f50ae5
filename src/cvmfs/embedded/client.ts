/** One mounted repository: what the kernel asks for and the cache lacks is fetched; new revisions appear under the mount. */

import { asThinlayerError, ThinlayerError, undone } from '../../core/errors.js';
import { EMPTY_BLACKLIST, parseBlacklist } from './blacklist.js';
import type { Blacklist } from './blacklist.js';
import { Cache } from './cache/cache.js';
import { CacheControl } from './cache-control.js';
import type { ShownCacheFacts } from './cache-control.js';
import { CatalogPins } from './cache/catalog-pins.js';
import { quotaWarning } from './cache/smallest-quota.js';
import { SYSTEM_CLOCK } from './clock.js';
import type { ClientConfig } from './config/client-config.js';
import type { ConfigFiles } from './config/config-files.js';
import type { MountArguments } from './config/mount-arguments.js';
import { Damage } from './damage.js';
import { FailureLog } from './failure-log.js';
import { IdleMemory } from './idle-memory.js';
import { ExternalServers } from './external-files.js';
import { externalFetchOptions, fetchOptions } from './fetch-options.js';
import { withoutPassword } from './fetch/failover.js';
import { FETCH_DEFAULTS, Fetcher } from './fetch/fetcher.js';
import type { Proxy } from './fetch/routes.js';
import { metricsText } from './metrics.js';
import { mountRepository } from './mount.js';
import type { CvmfsMount } from './mount.js';
import { Starts } from './prefetch/starts.js';
import { hashText, objectPath } from './object-id.js';
import { Objects } from './objects.js';
import { provide } from './provide.js';
import { Repository } from './repository.js';
import type { RepositoryEvent } from './repository.js';
import { readMasterKey } from './trust.js';

/** How often the cache learns what was opened. */
const USED_MS = 10_000;
/** After the mount: the first requests have the machine to themselves. What is not needed for them comes then. */
const SETTLED_MS = 1000;

export interface ClientLog {
  info(facts: object, message: string): void;
  warn(facts: object, message: string): void;
  error(facts: object, message: string): void;
}

export interface ClientOptions {
  readonly config: ClientConfig;
  readonly arguments: Pick<MountArguments, 'mountpoint' | 'layers' | 'suid' | 'mountOptions' | 'namespace'>;
  readonly files: ConfigFiles;
  readonly version: string;
  readonly log: ClientLog;
  /** Gives up mounting. */
  readonly signal?: AbortSignal | undefined;
  /** Called once, some time after the mount: its first requests are over. */
  readonly settled: () => void;
  /** The mount ended though nobody asked for it. */
  readonly ended: (error?: Error) => void;
}

/** What a `thinlayer-cvmfs` says of itself. */
export interface ClientStatus {
  readonly repository: string;
  readonly mountpoint: string;
  readonly pid: number;
  readonly version: string;
  readonly revision: number;
  readonly root: string;
  /** Why no server was heard lately; null while one is. */
  readonly offline: string | null;
  /** Where the next request goes. */
  readonly host: string | null;
  readonly proxy: string | null;
  readonly cache: ShownCacheFacts;
  readonly statistics: Readonly<Record<string, number>>;
  /** What was fetched ahead; null if it is off. */
  readonly prefetch: Starts['statistics'] | null;
}

export class Client {
  readonly #options: ClientOptions;
  readonly #fetcher: Fetcher;
  readonly #external: ExternalServers;
  readonly #repository: Repository;
  readonly #mount: CvmfsMount;
  readonly #usage: NodeJS.Timeout;
  #settling: NodeJS.Timeout | undefined;
  readonly #pins: CatalogPins;
  readonly cache: CacheControl;
  readonly #starts: Starts | null;
  readonly #memory: IdleMemory;
  /** Settles when the newest revision is under the mount, with why it cannot be. */
  #shown: Promise<ThinlayerError | null> = Promise.resolve(null);

  private constructor(
    options: ClientOptions,
    fetcher: Fetcher,
    external: ExternalServers,
    repository: Repository,
    mount: CvmfsMount,
    objects: Objects,
    pins: CatalogPins,
    starts: Starts | null,
  ) {
    this.#pins = pins;
    this.cache = new CacheControl(objects.cache, mount);
    this.#options = options;
    this.#fetcher = fetcher;
    this.#external = external;
    this.#repository = repository;
    this.#mount = mount;
    this.#starts = starts;
    this.#memory = new IdleMemory({ statistics: () => mount.statistics() });
    this.#usage = setInterval(() => this.#lookAfter(objects), USED_MS);
    this.#usage.unref();
  }

  /** Resolves when the newest revision that can be trusted is mounted. Rejects with what is wrong; then nothing is. */
  static async mount(options: ClientOptions): Promise<Client> {
    const { config } = options;
    const fetcher = new Fetcher(fetchOptions(config));
    const external = new ExternalServers(externalFetchOptions(config), fetcher.counters);
    try {
      const { directory, quotaBytes } = config.cache;
      const cache = await Cache.open({ directory, limit: quotaBytes ?? Infinity, clock: SYSTEM_CLOCK });
      const objects = new Objects(cache, fetcher, () => external.fetcher);
      // Nothing happens to the repository before it is followed: the client is there by then.
      const onEvent = (event: RepositoryEvent) => client.#noteEvent(event);
      const repository = await openRepository(options, fetcher, objects, onEvent);
      const pins = new CatalogPins(cache);
      // Nothing starts before the client is there to be told of it.
      const noteUsed = () => void client.#noteUsed(objects);
      const starts = config.prefetch ? newStarts(options, objects, noteUsed) : null;
      const mount = await mountOn(options, repository, objects, pins, starts);
      const client = new Client(options, fetcher, external, repository, mount, objects, pins, starts);
      await client.#begin(cache);
      return client;
    } catch (error) {
      await fetcher.close();
      throw error;
    }
  }

  status(): ClientStatus {
    const { config, arguments: args, version } = this.#options;
    const { root, revision, offline } = this.#repository.facts;
    const route = this.#fetcher.route;
    return {
      repository: config.fqrn,
      mountpoint: args.mountpoint,
      pid: process.pid,
      version,
      revision,
      root: objectPath(root),
      offline: offline?.message ?? null,
      host: route?.host ?? null,
      proxy: route?.proxy ? withoutPassword(route.proxy) : null,
      cache: this.cache.facts(),
      statistics: this.#mount.statistics(),
      prefetch: this.#starts?.statistics ?? null,
    };
  }

  revision(): { readonly revision: number; readonly root: string; readonly published: string | null } {
    const { revision, root, published } = this.#repository.facts;
    // A Date holds less than a manifest may say.
    const date = new Date(Math.min(published * 1000, 8.64e15));
    return { revision, root: hashText(root), published: published === 0 ? null : date.toISOString() };
  }

  /** In the order of the configuration; `next` is asked next. */
  hosts(): readonly { readonly host: string; readonly next: boolean }[] {
    const next = this.#fetcher.route?.host;
    return this.#fetcher.servers.hosts.map((host) => ({ host, next: host === next }));
  }

  proxies(): { readonly next: string; readonly groups: readonly (readonly string[])[] } {
    const shown = (proxy: Proxy) => (proxy === null ? 'DIRECT' : withoutPassword(proxy));
    const groups = this.#fetcher.servers.proxies.map((group) => group.map(shown));
    return { next: shown(this.#fetcher.route?.proxy ?? null), groups };
  }

  metrics(): string {
    return metricsText(this.status(), this.#fetcher.counters.hosts);
  }

  /** A container starts on an image; see `Starts.begin`. */
  async beginStart(holder: string, layers: readonly string[]): Promise<void> {
    await this.#starts?.begin(holder, layers);
  }

  async endStart(holder: string): Promise<void> {
    await this.#starts?.end(holder);
  }

  /**
   * Looks for a new revision now, and shows it: who asked sees it, and nothing that the kernel has cached of the one before.
   * Rejects if no server could be heard, or if the new revision cannot be shown.
   */
  async refresh(): Promise<ClientStatus> {
    await this.#repository.refresh();
    const failure = this.#repository.facts.offline ?? (await this.#shown);
    if (failure) throw failure;
    return this.status();
  }

  async unmount(): Promise<void> {
    clearInterval(this.#usage);
    clearTimeout(this.#settling);
    await this.#starts?.close();
    await this.#mount.unmount();
    await this.#repository.close();
    await Promise.all([this.#fetcher.close(), this.#external.close()]);
  }

  async #begin(cache: Cache): Promise<void> {
    const { log, config } = this.#options;
    const warning = quotaWarning(cache.facts, config.fqrn);
    if (warning !== null) log.warn({ repository: config.fqrn }, warning);
    if (this.#repository.facts.offline) this.#warnOffline(this.#repository.facts.offline);
    try {
      await this.#show();
    } catch (error) {
      throw await undone(error, () => this.unmount());
    }
    void this.#repository.follow();
    this.#settling = setTimeout(() => void this.#settle(cache), SETTLED_MS).unref();
  }

  async #settle(cache: Cache): Promise<void> {
    this.#options.settled();
    this.#memory.begin();
    try {
      await cache.makeDirectories();
    } catch (error) {
      this.#options.log.warn({ repository: this.#options.config.fqrn }, asThinlayerError(error).message);
    }
  }

  #noteEvent(event: RepositoryEvent): void {
    const { log, config } = this.#options;
    const facts = { repository: config.fqrn };
    if (event.type === 'offline') return this.#warnOffline(event.error);
    if (event.type === 'online') return log.info(facts, `${config.fqrn} hears from a server again`);
    this.#shown = this.#show().then(
      () => null,
      (failure: unknown) => {
        const error = asThinlayerError(failure);
        log.error(facts, error.message);
        return error;
      },
    );
  }

  #warnOffline(error: ThinlayerError): void {
    const { log, config } = this.#options;
    log.warn({ repository: config.fqrn }, `${config.fqrn} goes on with what it has: ${error.message}`);
  }

  /** The revision of the repository's facts becomes the one under the mount. */
  async #show(): Promise<void> {
    const { log, config } = this.#options;
    const { root, revision } = this.#repository.facts;
    this.#mount.setMagic(this.#magic());
    try {
      await this.#mount.setRoot(objectPath(root), revision);
    } catch (error) {
      await this.#showAnew(asThinlayerError(error));
    }
    log.info({ repository: config.fqrn, revision }, `${config.fqrn} shows revision ${revision}`);
  }

  async #showAnew(cause: ThinlayerError): Promise<void> {
    const { log, config } = this.#options;
    const { root, revision } = this.#repository.facts;
    if (cause.code !== 'not_found' && cause.code !== 'data_loss') throw cause;
    const why = cause.code === 'not_found' ? 'the cache lost it' : 'it was damaged in the cache';
    log.warn({ repository: config.fqrn }, `${config.fqrn}: the root catalog is fetched anew: ${why}`);
    await this.#repository.fetchRootAnew();
    await this.#mount.setRoot(objectPath(root), revision).catch((error: unknown) => {
      if (asThinlayerError(error).code !== 'data_loss') throw error;
      throw new ThinlayerError(
        'data_loss',
        `the root catalog of ${config.fqrn}, ${objectPath(root)}, cannot be read, also when fetched anew; its publisher has to mend it`,
        { op: 'mount', cause: error },
      );
    });
  }

  #magic(): Record<string, string> {
    const { fqrn, servers } = this.#options.config;
    const { root, revision } = this.#repository.facts;
    const route = this.#fetcher.route;
    return {
      'user.fqrn': fqrn,
      'user.revision': String(revision),
      'user.root_hash': root.hex,
      'user.host': route?.host ?? servers[0] ?? '',
      'user.proxy': route?.proxy ? withoutPassword(route.proxy) : 'DIRECT',
      'user.pid': String(process.pid),
      'user.version': this.#options.version,
    };
  }

  #lookAfter(objects: Objects): void {
    void this.#noteUsed(objects);
    this.#memory.look();
  }

  async #noteUsed(objects: Objects): Promise<void> {
    try {
      const used = this.#mount.takeUsed();
      // What was evicted takes room on the disk as long as it is open.
      this.#mount.letGo();
      this.#starts?.opened(used);
      await objects.cache.used(used);
      this.#pins.keep(used);
    } catch (error) {
      this.#options.log.warn({ repository: this.#options.config.fqrn }, asThinlayerError(error).message);
    }
  }
}

function openRepository(
  { config, files, signal }: ClientOptions,
  fetcher: Fetcher,
  objects: Objects,
  onEvent: (event: RepositoryEvent) => void,
): Promise<Repository> {
  return Repository.open(
    {
      fqrn: config.fqrn,
      pinned: config.pinned,
      keys: config.publicKeys.map(({ pem, path }) => readMasterKey(pem, path)),
      blacklist: readBlacklist(config.blacklists, files),
      fetcher,
      objects,
      clock: SYSTEM_CLOCK,
      ...(config.maxTtlSeconds !== null && { maxTtlSeconds: config.maxTtlSeconds }),
      onEvent,
    },
    signal,
  );
}

function readBlacklist(paths: readonly string[], files: ConfigFiles): Blacklist {
  const texts = paths.map((path) => files.read(path) ?? '');
  return texts.some((text) => text !== '') ? parseBlacklist(texts.join('\n')) : EMPTY_BLACKLIST;
}

function newStarts({ config, log }: ClientOptions, objects: Objects, noteUsed: () => void): Starts {
  const { fqrn } = config;
  return new Starts({ fqrn, objects, connections: FETCH_DEFAULTS.connections, log, noteUsed });
}

async function mountOn(
  options: ClientOptions,
  repository: Repository,
  objects: Objects,
  pins: CatalogPins,
  starts: Starts | null,
): Promise<CvmfsMount> {
  const { config, arguments: args, log, ended } = options;
  const { view, fqrn, cache, variables } = config;
  const damage = new Damage({ cache: objects.cache, clock: SYSTEM_CLOCK, log });
  const failures = new FailureLog(log, SYSTEM_CLOCK);
  const context = { repository, pins, damage, failures, letGo: () => mount.letGo() };
  const mount: CvmfsMount = await mountRepository(
    {
      mountpoint: args.mountpoint,
      fqrn,
      cache: cache.directory,
      owner: view.claimOwnership ? claimant(args) : null,
      namespace: args.namespace,
      uidMap: view.uidMap,
      gidMap: view.gidMap,
      layers: args.layers,
      variables,
      suid: args.suid || view.suid,
      hideMagicXattrs: view.magicXattrs === 'never',
      kernelCacheSeconds: view.kernelCacheSeconds,
      mountOptions: args.mountOptions,
    },
    (miss) => {
      const work = () => provide(context, miss);
      // A profile names objects of the repository: whoever has it need not know of other servers.
      const provided = starts && !miss.external ? starts.duringMiss(miss, work) : work();
      void provided.then((errno) => mount.complete(miss.number, errno));
    },
    ended,
    starts ? (files) => void starts.lookAhead(files) : undefined,
  );
  return mount;
}

/** In a user name space its root; else whoever mounts. */
function claimant({ namespace: { uids, gids } }: Pick<MountArguments, 'namespace'>): {
  uid: number;
  gid: number;
} {
  return {
    uid: uids.length > 0 ? 0 : (process.getuid?.() ?? 0),
    gid: gids.length > 0 ? 0 : (process.getgid?.() ?? 0),
  };
}
