/** Changes that can be taken back. */

import { begun } from '../core/disk.js';
import type { Disk, Reversible } from '../core/disk.js';

/** Makes `changes`, and adds to `made` what was made of them, also if one fails. */
export async function make(disk: Disk, changes: readonly Reversible[], made: Reversible[]): Promise<void> {
  let count = changes.length;
  try {
    await disk.change(changes);
  } catch (error) {
    count = begun(error, changes);
    throw error;
  } finally {
    made.push(...changes.slice(0, count));
  }
}
