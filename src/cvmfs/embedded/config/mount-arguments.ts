/** The command line of thinlayer-cvmfs: that of cvmfs2, as far as it makes sense here, and options of our own. */

import { isAbsolute, resolve } from 'node:path';
import { parseArgs } from 'node:util';

import { ThinlayerError } from '../../../core/errors.js';
import type { IdMap, IdMaps } from '../../../core/model.js';
import { repositoryName } from '../../../core/repository-name.js';
import { DEFAULT_DIRECTORY } from './load.js';
import { parseMountOptions } from './mount-options.js';
import type { MountOptions } from './mount-options.js';

export const MOUNT_USAGE = `thinlayer-cvmfs: mounts a CVMFS repository, in the foreground

  thinlayer-cvmfs REPOSITORY MOUNTPOINT [-o OPTION[,OPTION]...]... [--config-dir DIR]
  thinlayer-cvmfs ctl SOCKET|MOUNTPOINT COMMAND     asks one that runs; --help of it tells what

  --config-dir DIR     in place of ${DEFAULT_DIRECTORY}
  --control SOCKET     answer questions there, in a directory that exists: see thinlayer-cvmfs ctl --help
  --map-uids RANGES    show owners as the host has them whom the repository means in a user name space with these ranges:
                       INSIDE:OUTSIDE:SIZE[,INSIDE:OUTSIDE:SIZE]...; with CVMFS_CLAIM_OWNERSHIP that is its root
  --map-gids RANGES    the same for groups
  --report-fd N        write one line of JSON to descriptor N: mounted, or why not
  -o layers            show whiteouts of container layers (.wh.NAME) as overlayfs knows them
  -o config=FILES      read these files, separated by colons, in place of the directory
  -o cvmfs_suid        let setuid bits count; nosuid: do not, whatever the configuration says
  -o uid=UID,gid=GID   give up root for this user once mounted (refused: not there yet)
  -o grab_mountpoint   give the mountpoint to that user first (without effect)
  -o nonempty          mount over a directory that is not empty: what is in it is hidden
  -o noexec, noatime, allow_root, context=LABEL
                       as for any FUSE file system
  -o parse, -k         print the configuration and end
  -o debug, -d         log more
  --version, -V, --help, -h

Options of cvmfs2 and of mount that hold in any case, or mean nothing here, are taken without effect: -o ro, nodev, allow_other,
default_permissions, fsname=NAME, subtype=NAME, -f, -s, -o system_mount, disable_watchdog, simple_options_parsing, foreground,
fuse_debug, libfuse=N, libdir=DIR, _netdev, user, nouser, users, auto, noauto, defaults.
SIGHUP looks for a new revision; SIGTERM unmounts and ends.
`;

export interface MountArguments extends MountOptions {
  readonly repository: string;
  readonly mountpoint: string;
  readonly configDirectory: string;
  /** The control socket; null for none. */
  readonly control: string | null;
  /** The user name space in which owners are meant; empty: the host's. */
  readonly namespace: IdMaps;
  /** A descriptor for the line that says how mounting went; null for none. */
  readonly reportTo: number | null;
}

export type MountCommand =
  | { readonly kind: 'help' }
  | { readonly kind: 'version' }
  | { readonly kind: 'mount'; readonly arguments: MountArguments };

const OPTIONS = {
  o: { type: 'string', short: 'o', multiple: true, default: [] as string[] },
  'config-dir': { type: 'string', default: DEFAULT_DIRECTORY },
  control: { type: 'string' },
  'report-fd': { type: 'string' },
  'map-uids': { type: 'string', default: '' },
  'map-gids': { type: 'string', default: '' },
  foreground: { type: 'boolean', short: 'f' },
  single: { type: 'boolean', short: 's' },
  debug: { type: 'boolean', short: 'd', default: false },
  parse: { type: 'boolean', short: 'k', default: false },
  version: { type: 'boolean', short: 'V', default: false },
  help: { type: 'boolean', short: 'h', default: false },
} as const;

/** Throws `invalid_argument` for anything that is not understood. */
export function parseMountArguments(args: readonly string[], directory: string): MountCommand {
  const { values, positionals } = parse(args);
  if (values.help) return { kind: 'help' };
  if (values.version) return { kind: 'version' };
  const [repository, mountpoint, ...more] = positionals;
  if (repository === undefined || mountpoint === undefined || more.length > 0) {
    throw invalid(`a repository and a mountpoint are needed, and nothing else`);
  }
  const options = parseMountOptions(values.o.flatMap((list) => list.split(',')));
  return {
    kind: 'mount',
    arguments: {
      ...options,
      repository: repositoryName(repository),
      mountpoint: absolute(mountpoint, directory),
      configDirectory: absolute(values['config-dir'], directory),
      control: values.control === undefined ? null : absolute(values.control, directory),
      namespace: { uids: ranges(values['map-uids']), gids: ranges(values['map-gids']) },
      reportTo: descriptor(values['report-fd']),
      debug: options.debug || values.debug,
      parseOnly: options.parseOnly || values.parse,
    },
  };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options: OPTIONS, allowPositionals: true });
  } catch (cause) {
    throw invalid((cause as Error).message);
  }
}

function descriptor(text: string | undefined): number | null {
  if (text === undefined) return null;
  if (/^[0-9]{1,4}$/.test(text)) return Number(text);
  throw invalid(`--report-fd ${JSON.stringify(text)} is no number of a descriptor`);
}

function ranges(text: string): IdMap[] {
  return text
    .split(',')
    .filter((range) => range !== '')
    .map((range) => {
      const [, inside, outside, size] = /^(\d{1,10}):(\d{1,10}):(\d{1,10})$/.exec(range) ?? [];
      const [containerId, hostId, count] = [Number(inside), Number(outside), Number(size)];
      if (count > 0 && Math.max(containerId, hostId) + count <= 2 ** 32)
        return { containerId, hostId, size: count };
      throw invalid(`${JSON.stringify(range)} is no range INSIDE:OUTSIDE:SIZE of ids`);
    });
}

function absolute(path: string, directory: string): string {
  if (path === '') throw invalid('a path is empty');
  return isAbsolute(path) ? path : resolve(directory, path);
}

function invalid(message: string): ThinlayerError {
  return new ThinlayerError('invalid_argument', `${message}; see thinlayer-cvmfs --help`);
}
