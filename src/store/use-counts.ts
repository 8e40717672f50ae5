/** Numbers of uses on disk: `.uses/ID` for each layer with more than one. */

import { mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

import type { Disk } from '../core/disk.js';
import { fromErrno, isErrno } from '../core/errno.js';
import type { LayerId } from '../core/model.js';
import type { UseCounts } from '../core/ports.js';
import { Latest } from './latest.js';

export interface UseCountsOptions {
  /** Of all counts. */
  readonly directory: string;
  readonly disk: Disk;
  /** Layers that are mounted now. */
  readonly mounted: Iterable<LayerId>;
  /** See HomeConfig. */
  readonly resumed: boolean;
}

export interface OpenedUseCounts extends UseCounts {
  /** Of each mounted layer. */
  readonly found: ReadonlyMap<LayerId, number>;
}

/** Forgets what nobody holds any more. After a kill the count of a crowd may be too high, none is too low. */
export async function openUseCounts(options: UseCountsOptions): Promise<OpenedUseCounts> {
  const { directory, disk, mounted, resumed } = options;
  try {
    const names = await namesIn(directory);
    const kept = resumed ? await readCounts(directory, names) : new Map<string, number>();
    const found = new Map([...mounted].map((id) => [id, kept.get(id) ?? 1]));
    const stale = names.filter((name) => (found.get(name as LayerId) ?? 0) < 2);
    if (stale.length > 0)
      await disk.change(stale.map((name) => ({ do: 'unlink', path: join(directory, name) })));
    return { found, keep: keeper(directory, disk) };
  } catch (error) {
    throw fromErrno(error, { op: 'read the numbers of uses', path: directory });
  }
}

/** The directory is made with the first count: a home is opened on a full disk too. */
async function namesIn(directory: string): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return [];
    throw error;
  }
}

async function readCounts(directory: string, names: readonly string[]): Promise<Map<string, number>> {
  const counts = new Map<string, number>();
  for (const name of names) {
    const uses = Number(await readFile(join(directory, name), 'latin1'));
    if (Number.isSafeInteger(uses)) counts.set(name, uses);
  }
  return counts;
}

function keeper(directory: string, disk: Disk): UseCounts['keep'] {
  let made = false;
  const make = async () => {
    if (!made) await mkdir(directory, { mode: 0o700, recursive: true });
    made = true;
  };
  const counts = new Latest(async (layer: LayerId, uses: number) => {
    const path = join(directory, layer);
    try {
      if (uses > 1) await make();
      await (uses > 1 ? disk.change(replacing(path, uses)) : disk.change([{ do: 'unlink', path }]));
    } catch (error) {
      throw fromErrno(error, { op: 'keep the number of uses', layer, path });
    }
  });
  return (layer, uses) => counts.write(layer, uses);
}

/** Under a name that no layer has, first: half a number would be another one. */
function replacing(path: string, uses: number): Parameters<Disk['change']>[0] {
  const draft = `${path}.tmp`;
  return [
    { do: 'write', path: draft, text: String(uses), mode: 0o600, sync: false },
    { do: 'rename', from: draft, to: path },
  ];
}
