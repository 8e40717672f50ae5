/** The Disk over the addon. */

import type { Disk, DiskChange } from '../core/disk.js';
import type { DiskFunctions } from './addon.js';
import { withCancelFlag } from './cancel-flag.js';
import { joined } from './joined.js';

/** Of changes that have neither mode nor owner. */
const NO_NUMBERS = ['0', '0', '0', '0', '0'];

export function createDisk(addon: DiskFunctions): Disk {
  return {
    change: async (changes) => addon.changeDisk(joined(changes.flatMap(fieldsOf))),
    removeTree: (path, cancel = {}) => withCancelFlag(cancel, (flag) => addon.deleteTree(path, flag)),
  };
}

/** As native/disk.cc reads them: what to do, path, value, mode, whether to sync, whether it gets an owner, its uid and gid. */
function fieldsOf(change: DiskChange): string[] {
  switch (change.do) {
    case 'mkdir': {
      const { uid, gid } = change.owner ?? { uid: 0, gid: 0 };
      return [
        change.do,
        change.path,
        '',
        `${change.mode}`,
        '0',
        change.owner ? '1' : '0',
        `${uid}`,
        `${gid}`,
      ];
    }
    case 'symlink':
      return [change.do, change.path, change.target, ...NO_NUMBERS];
    case 'write':
      return [change.do, change.path, change.text, `${change.mode}`, change.sync ? '1' : '0', '0', '0', '0'];
    case 'rename':
      return [change.do, change.from, change.to, ...NO_NUMBERS];
    case 'expect unmounted':
    case 'expect empty':
    case 'unlink':
    case 'rmdir':
      return [change.do, change.path, '', ...NO_NUMBERS];
  }
}
