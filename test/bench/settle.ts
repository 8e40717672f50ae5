/** Before a measurement: what the one before has left to do is done, or it would be charged to whoever comes next. */

import { readdir } from 'node:fs/promises';
import { join } from 'node:path';

import { isErrno } from '../../src/core/errno.js';
import { check, waitFor } from '../system/process.js';

/** thinlayer deletes removed layers in the background of its home; all that any driver wrote is on disk. */
export async function settled(home: string): Promise<void> {
  await waitFor('removed layers to be deleted', async () => (await trashOf(home)).length === 0 || undefined);
  await check('sync', []);
}

/** Only thinlayer's home has it. */
async function trashOf(home: string): Promise<string[]> {
  try {
    return await readdir(join(home, '.trash'));
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return [];
    throw error;
  }
}
