/**
 * Valid archives, damaged at random, applied by the real daemon: never a crash, a hang or an escape, and a layer that
 * refused one is as it was before. `THINLAYER_FUZZ` is the number of archives, `THINLAYER_SEED` repeats a run.
 */

import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';

import { CallError } from './client.js';
import { daemonTest } from './daemon.js';
import type { Daemon } from './daemon.js';
import { mutated, seedArchive } from './mutations.js';
import { Random } from './random.js';
import { layerOnDisk, Surroundings } from './refused.js';

const CASES = Number(process.env['THINLAYER_FUZZ'] ?? 500);
const WORKERS = 4;
/** Far more than any of them takes: a hang. */
const LIMIT_MS = 60_000;
/** One in so many of the archives that were taken is read back, and applied again. */
const READ_BACK = 20;

daemonTest(
  `${CASES} damaged archives`,
  async (daemon) => {
    const around = await Surroundings.of(daemon);
    const { seed } = new Random();
    const archive = seedArchive(around.canary);
    let next = 0;
    let taken = 0;
    await Promise.all(
      Array.from({ length: WORKERS }, async (_, worker) => {
        const id = `layer${worker}`;
        await daemon.client.create(id);
        const before = await layerOnDisk(daemon, id);
        while (next < CASES) {
          const number = next++;
          const what = `archive ${number} of seed ${seed}`;
          // Each has its own, so that one can be repeated without those before.
          const damaged = mutated(archive, new Random(seed + number), around.canary);
          if (await isTaken(daemon, id, damaged, what)) {
            if (taken++ % READ_BACK === 0) await assertRoundTrip(daemon, id, what);
            await daemon.client.remove(id);
            await daemon.client.create(id);
          }
          await around.assertCanary(what);
        }
        assert.deepEqual(kinds(await layerOnDisk(daemon, id)), kinds(before), `${id}, seed ${seed}`);
        await daemon.client.remove(id);
      }),
    );
    assert.ok(
      taken > CASES / 100,
      `${taken} of ${CASES} were taken: the damage is too great to tell anything`,
    );
    await around.assertUntouched();
  },
  { storageOptions: ['thinlayer.sync=off'] },
);

async function isTaken(daemon: Daemon, id: string, archive: Buffer, what: string): Promise<boolean> {
  try {
    await daemon.client.applyDiff(id, '', archive, AbortSignal.timeout(LIMIT_MS));
    return true;
  } catch (error) {
    if (!(error instanceof CallError)) throw new Error(what, { cause: error });
    // 507: a number that makes a file larger than the file system takes.
    assert.ok([400, 507].includes(error.status), `${what}: ${error.status} ${error.message}`);
    assert.deepEqual(await readdir(join(daemon.home, id, 'diff')), [], what);
    assert.deepEqual((await readdir(join(daemon.home, id))).sort(), ['diff', 'layer.json', 'link'], what);
    return false;
  }
}

/** What was unpacked can be packed, and unpacked to the same. */
async function assertRoundTrip(daemon: Daemon, id: string, what: string): Promise<void> {
  const { client } = daemon;
  const copy = `${id}-copy`;
  const packed = await client.diff(id);
  await client.create(copy);
  await client.applyDiff(copy, '', packed);
  assert.ok((await client.diff(copy)).equals(packed), what);
  await client.remove(copy);
}

/** Without names, which are random, and times. */
function kinds(listing: readonly string[]): string[] {
  return listing.map((line) => line.split(' ').slice(0, 3).join(' '));
}
