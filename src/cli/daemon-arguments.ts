/** thinlayerd's command line. */

import { parseArgs } from 'node:util';

import { ThinlayerError } from '../core/errors.js';
import { parseOptions } from '../core/options.js';
import { controlSocketOf, DEFAULT_SOCKET, stateFileOf } from '../core/places.js';

export const DAEMON_USAGE = `thinlayerd: a graph driver for Docker, in the foreground

  thinlayerd [--socket PATH] [--storage-opt KEY=VALUE]...

  --socket PATH            where dockerd finds the driver (default ${DEFAULT_SOCKET}:
                           dockerd --experimental -s thinlayer)
  --control PATH           socket for the thinlayer command (default: below /run/thinlayer, named after --socket)
  --state PATH             file that remembers dockerd's last Init (default: below /var/lib/thinlayer, named after --socket)
  --storage-opt KEY=VALUE  as dockerd's; dockerd's own win over these
  --log-level LEVEL        trace, debug, info (default), warn, error
  --version, --help
`;

export interface DaemonArguments {
  readonly socket: string;
  readonly control: string;
  readonly state: string;
  readonly storageOptions: readonly string[];
  readonly logLevel: string;
  readonly version: boolean;
  readonly help: boolean;
}

const LEVELS = ['trace', 'debug', 'info', 'warn', 'error'];

const OPTIONS = {
  socket: { type: 'string', default: DEFAULT_SOCKET },
  control: { type: 'string' },
  state: { type: 'string' },
  'storage-opt': { type: 'string', multiple: true, default: [] as string[] },
  'log-level': { type: 'string', default: 'info' },
  version: { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
} as const;

/** Throws `invalid_argument`, with what is known, for anything that is not understood. */
export function parseDaemonArguments(args: readonly string[]): DaemonArguments {
  const values = parse(args);
  parseOptions(values['storage-opt']);
  if (!LEVELS.includes(values['log-level'])) {
    throw new ThinlayerError('invalid_argument', `--log-level is none of ${LEVELS.join(', ')}`);
  }
  return {
    socket: values.socket,
    control: values.control ?? controlSocketOf(values.socket),
    state: values.state ?? stateFileOf(values.socket),
    storageOptions: values['storage-opt'],
    logLevel: values['log-level'],
    version: values.version,
    help: values.help,
  };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options: OPTIONS }).values;
  } catch (cause) {
    throw new ThinlayerError('invalid_argument', `${(cause as Error).message}; see thinlayerd --help`, {
      cause,
    });
  }
}
