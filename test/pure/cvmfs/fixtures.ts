/** The sample repositories of test/fixtures/cvmfs: made and signed with CERN's own tools. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { readMasterKey } from '../../../src/cvmfs/embedded/trust.js';
import type { MasterKey } from '../../../src/cvmfs/embedded/trust.js';

/** The tests run in the project's root directory. */
export const FIXTURES = 'test/fixtures/cvmfs';

export function fixture(path: string): Buffer {
  return readFileSync(join(FIXTURES, path));
}

/** By the name of its file without `.pub`. */
export function masterKey(name: string): MasterKey {
  const path = join(FIXTURES, 'keys', `${name}.pub`);
  return readMasterKey(readFileSync(path, 'latin1'), path);
}
