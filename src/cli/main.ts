#!/usr/bin/env node
/** `thinlayer`: looks into a running thinlayerd through its control socket. */

import { parseArgs } from 'node:util';

import { asThinlayerError, ThinlayerError } from '../core/errors.js';
import { DEFAULT_CONTROL_SOCKET } from '../core/places.js';
import type { RepositoryReport } from '../core/repository.js';
import { VERSION } from '../core/version.js';
import { ask } from './client.js';
import { repositoryLine } from './repository-line.js';

const USAGE = `thinlayer: looks into a running thinlayerd

  thinlayer status           what the daemon serves
  thinlayer layers           all layers: state, uses, id, why one failed
  thinlayer layer ID         one layer, whole
  thinlayer repositories     CVMFS repositories: state, holders, revision, what was fetched ahead
  thinlayer repair ID        look at a failed layer again, after it was mended
  thinlayer remove ID        remove a layer that Docker does not know any more

  --control PATH             the daemon's control socket (default ${DEFAULT_CONTROL_SOCKET})
  --json                     the answer as JSON
  --version, --help
`;

const OPTIONS = {
  control: { type: 'string', default: DEFAULT_CONTROL_SOCKET },
  json: { type: 'boolean', default: false },
  version: { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
} as const;

type Command = (socket: string, argument: string | undefined) => Promise<unknown>;

const COMMANDS: Readonly<Record<string, Command>> = {
  status: (socket) => ask(socket, 'GET', '/status'),
  layers: (socket) => ask(socket, 'GET', '/layers'),
  repositories: (socket) => ask(socket, 'GET', '/repositories'),
  layer: (socket, id) => ask(socket, 'GET', `/layer/${encodeURIComponent(needed(id))}`),
  repair: (socket, id) => ask(socket, 'POST', `/repair/${encodeURIComponent(needed(id))}`),
  remove: (socket, id) => ask(socket, 'POST', `/remove/${encodeURIComponent(needed(id))}`),
};

function needed(id: string | undefined): string {
  if (id !== undefined) return id;
  throw new ThinlayerError('invalid_argument', 'this command needs the id of a layer; see thinlayer --help');
}

interface LayerLine {
  readonly state: string;
  readonly uses: number;
  readonly id: string;
  readonly cause: string | null;
}

function shown(command: string, answer: unknown): string {
  if (command === 'layers') {
    const lines = answer as LayerLine[];
    return lines
      .map((l) => `${l.state.padEnd(10)} ${String(l.uses).padStart(4)}  ${l.id}  ${l.cause ?? ''}`)
      .join('\n');
  }
  if (command === 'repositories') return (answer as RepositoryReport[]).map(repositoryLine).join('\n');
  if (command === 'status') {
    return Object.entries(answer as Record<string, string>)
      .map(([key, value]) => `${key}: ${value}`)
      .join('\n');
  }
  return JSON.stringify(answer, null, 2);
}

async function main(): Promise<string> {
  const { values, positionals } = parseArgs({ options: OPTIONS, allowPositionals: true });
  if (values.version) return VERSION;
  const [name = '', argument] = positionals;
  if (values.help || name === '') return USAGE;
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (!command)
    throw new ThinlayerError(
      'invalid_argument',
      `unknown command ${JSON.stringify(name)}; see thinlayer --help`,
    );
  const answer = await command(values.control, argument);
  return values.json ? JSON.stringify(answer) : shown(name, answer);
}

try {
  console.log(await main());
} catch (error) {
  console.error(`thinlayer: ${asThinlayerError(error).message}`);
  process.exitCode = 1;
}
