/** The storage drivers a lab can run: thinlayer, and the two it is compared with. */

import { join } from 'node:path';
import { CACHE, PROJECT_ROOT } from './project.js';

/** `o2serve` is moby's overlay2 served as a plugin (test/bench/peer); `overlay2` is the one built into dockerd. */
export type DriverName = 'thinlayer' | 'o2serve' | 'overlay2';

export function isDriverName(name: string): name is DriverName {
  return name === 'thinlayer' || name === 'o2serve' || name === 'overlay2';
}

/** The command that serves this driver on `socket`; null for one that is built into dockerd. */
export function pluginCommand(driver: DriverName, socket: string, state: string): string[] | null {
  if (driver === 'overlay2') return null;
  if (driver === 'o2serve') return [join(CACHE, 'bin/o2serve'), '--socket', socket];
  return [process.execPath, join(PROJECT_ROOT, 'dist/src/main.js'), '--socket', socket, '--state', state];
}

/** The driver under test: another one can be put in its place to try the tests themselves. */
export function driverUnderTest(): DriverName {
  const name = process.env['THINLAYER_LAB_DRIVER'] ?? 'thinlayer';
  if (!isDriverName(name)) throw new Error(`THINLAYER_LAB_DRIVER=${name}: no such driver`);
  return name;
}
