/** Disks for the store: the real one, and such that fail, or are watched, before each of their steps. */

import type { Disk, DiskChange } from '../../../src/core/disk.js';
import { loadAddon } from '../../../src/host/addon.js';
import type { DiskFunctions } from '../../../src/host/addon.js';
import { createDisk } from '../../../src/host/disk.js';

export const realDisk = createDisk(loadAddon<DiskFunctions>());

/** A step of `watchedDisk` as told: `rename /home/a/staging /home/a/diff`. */
export type Watch = (step: string) => void;

/** Calls `before` with each step that is about to be made. If that throws, the step fails with it, a write half done. */
export function watchedDisk(before: Watch): Disk {
  return {
    async change(changes) {
      for (const [done, change] of changes.entries()) {
        try {
          await step(change, before);
        } catch (error) {
          throw Object.assign(error as Error, { done });
        }
      }
    },
    removeTree: (path, cancel) => realDisk.removeTree(path, cancel),
  };
}

async function step(change: DiskChange, before: Watch): Promise<void> {
  if (change.do !== 'write') {
    before(nameOf(change));
    return realDisk.change([change]);
  }
  const half = change.text.slice(0, change.text.length / 2);
  try {
    before(nameOf(change));
  } catch (error) {
    await realDisk.change([{ ...change, text: half }]);
    throw error;
  }
  await realDisk.change([{ ...change, sync: false }]);
  if (!change.sync) return;
  before(`sync ${change.path}`);
  await realDisk.change([change]);
}

function nameOf(change: DiskChange): string {
  if (change.do === 'rename') return `rename ${change.from} ${change.to}`;
  if (change.do === 'symlink') return `symlink ${change.target} ${change.path}`;
  return `${change.do} ${change.path}`;
}

/** Fails its `failing`-th step from `arm` on with `code`, and no other. */
export function failingDisk(
  failing: number,
  code: string,
): { disk: Disk; arm(): void; failed(): string | undefined } {
  let steps = -1;
  let failed: string | undefined;
  return {
    disk: watchedDisk((step) => {
      if (steps < 0 || ++steps !== failing) return;
      failed = step;
      throw Object.assign(new Error(`${code}: injected, ${step}`), { code });
    }),
    arm: () => void (steps = 0),
    failed: () => failed,
  };
}
