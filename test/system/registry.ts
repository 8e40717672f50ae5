/** A registry on the lab's own loopback network: always the same port, since no other lab can see it. */

import { writeFile } from 'node:fs/promises';
import { ready } from './jail.js';
import { run } from './process.js';
import type { Jail } from './jail.js';

const ADDRESS = '127.0.0.1:5000';

/** Starts it, with its data in the jail's directory; gives the prefix of its images' names. */
export async function startRegistry(jail: Jail): Promise<string> {
  const config = `${jail.directory}/registry.json`;
  const storage = { filesystem: { rootdirectory: `${jail.directory}/registry` } };
  const log = { level: 'warn', accesslog: { disabled: true } };
  await writeFile(config, JSON.stringify({ version: '0.1', log, storage, http: { addr: ADDRESS } }));
  const command = ['docker-registry', 'serve', config];
  const registry = await jail.start({
    name: 'docker-registry',
    command,
    log: `${jail.directory}/registry.log`,
  });
  const [program = '', ...args] = jail.enter(['bash', '-c', `exec 3<>/dev/tcp/${ADDRESS.replace(':', '/')}`]);
  await ready(registry, async () => (await run(program, args)).code === 0);
  return ADDRESS;
}
