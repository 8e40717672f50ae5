/** Notices the end of a process that is not our child: cvmfs2 has left us, and a daemon before us may have started it. */

import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

import type { ProcessWatch } from './watches.js';

/** A file system that is gone is noticed by whoever reads from it at once; this is for our own knowledge. */
const LOOK_MS = 1000;
const LOOK_SOON_MS = 25;

export function watchProcess(pid: number): ProcessWatch {
  let end = (): void => undefined;
  const closed = new Promise<void>((resolve) => {
    const timer = setInterval(() => {
      if (!isRunning(pid)) end();
    }, LOOK_MS);
    // A watch is no reason for the daemon to stay.
    timer.unref();
    end = () => {
      clearInterval(timer);
      resolve();
    };
  });
  return { closed, end };
}

/** True if it ended within this time. */
export async function endsWithin(pid: number, ms: number): Promise<boolean> {
  for (let waited = 0; waited < ms; waited += LOOK_SOON_MS) {
    if (!isRunning(pid)) return true;
    await delay(LOOK_SOON_MS);
  }
  return !isRunning(pid);
}

/**
 * Not by a signal 0, which a zombie takes too: nobody may wait for one whose parent is the first process of a container. What cannot
 * be told (no descriptor is free, say) counts as running: it is looked at again.
 */
function isRunning(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return !/^\) [ZX]/.test(stat.slice(stat.lastIndexOf(')')));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return code !== 'ENOENT' && code !== 'ESRCH';
  }
}
