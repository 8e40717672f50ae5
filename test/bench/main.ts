/** `npm run bench [PART…]`: measures thinlayer beside moby's overlay2, in one run; smaller ratios are better. */

import { benchCalls } from './calls.js';
import { benchDocker, benchPull } from './docker.js';
import { benchChanges, benchLayers, benchMemory } from './layers.js';
import { benchStart } from './start.js';
import { benchThin } from './thin.js';

const PARTS: Readonly<Record<string, () => Promise<void>>> = {
  calls: benchCalls,
  layers: benchLayers,
  changes: benchChanges,
  memory: benchMemory,
  start: benchStart,
  docker: benchDocker,
  pull: benchPull,
  thin: benchThin,
};

const chosen = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(PARTS);
const unknown = chosen.filter((name) => !Object.hasOwn(PARTS, name));
if (unknown.length > 0) {
  console.error(`no such part: ${unknown.join(', ')}; there are ${Object.keys(PARTS).join(', ')}`);
  process.exit(2);
}
for (const name of chosen) await PARTS[name]?.();
