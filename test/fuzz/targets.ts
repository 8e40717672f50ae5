/** What is fuzzed of the parsers in JavaScript, with its share of the cases. */

import childProcess from 'node:child_process';
import { syncBuiltinESMExports } from 'node:module';
import { mock } from 'node:test';

import * as fc from 'fast-check';

import { certificates, manifests, whitelists } from './letters.js';
import { configurations, descriptors, layers, profiles, states } from './texts.js';

/** Whatever the types of its cases are. */
type Run = (numRuns: number, seed: number) => void;

const of =
  <T>(property: fc.IProperty<T>): Run =>
  (numRuns, seed) =>
    void fc.assert(property, { numRuns, seed });

export const TARGETS: Readonly<Record<string, { readonly share: number; readonly run: Run }>> = {
  manifests: { share: 0.06, run: of(manifests) },
  whitelists: { share: 0.06, run: of(whitelists) },
  certificates: { share: 0.04, run: of(certificates) },
  descriptors: { share: 0.08, run: of(descriptors) },
  layers: { share: 0.06, run: of(layers) },
  profiles: { share: 0.04, run: of(profiles) },
  states: { share: 0.04, run: of(states) },
  configurations: { share: 0.04, run: of(configurations) },
};

/** Runs `work`: what starts a program throws what no parser may throw. */
export function withoutPrograms(work: () => void): void {
  for (const name of [
    'spawn',
    'spawnSync',
    'exec',
    'execSync',
    'execFile',
    'execFileSync',
    'fork',
  ] as const) {
    mock.method(childProcess, name, () => {
      throw new Error(`${name} was called`);
    });
  }
  syncBuiltinESMExports();
  try {
    work();
  } finally {
    mock.restoreAll();
    syncBuiltinESMExports();
  }
}
