/** What may follow `-o`. */

import { isAbsolute } from 'node:path';

import { ThinlayerError } from '../../../core/errors.js';

export interface MountOptions {
  /** Files to read in place of the directory; null: the directory. */
  readonly configFiles: readonly string[] | null;
  readonly layers: boolean;
  /** Null: neither `cvmfs_suid` nor `nosuid`; the configuration says. */
  readonly suid: boolean | null;
  /** Whom to become once mounted; null: nobody else. */
  readonly uid: number | null;
  readonly gid: number | null;
  readonly grabMountpoint: boolean;
  /** The mountpoint may hold files, which are hidden then. libfuse 3 knows no such option: it never looks. */
  readonly nonEmpty: boolean;
  readonly parseOnly: boolean;
  readonly debug: boolean;
  /** For the FUSE mount as they are. */
  readonly mountOptions: readonly string[];
}

const NO_OPTIONS: MountOptions = {
  configFiles: null,
  layers: false,
  suid: null,
  uid: null,
  gid: null,
  grabMountpoint: false,
  nonEmpty: false,
  parseOnly: false,
  debug: false,
  mountOptions: [],
};

const SWITCHES: Readonly<Record<string, Partial<MountOptions>>> = {
  layers: { layers: true },
  cvmfs_suid: { suid: true },
  nosuid: { suid: false },
  grab_mountpoint: { grabMountpoint: true },
  nonempty: { nonEmpty: true },
  parse: { parseOnly: true },
  debug: { debug: true },
};

/** Options of mount(8) and cvmfs2 that mean nothing here: this client always stays in the foreground and has one library. */
const WITHOUT_EFFECT = new Set([
  'system_mount',
  'disable_watchdog',
  'simple_options_parsing',
  'foreground',
  'fuse_debug',
  'libfuse',
  'libdir',
  '_netdev',
  'user',
  'nouser',
  'users',
  'auto',
  'noauto',
  'defaults',
]);

const HOLDS_ANYWAY = new Set(['ro', 'nodev', 'allow_other', 'default_permissions']);
/** By its type and source a mount of ours is known: they are taken, and stay what they are. */
const OURS = new Set(['fsname', 'subtype']);

const PASSED_ON = new Set(['allow_root', 'noexec', 'exec', 'noatime']);
const PASSED_ON_WITH_VALUE = new Set(['context']);

const WHY_REFUSED: Readonly<Record<string, string>> = {
  rw: 'a repository is mounted read-only',
  dev: 'device files of a repository never count',
  suid: 'that setuid bits count is said by cvmfs_suid',
  max_read: 'how much is read at once is agreed upon with the kernel',
};

/** Throws `invalid_argument` for an option that is not known. A later one wins over an earlier one. */
export function parseMountOptions(options: readonly string[]): MountOptions {
  return options
    .filter((option) => option !== '')
    .reduce((parsed, option) => ({ ...parsed, ...parseOption(option, parsed) }), NO_OPTIONS);
}

function parseOption(option: string, parsed: MountOptions): Partial<MountOptions> {
  const [name = '', value] = split(option);
  if (value === undefined && Object.hasOwn(SWITCHES, name)) return SWITCHES[name] as Partial<MountOptions>;
  if (WITHOUT_EFFECT.has(name)) return {};
  if (value === undefined ? HOLDS_ANYWAY.has(name) : OURS.has(name) && value !== '') return {};
  if (value === undefined ? PASSED_ON.has(name) : PASSED_ON_WITH_VALUE.has(name) && value !== '') {
    return { mountOptions: [...parsed.mountOptions, option] };
  }
  if (name === 'config' && value !== undefined) return { configFiles: parseFiles(value) };
  if ((name === 'uid' || name === 'gid') && value !== undefined) return { [name]: parseId(name, value) };
  throw refused(option, name);
}

function split(option: string): [string, string?] {
  const at = option.indexOf('=');
  return at < 0 ? [option] : [option.slice(0, at), option.slice(at + 1)];
}

function parseFiles(value: string): string[] {
  const files = value.split(':').filter((file) => file !== '');
  if (files.length > 0 && files.every((file) => isAbsolute(file))) return files;
  throw invalid(`config=${value} is not a list of absolute paths with colons between`);
}

function parseId(name: string, value: string): number {
  const id = /^\d{1,10}$/.test(value) ? Number(value) : NaN;
  if (id <= 2 ** 32 - 2) return id;
  throw invalid(`${name}=${value} is not a numeric id`);
}

function refused(option: string, name: string): ThinlayerError {
  const why = Object.hasOwn(WHY_REFUSED, name) ? WHY_REFUSED[name] : undefined;
  if (why !== undefined) return invalid(`the mount option ${option} cannot be given: ${why}`);
  return invalid(`mount option ${JSON.stringify(option)} is not known`);
}

function invalid(message: string): ThinlayerError {
  return new ThinlayerError('invalid_argument', `${message}; see thinlayer-cvmfs --help`);
}
