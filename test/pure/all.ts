/**
 * The tests of what touches neither disk nor addon, in one process: a process a file, as `node --test` has it, costs
 * more time than these tests take.
 */

import { readdirSync } from 'node:fs';

for (const folder of ['core', 'actors', 'frontends', 'cvmfs']) {
  const files = readdirSync(new URL(`${folder}/`, import.meta.url));
  for (const file of files.filter((f) => f.endsWith('.test.js'))) {
    await import(new URL(`${folder}/${file}`, import.meta.url).href);
  }
}
