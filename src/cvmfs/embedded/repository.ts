/**
 * One repository as it is shown: its root catalog, kept current. When no server answers, none can be trusted, or what a server has
 * cannot be shown, it goes on with what it has, and says so.
 */

import { ThinlayerError, asThinlayerError } from '../../core/errors.js';
import { readBreadcrumb, writeBreadcrumb } from './cache/breadcrumb.js';
import type { Breadcrumb } from './cache/breadcrumb.js';
import type { Pinned } from './config/client-config.js';
import { fetchRoot, loadTrusted } from './load.js';
import type { LoadContext, Trusted } from './load.js';
import { objectPath } from './object-id.js';
import type { ObjectId } from './object-id.js';
import type { FetchHow } from './objects.js';
import { checkRevision } from './trust.js';

export interface RepositoryFacts extends Breadcrumb {
  /** Null: the repository was opened from the cache alone, and no server has been heard since. */
  readonly trusted: Trusted | null;
  /** Why the last attempt to hear of a new revision, and to show it, failed. */
  readonly offline: ThinlayerError | null;
  /** Milliseconds since 1970. */
  readonly heardAt: number | null;
}

export type RepositoryEvent =
  { readonly type: 'offline'; readonly error: ThinlayerError } | { readonly type: 'online' };

export interface RepositoryOptions extends Omit<LoadContext, 'signal'> {
  /** A state to stay at, in place of the newest. */
  readonly pinned?: Pinned | null;
  /** CVMFS_MAX_TTL. */
  readonly maxTtlSeconds?: number;
  /**
   * What they tell of becomes what users see; the root catalog is pinned in the cache. Rejects if it cannot be read: then users see
   * what they saw before.
   */
  readonly show: (next: RepositoryFacts) => Promise<void>;
  readonly onEvent: (event: RepositoryEvent) => void;
}

/** CERN's, both. */
const DEFAULT_TTL_SECONDS = 240;
const RETRY_SECONDS = 180;
/** No publisher is that fast; none may keep us busy. A day is as long as anybody should believe a manifest. */
const SHORTEST_TTL_SECONDS = 5;
const LONGEST_TTL_SECONDS = 86_400;

export class Repository {
  readonly #options: RepositoryOptions;
  readonly #closed = new AbortController();
  /** What was shown last, by whichever process: as long as nothing is shown, there is this to go back to. */
  readonly #known: Breadcrumb | null;
  #facts: RepositoryFacts;
  #refreshing: Promise<void> | null = null;
  /** The one after it, if somebody asked meanwhile. */
  #next: Promise<void> | null = null;
  /** The root catalog of the breadcrumb that this process wrote last. */
  #left: ObjectId | null = null;

  private constructor(options: RepositoryOptions, facts: RepositoryFacts, known: Breadcrumb | null) {
    this.#options = options;
    this.#facts = facts;
    this.#known = known;
    options.objects.cache.pin(facts.root);
  }

  /**
   * Verified from a server; or else as it was last seen, if the cache still holds that root catalog (`offline` in its
   * facts says why). Rejects as `loadTrusted` does, when there is neither; with `aborted` when `signal` says so. `show` comes next.
   */
  static async open(options: RepositoryOptions, signal?: AbortSignal): Promise<Repository> {
    const { fqrn, objects, clock } = options;
    if (options.pinned) {
      // Few are: the others need not wait until it is loaded.
      const { loadPinned } = await import('./pinned.js');
      const state = await loadPinned({ ...options, signal }, options.pinned);
      return new Repository(options, { ...state, offline: null, heardAt: clock.now() }, null);
    }
    const known = await readBreadcrumb(objects.cache.directory, fqrn);
    try {
      const trusted = await loadTrusted({ ...options, signal }, known, null);
      if (!trusted) throw new ThinlayerError('internal', `manifest of ${fqrn} was not loaded`);
      const facts = { ...breadcrumb(trusted), trusted, offline: null, heardAt: clock.now() };
      return new Repository(options, facts, known);
    } catch (error) {
      if (signal?.aborted) throw error;
      return new Repository(options, await offlineFacts(options, known, asThinlayerError(error)), known);
    }
  }

  get facts(): RepositoryFacts {
    return this.#facts;
  }

  /**
   * Shows what was opened; if that cannot be, what was shown before, as though no server had been heard. Once, and before anything
   * is followed. Rejects if there is neither.
   */
  async show(): Promise<void> {
    try {
      await this.#adopt(this.#facts);
    } catch (error) {
      await this.#adopt(await this.#former(asThinlayerError(error)));
    }
    await this.#leaveBreadcrumb();
  }

  /**
   * For a root catalog, shown or about to be, that the cache lost, or holds damaged. Rejects with what it needs, if no server was
   * heard of it.
   */
  async fetchRootAnew({ root, trusted, offline }: RepositoryFacts): Promise<void> {
    await this.#options.objects.cache.evict(root);
    if (this.#options.pinned) {
      const { fetchPinnedRoot } = await import('./pinned.js');
      return await fetchPinnedRoot(this.#options, root);
    }
    if (trusted) return await fetchRoot(this.#options, trusted.manifest);
    const { fqrn } = this.#options;
    const message = `the root catalog of ${fqrn} is not in the cache any more, and cannot be fetched: ${offline?.message}`;
    throw new ThinlayerError('unavailable', message, { op: 'mount' });
  }

  /** See `Objects.fetch`. */
  async fetchObject(id: ObjectId, how: FetchHow): Promise<string> {
    return await this.#options.objects.fetch(id, how);
  }

  /**
   * Asks for a new revision now, unless it stays at one. What came of it is in `facts`, and was told by `onEvent`. One under way may
   * have heard the server before that was published which the caller knows of: there is another after it.
   */
  async refresh(): Promise<void> {
    if (this.#options.pinned) return;
    if (this.#refreshing) this.#next ??= this.#refreshing.then(() => this.#goOn());
    await (this.#next ?? this.#begin());
  }

  /** Refreshes as often as the manifest says, until `close`. */
  async follow(): Promise<void> {
    const { signal } = this.#closed;
    while (!signal.aborted && !this.#options.pinned) {
      await this.#options.clock.sleep(this.#secondsToWait() * 1000, signal).catch((error: unknown) => {
        if (!signal.aborted) throw error;
      });
      if (!signal.aborted) await this.refresh();
    }
  }

  async close(): Promise<void> {
    this.#closed.abort();
    await (this.#next ?? this.#refreshing);
    this.#options.objects.cache.unpin(this.#facts.root);
  }

  #secondsToWait(): number {
    if (this.#facts.offline) return RETRY_SECONDS;
    const ttl = this.#facts.trusted?.manifest.ttlSeconds ?? DEFAULT_TTL_SECONDS;
    const bounded = Math.min(ttl, this.#options.maxTtlSeconds ?? LONGEST_TTL_SECONDS, LONGEST_TTL_SECONDS);
    return Math.max(bounded, SHORTEST_TTL_SECONDS);
  }

  #begin(): Promise<void> {
    this.#refreshing ??= this.#refresh().finally(() => {
      this.#refreshing = null;
    });
    return this.#refreshing;
  }

  async #goOn(): Promise<void> {
    this.#next = null;
    if (!this.#closed.signal.aborted) await this.#begin();
  }

  async #refresh(): Promise<void> {
    const context = { ...this.#options, signal: this.#closed.signal };
    try {
      const trusted = await loadTrusted(context, this.#facts, this.#facts.root);
      if (trusted) await this.#adopt({ ...this.#facts, ...breadcrumb(trusted), trusted });
      await this.#leaveBreadcrumb();
      this.#online();
    } catch (error) {
      if (!this.#closed.signal.aborted) this.#offline(asThinlayerError(error));
    }
  }

  /** They are the facts from when users see them. If these cannot, all is as it was. */
  async #adopt(next: RepositoryFacts): Promise<void> {
    const { cache } = this.#options.objects;
    const before = this.#facts.root;
    cache.pin(next.root);
    try {
      await this.#options.show(next);
    } catch (error) {
      cache.unpin(next.root);
      throw error;
    }
    this.#facts = next;
    cache.unpin(before);
  }

  async #former(failure: ThinlayerError): Promise<RepositoryFacts> {
    const { root, trusted } = this.#facts;
    const known = this.#known;
    if (!trusted || !known || objectPath(known.root) === objectPath(root)) throw failure;
    return await offlineFacts(this.#options, known, failure);
  }

  /** The next process begins with what could be shown, and takes nothing older. What a full disk prevents is made up for later. */
  async #leaveBreadcrumb(): Promise<void> {
    const { fqrn, objects, pinned } = this.#options;
    const { root, trusted } = this.#facts;
    if (pinned || !trusted || (this.#left && objectPath(this.#left) === objectPath(root))) return;
    await writeBreadcrumb(objects.cache.directory, fqrn, this.#facts);
    this.#left = root;
  }

  #online(): void {
    const wasOffline = this.#facts.offline !== null;
    this.#facts = { ...this.#facts, offline: null, heardAt: this.#options.clock.now() };
    if (wasOffline) this.#options.onEvent({ type: 'online' });
  }

  #offline(error: ThinlayerError): void {
    this.#facts = { ...this.#facts, offline: error };
    this.#options.onEvent({ type: 'offline', error });
  }
}

/** Rejects with `offline` if the cache holds nothing to go on with. */
async function offlineFacts(
  { fqrn, blacklist, objects }: RepositoryOptions,
  known: Breadcrumb | null,
  offline: ThinlayerError,
): Promise<RepositoryFacts> {
  if (!known || !(await objects.cache.find(known.root))) throw offline;
  checkRevision(known.revision, blacklist(), fqrn);
  return { ...known, trusted: null, offline, heardAt: null };
}

function breadcrumb({ manifest }: Trusted): Breadcrumb {
  const { root, published, revision } = manifest;
  return { root, published, revision };
}
