/** One mounted repository: what the kernel asks for and the cache lacks is fetched; new revisions appear under the mount. */

import { asThinlayerError, undone } from '../../core/errors.js';
import { Cache } from './cache/cache.js';
import { CacheControl } from './cache-control.js';
import type { ShownCacheFacts } from './cache-control.js';
import { CatalogPins } from './cache/catalog-pins.js';
import { mountOn, newStarts, openRepository } from './client-parts.js';
import type { MountParts } from './client-parts.js';
import { quotaWarning } from './cache/smallest-quota.js';
import { SYSTEM_CLOCK } from './clock.js';
import type { ClientConfig } from './config/client-config.js';
import type { ConfigFiles } from './config/config-files.js';
import type { MountArguments } from './config/mount-arguments.js';
import { Failures } from './failures.js';
import { IdleMemory } from './idle-memory.js';
import { ExternalServers } from './external-files.js';
import { externalFetchOptions, fetchOptions } from './fetch-options.js';
import { withoutPassword } from './fetch/failover.js';
import { Fetcher } from './fetch/fetcher.js';
import type { Proxy } from './fetch/routes.js';
import { metricsText } from './metrics.js';
import type { CvmfsMount } from './mount.js';
import type { Starts } from './prefetch/starts.js';
import { hashText, objectPath } from './object-id.js';
import { Objects } from './objects.js';
import type { Repository } from './repository.js';
import type { RepositoryEvent, RepositoryFacts } from './repository.js';
import { ShownRevision } from './shown-revision.js';

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
  /** Why no server was heard lately, or why what one has cannot be shown; null while it is. */
  readonly offline: string | null;
  /** What could not be read last, and why; null: nothing, lately. Absent in older ones. */
  readonly failure?: string | null;
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
  readonly #failures: Failures;
  readonly cache: CacheControl;
  readonly #starts: Starts | null;
  readonly #memory: IdleMemory;
  readonly #shown: ShownRevision;

  private constructor(
    options: ClientOptions,
    fetcher: Fetcher,
    external: ExternalServers,
    mount: CvmfsMount,
    { repository, objects, pins, failures, starts }: MountParts,
  ) {
    this.#failures = failures;
    this.#pins = pins;
    this.cache = new CacheControl(objects.cache, mount);
    this.#options = options;
    this.#fetcher = fetcher;
    this.#external = external;
    this.#repository = repository;
    this.#mount = mount;
    this.#starts = starts;
    const { config, version, log } = options;
    this.#shown = new ShownRevision({ config, version, log, repository, mount, route: () => fetcher.route });
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
      // Nothing happens to the repository before it is shown: the client is there by then.
      const onEvent = (event: RepositoryEvent) => client.#shown.note(event);
      const show = (next: RepositoryFacts) => client.#shown.show(next);
      const repository = await openRepository(options, fetcher, objects, { onEvent, show });
      const pins = new CatalogPins(cache);
      // Nothing starts before the client is there to be told of it.
      const noteUsed = () => void client.#noteUsed(objects);
      const starts = config.prefetch ? newStarts(options, objects, noteUsed) : null;
      const failures = new Failures(options.log, SYSTEM_CLOCK);
      const parts = { repository, objects, pins, failures, starts };
      const client = new Client(options, fetcher, external, await mountOn(options, parts), parts);
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
      failure: this.#failures.latest,
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
    const { offline } = this.#repository.facts;
    if (offline) throw offline;
    return this.status();
  }

  async unmount(): Promise<void> {
    clearInterval(this.#usage);
    clearTimeout(this.#settling);
    await this.#starts?.close();
    // A refresh under way ends with the mount; that it does is no news.
    const closed = this.#repository.close();
    await this.#mount.unmount();
    await closed;
    await Promise.all([this.#fetcher.close(), this.#external.close()]);
  }

  async #begin(cache: Cache): Promise<void> {
    const { log, config } = this.#options;
    const warning = quotaWarning(cache.facts, config.fqrn);
    if (warning !== null) log.warn({ repository: config.fqrn }, warning);
    try {
      await this.#repository.show();
    } catch (error) {
      throw await undone(error, () => this.unmount());
    }
    if (this.#repository.facts.offline) this.#shown.warnOffline(this.#repository.facts.offline);
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

  #lookAfter(objects: Objects): void {
    void this.#noteUsed(objects);
    // The server that is asked may be another one by now.
    this.#shown.tellMagic();
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
      await objects.cache.tidy();
    } catch (error) {
      this.#options.log.warn({ repository: this.#options.config.fqrn }, asThinlayerError(error).message);
    }
  }
}
