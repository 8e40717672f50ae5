/** What is fuzzed of the native side: its own sources and a driver, compiled with GCC's sanitizers. */

import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { inflateSync } from 'node:zlib';

import { FIXTURES, fixture } from '../pure/cvmfs/fixtures.js';

export const NATIVE_TARGETS: Readonly<Record<string, number>> = {
  xattrs: 0.15,
  links: 0.08,
  hashes: 0.05,
  rows: 0.15,
  'damaged-catalogs': 0.07,
  'lying-catalogs': 0.08,
};

const SOURCES = 'test/fuzz/native';
const DRIVER = 'native/build-fuzz/fuzz';
/** Leaks are looked for: there is no V8 here, and SQLite gives all back. */
const SANITIZERS = { ASAN_OPTIONS: 'detect_leaks=1', UBSAN_OPTIONS: 'print_stacktrace=1:halt_on_error=1' };

/** What a program printed. Throws what it said if it failed. */
function run(command: string, args: readonly string[]): string {
  const done = spawnSync(command, args, { encoding: 'utf8', env: { ...process.env, ...SANITIZERS } });
  if (done.status === 0) return done.stdout;
  throw new Error(
    `${command} ${args.join(' ')} failed (${done.signal ?? done.status}):\n${done.stdout}${done.stderr}`,
  );
}

export function buildDriver(): void {
  run('make', ['-s', '-C', SOURCES, `-j${availableParallelism()}`]);
}

/** The sample repositories' catalogs, as a cache has them. */
function layOut(samples: string): void {
  const files = readdirSync(FIXTURES, { recursive: true, encoding: 'utf8' });
  const catalogs = files.filter((file) => /\/(repo|rev-1|rev-2-delta)\/data\/..\/.*C$/.test(file));
  mkdirSync(samples);
  for (const file of catalogs)
    writeFileSync(join(samples, file.replaceAll('/', '_')), inflateSync(fixture(file)));
}

/** Runs a target: what it printed. */
export type RunTarget = (target: string, cases: number, seed: number) => string;

export function withDriver(use: (runTarget: RunTarget) => void): void {
  const base = mkdtempSync(join(tmpdir(), 'thinlayer-fuzz-'));
  try {
    const [samples, scratch] = [join(base, 'samples'), join(base, 'scratch')];
    layOut(samples);
    mkdirSync(scratch);
    use((target, cases, seed) => run(DRIVER, [target, String(cases), String(seed), samples, scratch]));
  } finally {
    rmSync(base, { recursive: true, force: true });
  }
}
