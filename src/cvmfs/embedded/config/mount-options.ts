/** What may follow `-o`. */

import { isAbsolute } from 'node:path';

import { ThinlayerError } from '../../../core/errors.js';

export interface MountOptions {
  /** Files to read in place of the directory; null: the directory. */
  readonly configFiles: readonly string[] | null;
  readonly layers: boolean;
  readonly suid: boolean;
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
  suid: false,
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

const PASSED_ON = new Set([
  'allow_other',
  'allow_root',
  'default_permissions',
  'ro',
  'nodev',
  'nosuid',
  'noexec',
  'noatime',
  'exec',
]);
const PASSED_ON_WITH_VALUE = new Set(['fsname', 'subtype', 'max_read', 'context']);

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
  if (value === undefined ? PASSED_ON.has(name) : PASSED_ON_WITH_VALUE.has(name) && value !== '') {
    return { mountOptions: [...parsed.mountOptions, option] };
  }
  if (name === 'config' && value !== undefined) return { configFiles: parseFiles(value) };
  if ((name === 'uid' || name === 'gid') && value !== undefined) return { [name]: parseId(name, value) };
  throw unknown(option);
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

function unknown(option: string): ThinlayerError {
  const hint = option === 'rw' ? ': a repository is mounted read-only' : '';
  return invalid(`mount option ${JSON.stringify(option)} is not known${hint}`);
}

function invalid(message: string): ThinlayerError {
  return new ThinlayerError('invalid_argument', `${message}; see thinlayer-cvmfs --help`);
}
