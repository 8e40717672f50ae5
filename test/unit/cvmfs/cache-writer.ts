/** A process that writes objects into a cache until it is killed: DIRECTORY. A line for each step it took. */

import { randomBytes } from 'node:crypto';

import { Cache } from '../../../src/cvmfs/embedded/cache/cache.js';
import { SYSTEM_CLOCK } from '../../../src/cvmfs/embedded/clock.js';

const [, , directory = ''] = process.argv;
const cache = await Cache.open({ directory, limit: 2_000_000, clock: SYSTEM_CLOCK });
for (;;) {
  const hex = randomBytes(20).toString('hex');
  await cache.add({ algorithm: 'sha1', hex, kind: 'P' }, 100_000, async (file) => {
    for (let n = 0; n < 10; n++) {
      await file.write(randomBytes(10_000));
      process.stdout.write('.\n');
    }
  });
  process.stdout.write('.\n');
}
