/** The storage drivers a lab can run: thinlayer, and the two it is compared with. */

import { join } from 'node:path';
import { ready } from './jail.js';
import { CACHE, PROJECT_ROOT } from './project.js';
import { isListening } from './process.js';
import type { Daemon, Jail } from './jail.js';

/** `o2serve` is moby's overlay2 served as a plugin (test/bench/peer); `overlay2` is the one built into dockerd. */
export type DriverName = 'thinlayer' | 'o2serve' | 'overlay2';

export function isDriverName(name: string): name is DriverName {
  return name === 'thinlayer' || name === 'o2serve' || name === 'overlay2';
}

export type PluginName = Exclude<DriverName, 'overlay2'>;

export function pluginSocket(jail: Jail): string {
  return join(jail.directory, 'plugin.sock');
}

/** Starts the driver's daemon and waits until it listens on `pluginSocket`; its log is `plugin.log`. */
export async function startPlugin(jail: Jail, driver: PluginName): Promise<Daemon> {
  const command = pluginCommand(driver, pluginSocket(jail), join(jail.directory, 'state'));
  const daemon = await jail.start({ name: driver, command, log: join(jail.directory, 'plugin.log') });
  await ready(daemon, () => isListening(pluginSocket(jail)));
  return daemon;
}

function pluginCommand(driver: PluginName, socket: string, state: string): string[] {
  if (driver === 'o2serve') return [join(CACHE, 'bin/o2serve'), '--socket', socket];
  return [process.execPath, join(PROJECT_ROOT, 'dist/src/main.js'), '--socket', socket, '--state', state];
}

/** The driver under test: another one can be put in its place to try the tests themselves. */
export function driverUnderTest(): DriverName {
  const name = process.env['THINLAYER_LAB_DRIVER'] ?? 'thinlayer';
  if (!isDriverName(name)) throw new Error(`THINLAYER_LAB_DRIVER=${name}: no such driver`);
  return name;
}
