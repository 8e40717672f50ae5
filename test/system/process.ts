/** Runs programs and waits for things to happen. */

import { spawn } from 'node:child_process';
import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { buffer, text } from 'node:stream/consumers';
import type { SpawnOptions } from 'node:child_process';
import type { Readable } from 'node:stream';

const POLL_MS = 20;
const DEADLINE_MS = 60_000;

export interface Result {
  /** The exit status, or 128 if a signal ended it. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  readonly input?: Readable | string;
}

/** Runs a program to its end; a non-zero exit status is a result, not an error. */
export async function run(
  command: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<Result> {
  const child = spawn(command, args, spawnOptions(options));
  feed(child.stdin, options.input);
  const ended = exitCode(child);
  const [stdout, stderr, code] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
  return { code, stdout, stderr };
}

/** As `run`, but fails on a non-zero exit status and gives the standard output alone. */
export async function check(
  command: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<string> {
  const result = await run(command, args, options);
  if (result.code === 0) return result.stdout;
  throw new Error(
    `${[command, ...args].join(' ')}: exit status ${result.code}\n${result.stderr}${result.stdout}`,
  );
}

/** As `check`, for output that is not text. */
export async function checkBytes(
  command: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<Buffer> {
  const child = spawn(command, args, spawnOptions(options));
  feed(child.stdin, options.input);
  const ended = exitCode(child);
  const [stdout, stderr, code] = await Promise.all([buffer(child.stdout), text(child.stderr), ended]);
  if (code === 0) return stdout;
  throw new Error(`${[command, ...args].join(' ')}: exit status ${code}\n${stderr}`);
}

/** Asks again until `probe` gives something, at most a minute; `what` names it in the error. */
export async function waitFor<T>(what: string, probe: () => Promise<T | undefined>): Promise<T> {
  const end = Date.now() + DEADLINE_MS;
  while (Date.now() < end) {
    const found = await probe();
    if (found !== undefined) return found;
    await delay(POLL_MS);
  }
  throw new Error(`${what}: not there after ${DEADLINE_MS / 1000} s`);
}

/** Whether somebody accepts connections on this unix socket. */
export function isListening(socket: string): Promise<boolean> {
  return new Promise((resolve) => {
    const connection = connect(socket, () => {
      connection.destroy();
      resolve(true);
    });
    connection.on('error', () => resolve(false));
  });
}

type PipedOptions = SpawnOptions & { stdio: ['pipe', 'pipe', 'pipe'] };

function spawnOptions(options: RunOptions): PipedOptions {
  const env = { ...process.env, ...options.env };
  return { stdio: ['pipe', 'pipe', 'pipe'], env, ...(options.cwd === undefined ? {} : { cwd: options.cwd }) };
}

function feed(stdin: NodeJS.WritableStream, input: Readable | string | undefined): void {
  // The program may end before it read everything; its exit status tells.
  stdin.on('error', () => undefined);
  if (typeof input === 'object') input.pipe(stdin);
  else stdin.end(input ?? '');
}

function exitCode(child: ReturnType<typeof spawn>): Promise<number> {
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', (code) => resolve(code ?? 128));
  });
}
