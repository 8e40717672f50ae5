/** The Disk over the addon. */

import type { Disk } from '../core/disk.js';
import type { DiskFunctions } from './addon.js';

export function createDisk(addon: DiskFunctions): Disk {
  return {
    change: (changes) => addon.changeDisk(changes),
    removeTree: (path) => addon.deleteTree(path),
  };
}
