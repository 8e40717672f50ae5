/** What the files of a configuration directory say about one repository, as values of their types. Immutable. */

import { posix } from 'node:path';

import { readHash as readObjectHash } from '../object-id.js';
import type { ConfigFiles } from './config-files.js';
import { readPublicKeys } from './keys.js';
import type { PublicKey } from './keys.js';
import { NO_OWNER_MAP, parseOwnerMap } from './owner-map.js';
import type { OwnerMap } from './owner-map.js';
import { readExternalProxies, readProxies, readServers } from './servers.js';
import type { Proxies } from './servers.js';
import type { Setting, Settings } from './settings.js';
import type { Note } from './shell.js';

export interface ClientConfig {
  readonly fqrn: string;
  readonly servers: readonly string[];
  readonly proxies: Proxies;
  readonly publicKeys: readonly PublicKey[];
  /** Files of certificates and revisions not to be trusted; they need not exist. */
  readonly blacklists: readonly string[];
  readonly cache: CacheConfig;
  readonly network: NetworkConfig;
  readonly external: ExternalConfig;
  /** Fetch ahead what an image reads at its start (THINLAYER_PREFETCH, ours). */
  readonly prefetch: boolean;
  /** The state to mount instead of the newest; null for the newest. */
  readonly pinned: Pinned | null;
  readonly view: ViewConfig;
  /** In this client's list of repositories that may be mounted, if there is one (CVMFS_STRICT_MOUNT). */
  readonly allowed: boolean;
  /** Upper bound for the time to live that a repository asks for; null for none. */
  readonly maxTtlSeconds: number | null;
  /** For `$(NAME)` in symbolic links: what the files set, whatever its name, and CVMFS_FQRN. */
  readonly variables: Readonly<Record<string, string>>;
  readonly settings: readonly Setting[];
  /** What in the files was not understood, and went without. */
  readonly notes: readonly Note[];
  /** All files that were looked for, in order. */
  readonly files: readonly LookedFor[];
}

export interface LookedFor {
  readonly path: string;
  readonly found: boolean;
}

export interface CacheConfig {
  readonly directory: string;
  /** null: no limit. */
  readonly quotaBytes: number | null;
}

export interface NetworkConfig {
  /** Through a proxy, and without. */
  readonly timeoutSeconds: number;
  readonly timeoutDirectSeconds: number;
  readonly maxRetries: number;
  readonly backoffInitSeconds: number;
  readonly backoffMaxSeconds: number;
  /** Bytes a second; a transfer that stays below for the timeout counts as timed out. 0: no limit. */
  readonly lowSpeedLimit: number;
  /** When to return to the first proxy group, or server, after a fail-over; null: as CERN's client does (`FETCH_DEFAULTS`). */
  readonly proxyResetSeconds: number | null;
  readonly hostResetSeconds: number | null;
}

/** Of files whose contents are not among the repository's objects. The rest of the network's is theirs too. */
export interface ExternalConfig {
  /** Often none: few repositories have such files. */
  readonly servers: readonly string[];
  readonly proxies: Proxies;
  readonly timeoutSeconds: number;
  readonly timeoutDirectSeconds: number;
}

export type Pinned =
  | { readonly kind: 'hash'; readonly hash: string }
  | { readonly kind: 'tag'; readonly tag: string }
  | { readonly kind: 'date'; readonly date: Date };

export interface ViewConfig {
  /** Everything belongs to the user who mounts. */
  readonly claimOwnership: boolean;
  readonly uidMap: OwnerMap;
  readonly gidMap: OwnerMap;
  readonly suid: boolean;
  /** The kernel checks permissions, not the client. */
  readonly checkPermissions: boolean;
  readonly kernelCacheSeconds: number;
  /** Where the `user.*` attributes of CVMFS are listed; they can be asked for everywhere. */
  readonly magicXattrs: 'rootonly' | 'always' | 'never';
}

const MIB = 1 << 20;

/** What the values become; the caller adds where they come from. Throws ThinlayerError with file and line. */
export function readClientConfig(
  settings: Settings,
  files: ConfigFiles,
  directory: string,
  fqrn: string,
): Omit<ClientConfig, 'variables' | 'settings' | 'notes' | 'files'> {
  const network = readNetwork(settings);
  return {
    fqrn,
    servers: readServers(settings),
    proxies: readProxies(settings),
    publicKeys: readPublicKeys(settings, files, directory, fqrn),
    blacklists: [settings.path('CVMFS_BLACKLIST', posix.join(directory, 'blacklist'))],
    cache: readCache(settings, fqrn),
    network,
    external: readExternal(settings, network),
    prefetch: settings.flag('THINLAYER_PREFETCH', true),
    pinned: readPinned(settings),
    view: readView(settings, files),
    allowed: isAllowed(settings, fqrn),
    maxTtlSeconds: settings.whole('CVMFS_MAX_TTL', 0) * 60 || null,
  };
}

/**
 * A directory of our own below that of CERN's client: the two name their objects alike, but its quota manager would neither count
 * our files nor expect them to go.
 */
function readCache(settings: Settings, fqrn: string): CacheConfig {
  const base = settings.path('CVMFS_CACHE_BASE', '/var/lib/cvmfs');
  const name = settings.flag('CVMFS_SHARED_CACHE', false) ? 'shared' : fqrn;
  const chosen = settings.path('CVMFS_CACHE_DIR', posix.join(base, name));
  const megabytes = settings.integer('CVMFS_QUOTA_LIMIT', 1024);
  return {
    directory: posix.join(posix.dirname(chosen), 'thinlayer', posix.basename(chosen)),
    quotaBytes: megabytes > 0 ? megabytes * MIB : null,
  };
}

/** The defaults are those of CERN's client where a file leaves one out (mountpoint.h, download.cc). */
function readNetwork(settings: Settings): NetworkConfig {
  return {
    timeoutSeconds: settings.whole('CVMFS_TIMEOUT', 5),
    timeoutDirectSeconds: settings.whole('CVMFS_TIMEOUT_DIRECT', 5),
    maxRetries: settings.whole('CVMFS_MAX_RETRIES', 1),
    backoffInitSeconds: settings.whole('CVMFS_BACKOFF_INIT', 2),
    backoffMaxSeconds: settings.whole('CVMFS_BACKOFF_MAX', 10),
    lowSpeedLimit: settings.whole('CVMFS_LOW_SPEED_LIMIT', 1024),
    proxyResetSeconds: settings.whole('CVMFS_PROXY_RESET_AFTER', 0) || null,
    hostResetSeconds: settings.whole('CVMFS_HOST_RESET_AFTER', 0) || null,
  };
}

function readExternal(settings: Settings, network: NetworkConfig): ExternalConfig {
  return {
    servers: readServers(settings, 'CVMFS_EXTERNAL_URL'),
    proxies: readExternalProxies(settings),
    timeoutSeconds: settings.whole('CVMFS_EXTERNAL_TIMEOUT', network.timeoutSeconds),
    timeoutDirectSeconds: settings.whole('CVMFS_EXTERNAL_TIMEOUT_DIRECT', network.timeoutDirectSeconds),
  };
}

/** A hash wins over a tag, a tag over a date (mountpoint.cc, DetermineRootHash). */
function readPinned(settings: Settings): Pinned | null {
  const hash = readHash(settings, 'CVMFS_ROOT_HASH') ?? readHash(settings, 'CVMFS_REPOSITORY_HASH');
  const tag = settings.text('CVMFS_REPOSITORY_TAG');
  const date = readDate(settings);
  if (hash !== null) return { kind: 'hash', hash };
  if (tag !== null) return { kind: 'tag', tag };
  return date && { kind: 'date', date };
}

function readHash(settings: Settings, name: string): string | null {
  const text = settings.text(name);
  if (text === null || readObjectHash(text, 'C') !== null) return text;
  throw settings.wrong(
    name,
    text,
    'the hash of a root catalog: 40 hexadecimal digits, and -rmd160 or -shake128',
  );
}

function readDate(settings: Settings): Date | null {
  const text = settings.text('CVMFS_REPOSITORY_DATE');
  if (text === null) return null;
  const date = new Date(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(text) ? text : NaN);
  // A Date takes 30 February for 2 March, and hour 24 for the next day's first.
  if (!Number.isNaN(date.getTime()) && date.toISOString() === text.replace('Z', '.000Z')) return date;
  throw settings.wrong('CVMFS_REPOSITORY_DATE', text, 'a time in UTC like 2024-12-31T23:59:59Z');
}

function readView(settings: Settings, files: ConfigFiles): ViewConfig {
  return {
    claimOwnership: settings.flag('CVMFS_CLAIM_OWNERSHIP', false),
    uidMap: readOwnerMap(settings, files, 'CVMFS_UID_MAP'),
    gidMap: readOwnerMap(settings, files, 'CVMFS_GID_MAP'),
    suid: settings.flag('CVMFS_SUID', false),
    checkPermissions: settings.flag('CVMFS_CHECK_PERMISSIONS', false),
    kernelCacheSeconds: Math.max(0, settings.integer('CVMFS_KCACHE_TIMEOUT', 60)),
    magicXattrs: readMagicXattrs(settings),
  };
}

function readOwnerMap(settings: Settings, files: ConfigFiles, name: string): OwnerMap {
  const path = settings.path(name, '');
  if (path === '') return NO_OWNER_MAP;
  const text = files.read(path);
  if (text === null) throw settings.invalid(name, `the file ${path} does not exist`);
  return parseOwnerMap(text, path);
}

/** CVMFS_MAGIC_XATTRS_VISIBILITY came with 2.9.1 and wins over the older CVMFS_HIDE_MAGIC_XATTRS. */
function readMagicXattrs(settings: Settings): ViewConfig['magicXattrs'] {
  const isHidden = settings.flag('CVMFS_HIDE_MAGIC_XATTRS', false);
  const isSet = settings.text('CVMFS_HIDE_MAGIC_XATTRS') !== null;
  const older = isSet ? (isHidden ? 'never' : 'always') : 'rootonly';
  return settings.oneOf('CVMFS_MAGIC_XATTRS_VISIBILITY', ['rootonly', 'always', 'never'], older);
}

function isAllowed(settings: Settings, fqrn: string): boolean {
  const domain = settings.text('CVMFS_DEFAULT_DOMAIN');
  const names = settings.list('CVMFS_REPOSITORIES', ',').map(({ text }) => text);
  const full = names.map((name) => (name.includes('.') || domain === null ? name : `${name}.${domain}`));
  return !settings.flag('CVMFS_STRICT_MOUNT', false) || full.includes(fqrn);
}
