/** Numbers of uses on disk: `.uses/ID` for each layer with more than one. */

import type { Dirent } from 'node:fs';
import { mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

import type { Disk, DiskChange } from '../core/disk.js';
import { fromErrno, isErrno } from '../core/errno.js';
import type { LayerId } from '../core/model.js';
import type { UseCounts } from '../core/ports.js';
import { noDirectory } from './exists.js';
import { Latest } from './latest.js';
import type { StoreLog } from './log.js';

/** More than one, as it is written; a number that no dockerd gets to is damage, as any other text. */
const COUNT = /^[1-9]\d{0,5}$/;

export interface UseCountsOptions {
  /** Of all counts. */
  readonly directory: string;
  readonly disk: Disk;
  /** Layers that are mounted now. */
  readonly mounted: Iterable<LayerId>;
  /** See HomeConfig. */
  readonly resumed: boolean;
  readonly log: Pick<StoreLog, 'warn'>;
}

export interface OpenedUseCounts extends UseCounts {
  /** Of each mounted layer. */
  readonly found: ReadonlyMap<LayerId, number>;
}

/**
 * Forgets what nobody holds any more. After a kill the count of a crowd may be too high, none is too low. One that was damaged
 * is a single use, as that of a layer which has none there.
 */
export async function openUseCounts(options: UseCountsOptions): Promise<OpenedUseCounts> {
  const { directory, disk, mounted, resumed } = options;
  try {
    const entries = await entriesOf(directory);
    const kept = resumed ? await readCounts(directory, entries) : new Map<string, number>();
    const found = new Map([...mounted].map((id) => [id, kept.get(id) ?? 1]));
    const useless = entries.filter(({ name }) => !kept.has(name) || !found.has(name as LayerId));
    await clear(options, useless);
    return { found, keep: keeper(directory, disk) };
  } catch (error) {
    throw fromErrno(error, { op: 'read the numbers of uses', path: directory });
  }
}

/** The directory is made with the first count: a home is opened on a full disk too. */
async function entriesOf(directory: string): Promise<Dirent[]> {
  try {
    return await readdir(directory, { withFileTypes: true });
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return [];
    throw isErrno(error, 'ENOTDIR') ? noDirectory(directory) : error;
  }
}

/** Those above one. */
async function readCounts(directory: string, entries: readonly Dirent[]): Promise<Map<string, number>> {
  const counts = new Map<string, number>();
  for (const { name } of entries.filter((entry) => entry.isFile())) {
    const text = await readFile(join(directory, name), 'latin1');
    if (COUNT.test(text) && Number(text) > 1) counts.set(name, Number(text));
  }
  return counts;
}

/** But for directories, which are nobody's, and may hold anything. */
async function clear({ directory, disk, log }: UseCountsOptions, entries: readonly Dirent[]): Promise<void> {
  const stale: DiskChange[] = [];
  for (const entry of entries) {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) log.warn({ path }, `${path} is a directory among numbers of uses; move it away`);
    else stale.push({ do: 'unlink', path });
  }
  if (stale.length > 0) await disk.change(stale);
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
      // No layer's name begins with a dot.
      const draft = join(directory, `.${layer}`);
      await disk.change(uses > 1 ? replacing(draft, path, uses) : [{ do: 'unlink', path }]);
    } catch (error) {
      throw fromErrno(error, { op: 'keep the number of uses', layer, path });
    }
  });
  return (layer, uses) => counts.write(layer, uses);
}

/** Under a name that no layer has, first: half a number would be another one. */
function replacing(draft: string, path: string, uses: number): DiskChange[] {
  return [
    { do: 'write', path: draft, text: String(uses), mode: 0o600, sync: false },
    { do: 'rename', from: draft, to: path },
  ];
}
