/** Options of the driver, as `--storage-opt` of dockerd or thinlayerd's command line give them: `key=value`. */

import { ThinlayerError } from './errors.js';
import { parseSize } from './size.js';
import { isFullRepositoryName } from './repository-name.js';

/** How much of an acknowledged change survives a power cut (ARCHITECTURE.md, "On disk"). */
export type SyncMode = 'records' | 'data' | 'off';

/**
 * `embedded`: our own client. `cvmfs2`: CERN's client. `external`: the host has them under /cvmfs. `internal`: CERN's client if
 * it is installed, else ours (the old plugin mounted with it, and its hosts have it).
 */
export type CvmfsMount = (typeof CVMFS_MOUNTS)[number] | 'internal';

const CVMFS_MOUNTS = ['embedded', 'cvmfs2', 'external'] as const;

export interface DriverOptions {
  /** Go on although a probe of the kernel's overlayfs failed. */
  readonly overrideKernelCheck: boolean;
  /** Default project quota of container layers in bytes; null for none. */
  readonly defaultQuota: number | null;
  /** Further options of each overlay mount, in the order given. */
  readonly mountOptions: readonly string[];
  readonly maxLowers: number;
  readonly sync: SyncMode;
  /** Who mounts CVMFS repositories. */
  readonly cvmfsMount: CvmfsMount;
  /** Who mounts these, in place of that. */
  readonly cvmfsMounts: ReadonlyMap<string, CvmfsMount>;
  /** In place of /etc/cvmfs, and then it has to be there; null: /etc/cvmfs, which ordinary images do without. */
  readonly cvmfsConfigDirectory: string | null;
  /** Where the layers of a descriptor are that names no repository; null: see `descriptorRepository`. */
  readonly cvmfsRepository: string | null;
  /** Where layers of ordinary images are published too; null for nowhere. Docker has to unpack them all the same. */
  readonly cvmfsLayers: string | null;
  /** Fetch ahead what an image read at its start before. */
  readonly cvmfsPrefetch: boolean;
}

export const DEFAULT_OPTIONS: DriverOptions = {
  overrideKernelCheck: false,
  defaultQuota: null,
  mountOptions: [],
  maxLowers: 128,
  sync: 'records',
  cvmfsMount: 'embedded',
  cvmfsMounts: new Map(),
  cvmfsConfigDirectory: null,
  cvmfsRepository: null,
  cvmfsLayers: null,
  cvmfsPrefetch: true,
};

/** The largest public collection of unpacked images. */
const PUBLIC_REPOSITORY = 'unpacked.cern.ch';

/** Where a layer is looked up by its digest alone. */
export function descriptorRepository({ cvmfsRepository, cvmfsLayers }: DriverOptions): string {
  return cvmfsRepository ?? cvmfsLayers ?? PUBLIC_REPOSITORY;
}

/** The kernel's own limit, OVL_MAX_STACK. */
const KERNEL_MAX_LOWERS = 500;

/** What `overlay2.mountopt` may hold: flags of the mount, and overlay options that do not change what a layer means. */
const MOUNT_OPTIONS = new Set([
  'nodev',
  'nosuid',
  'noexec',
  'noatime',
  'nodiratime',
  'relatime',
  'sync',
  'dirsync',
  'volatile',
  'xino=on',
  'xino=off',
  'xino=auto',
]);

/** Values of the old plugin's `cvmfsMountMethod`; any other meant that the host mounts. */
const LEGACY_MOUNTS: Readonly<Record<string, CvmfsMount>> = { internal: 'internal' };

type Parser = (value: string, key: string) => Partial<DriverOptions>;

const PARSERS: Readonly<Record<string, Parser>> = {
  'overlay2.override_kernel_check': (v, k) => ({ overrideKernelCheck: parseBoolean(v, k) }),
  // 0 is no limit, as with Docker's own driver, which then asks for no quotas of the file system either.
  'overlay2.size': (v, k) => ({ defaultQuota: parseSize(v, k) || null }),
  'overlay2.mountopt': (v, k) => ({ mountOptions: parseMountOptions(v, k) }),
  'thinlayer.max_lowers': (v, k) => ({ maxLowers: parseMaxLowers(v, k) }),
  'thinlayer.sync': (v, k) => ({ sync: parseSync(v, k) }),
  'cvmfs.mount': (v, k) => ({ cvmfsMount: parseMount(v, k) }),
  'cvmfs.config_dir': (v, k) => ({ cvmfsConfigDirectory: parseDirectory(v, k) }),
  'cvmfs.repository': (v, k) => ({ cvmfsRepository: parseRepository(v, k) }),
  'cvmfs.layers': (v, k) => ({ cvmfsLayers: parseRepository(v, k) }),
  'cvmfs.prefetch': (v, k) => ({ cvmfsPrefetch: parseSwitch(v, k) }),
  cvmfsmountmethod: (v) => ({ cvmfsMount: LEGACY_MOUNTS[v.toLowerCase()] ?? 'external' }),
};

/** The last of a repeated key wins, as with Docker's own driver. Keys match in any case. Throws `invalid_argument`. */
export function parseOptions(texts: readonly string[]): DriverOptions {
  return texts.reduce<DriverOptions>(
    (options, text) => ({ ...options, ...parseOption(text, options) }),
    DEFAULT_OPTIONS,
  );
}

/** `cvmfs.mount.REPOSITORY`, in any case as the other keys. */
const MOUNT_OF_ONE = /^cvmfs\.mount\.(.+)$/i;

function parseOption(text: string, { cvmfsMounts }: DriverOptions): Partial<DriverOptions> {
  const at = text.indexOf('=');
  if (at < 1) throw invalid(`storage option ${JSON.stringify(text)} is not of the form key=value`);
  const key = text.slice(0, at).trim();
  const value = text.slice(at + 1).trim();
  const repository = MOUNT_OF_ONE.exec(key)?.[1];
  if (repository !== undefined) {
    return {
      cvmfsMounts: new Map([...cvmfsMounts, [parseRepository(repository, key), parseMount(value, key)]]),
    };
  }
  const parser = Object.hasOwn(PARSERS, key.toLowerCase()) ? PARSERS[key.toLowerCase()] : undefined;
  if (!parser) throw invalid(`unknown storage option ${JSON.stringify(key)}; known are ${knownOptions()}`);
  return parser(value, key);
}

function knownOptions(): string {
  const keys = Object.keys(PARSERS).filter((k) => k !== 'cvmfsmountmethod');
  return [...keys, 'cvmfs.mount.REPOSITORY', 'cvmfsMountMethod'].join(', ');
}

/** The spellings of Go's strconv.ParseBool, which Docker's driver uses. */
function parseBoolean(value: string, key: string): boolean {
  if (/^(1|t|T|true|TRUE|True)$/.test(value)) return true;
  if (/^(0|f|F|false|FALSE|False)$/.test(value)) return false;
  throw invalid(`${key}: ${JSON.stringify(value)} is neither true nor false`);
}

function parseMountOptions(value: string, key: string): string[] {
  const options = value
    .split(',')
    .map((o) => o.trim())
    .filter((o) => o !== '');
  const unknown = options.find((o) => !MOUNT_OPTIONS.has(o));
  if (unknown === undefined) return options;
  throw invalid(
    `${key}: ${JSON.stringify(unknown)} is not allowed; allowed are ${[...MOUNT_OPTIONS].join(', ')}`,
  );
}

function parseMaxLowers(value: string, key: string): number {
  const n = /^\d+$/.test(value) ? Number(value) : NaN;
  if (n >= 1 && n <= KERNEL_MAX_LOWERS) return n;
  throw invalid(`${key}: ${JSON.stringify(value)} is not a number from 1 to ${KERNEL_MAX_LOWERS}`);
}

function parseSync(value: string, key: string): SyncMode {
  if (value === 'records' || value === 'data' || value === 'off') return value;
  throw invalid(`${key}: ${JSON.stringify(value)} is none of records, data, off`);
}

function parseMount(value: string, key: string): CvmfsMount {
  const mount = CVMFS_MOUNTS.find((known) => known === value);
  if (mount !== undefined) return mount;
  throw invalid(`${key}: ${JSON.stringify(value)} is none of ${CVMFS_MOUNTS.join(', ')}`);
}

function parseSwitch(value: string, key: string): boolean {
  if (value === 'on' || value === 'off') return value === 'on';
  throw invalid(`${key}: ${JSON.stringify(value)} is neither on nor off`);
}

function parseDirectory(value: string, key: string): string {
  if (value.startsWith('/')) return value;
  throw invalid(`${key}: ${JSON.stringify(value)} is not an absolute path`);
}

function parseRepository(value: string, key: string): string {
  if (isFullRepositoryName(value)) return value;
  throw invalid(
    `${key}: ${JSON.stringify(value)} is not the full name of a CVMFS repository; write its domain too, as in unpacked.cern.ch`,
  );
}

function invalid(message: string): ThinlayerError {
  return new ThinlayerError('invalid_argument', message, { op: 'options' });
}
