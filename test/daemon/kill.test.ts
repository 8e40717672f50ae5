/**
 * Kills thinlayerd at random moments of a mixed load, again and again on one home. `THINLAYER_KILLS` is how often,
 * `THINLAYER_SEED` repeats the choices of a run.
 */

import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

import { listTree } from '../system/tree-listing.js';
import { manyFiles } from './archives.js';
import { daemonTest } from './daemon.js';
import type { Daemon } from './daemon.js';
import { assertNothingLeft, openDescriptors } from './leaks.js';
import { LoadCaller } from './load.js';
import type { Archive, Step } from './load.js';
import { Random } from './random.js';
import { RunningContainer } from './running-container.js';
import { assertSound } from './soundness.js';

const KILLS = Number(process.env['THINLAYER_KILLS'] ?? 25);
const CALLERS = 8;
const CONTAINERS = 3;
/** Files in the archives that are applied. */
const SIZES = [1, 30, 300, 800];
/** Longer than a caller's whole round of calls. */
const LONGEST_LOAD_MS = 500;
/** About as long as a start takes. */
const LONGEST_START_MS = 400;

daemonTest(
  `thinlayerd is killed ${KILLS} times under load: what was acknowledged is there, the rest is whole or absent`,
  async (daemon, t) => {
    const random = new Random();
    const before = await openDescriptors(daemon);
    const archives = await makeArchives(daemon);
    const containers = await startContainers(daemon);
    const callers = Array.from(
      { length: CALLERS },
      (_, index) => new LoadCaller(daemon, random, `caller-${index}`, 'base', archives),
    );
    for (let kill = 1; kill <= KILLS; kill++) {
      try {
        await killUnderLoad(daemon, random, callers);
        await Promise.all(containers.map((container) => container.check()));
        await Promise.all(callers.map((caller) => caller.reconcile()));
        await daemon.trashEmptied();
        await assertSound(daemon, expected(callers, archives));
      } catch (error) {
        throw new Error(`after kill ${kill} of THINLAYER_SEED=${random.seed}`, { cause: error });
      }
    }
    t.diagnostic(`unanswered: ${tally(callers.flatMap(({ interrupted }) => interrupted))}`);
    for (const container of containers) await container.stop();
    for (const caller of callers) {
      await caller.checkAll();
      await caller.removeAll();
    }
    for (const id of ownLayers(archives)) await daemon.client.remove(id);
    await assertNothingLeft(daemon, before);
  },
);

async function killUnderLoad(daemon: Daemon, random: Random, callers: readonly LoadCaller[]): Promise<void> {
  const running = Promise.all(callers.map((caller) => caller.run()));
  await Promise.race([delay(random.below(LONGEST_LOAD_MS)), running]);
  await daemon.kill9();
  await running;
  // Now and then also while it mends what the last one left.
  while (random.below(4) === 0) await daemon.launchAndKill(random.below(LONGEST_START_MS));
  await daemon.launch();
}

/** The layers that the archives' trees are known from, and the base of all others. */
async function makeArchives(daemon: Daemon): Promise<Archive[]> {
  await daemon.client.create('base');
  await daemon.client.applyDiff('base', '', await manyFiles('base', 10));
  return Promise.all(
    SIZES.map(async (size, index) => {
      const [id, bytes] = [`pattern-${index}`, await manyFiles(`pattern ${index}`, size)];
      await daemon.client.create(id, 'base');
      await daemon.client.applyDiff(id, 'base', bytes);
      return { bytes, tree: await listTree(join(daemon.home, id, 'diff')) };
    }),
  );
}

async function startContainers(daemon: Daemon): Promise<RunningContainer[]> {
  const ids = Array.from({ length: CONTAINERS }, (_, index) => `running-${index}`);
  return Promise.all(ids.map((id) => RunningContainer.start(daemon, id, 'base')));
}

/** `apply 30, create 4`: whether the kills hit what they should. */
function tally(steps: readonly Step[]): string {
  const counts = new Map<Step, number>();
  for (const step of steps) counts.set(step, (counts.get(step) ?? 0) + 1);
  return [...counts].map(([step, count]) => `${step} ${count}`).join(', ');
}

/** Those that are not a caller's, uppermost first. */
function ownLayers(archives: readonly Archive[]): string[] {
  const running = Array.from({ length: CONTAINERS }, (_, index) => `running-${index}`);
  return [...running, ...archives.map((_, index) => `pattern-${index}`), 'base'];
}

function expected(callers: readonly LoadCaller[], archives: readonly Archive[]): Map<string, boolean> {
  const own = ownLayers(archives).map((id): [string, boolean] => [id, id.startsWith('running-')]);
  const made = callers.flatMap((caller) => [...caller.layers.keys()]);
  return new Map([...own, ...made.map((id): [string, boolean] => [id, false])]);
}
