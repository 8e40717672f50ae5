/** Disks for the store that fail, or are watched, before each of their steps. */

import type { Disk } from '../../../src/store/disk.js';
import { nodeDisk } from '../../../src/store/disk.js';

/** A step of `watchedDisk` as told: `rename /home/a/staging /home/a/diff`. */
export type Watch = (step: string) => void;

/** Calls `before` with each step that is about to be made. If that throws, the step fails with it, a write half done. */
export function watchedDisk(before: Watch): Disk {
  return {
    async mkdir(path, mode) {
      before(`mkdir ${path}`);
      await nodeDisk.mkdir(path, mode);
    },
    async chown(path, uid, gid) {
      before(`chown ${path}`);
      await nodeDisk.chown(path, uid, gid);
    },
    async symlink(target, path) {
      before(`symlink ${target} ${path}`);
      await nodeDisk.symlink(target, path);
    },
    async writeFile(path, text, mode) {
      await halfDone(before, `write ${path}`, () =>
        nodeDisk.writeFile(path, text.slice(0, text.length / 2), mode),
      );
      await nodeDisk.writeFile(path, text, mode);
    },
    async create(path, mode) {
      before(`create ${path}`);
      const file = await nodeDisk.create(path, mode);
      return {
        async write(text) {
          const half = text.slice(0, text.length / 2);
          await halfDone(before, `write ${path}`, () => file.write(half));
          await file.write(text);
        },
        async sync() {
          before(`sync ${path}`);
          await file.sync();
        },
        close: () => file.close(),
      };
    },
    async rename(from, to) {
      before(`rename ${from} ${to}`);
      await nodeDisk.rename(from, to);
    },
    async unlink(path) {
      before(`unlink ${path}`);
      await nodeDisk.unlink(path);
    },
    async rmdir(path) {
      before(`rmdir ${path}`);
      await nodeDisk.rmdir(path);
    },
  };
}

async function halfDone(before: Watch, step: string, half: () => Promise<void>): Promise<void> {
  try {
    before(step);
  } catch (error) {
    await half();
    throw error;
  }
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
