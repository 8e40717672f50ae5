/**
 * Reads a home. Synchronous calls, because ten thousand layers are fifty thousand of them and each is over in
 * microseconds; in slices, because nothing may hold the event loop for long.
 */

import { lstatSync, readFileSync, readdirSync, readlinkSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';

import { fromErrno, isErrno } from '../core/errno.js';
import { ThinlayerError } from '../core/errors.js';
import { parseLayerId } from '../core/model.js';
import type { LayerId } from '../core/model.js';
import type { HomeFacts, LayerFacts, Overlay2Facts, RecordFacts } from './facts.js';
import { homePaths, layerFiles } from './paths.js';
import type { LayerFiles } from './paths.js';
import { parseRecord } from './records.js';

const SLICE_MS = 10;

const NOTHING: RecordFacts = { found: 'none' };

export async function scanHome(home: string): Promise<HomeFacts> {
  const names = readdirSync(home, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  const layers: LayerFacts[] = [];
  await inSlices(names, ({ name }) => {
    const id = asLayerId(name);
    if (id !== undefined) layers.push(scanLayer(home, id));
  });
  return { layers, links: await scanLinks(home) };
}

/** The entries of `l/`. */
export async function scanLinks(home: string): Promise<Map<string, string>> {
  const { links } = homePaths(home);
  const targets = new Map<string, string>();
  const entries = readdirSync(links, { withFileTypes: true }).filter((entry) => entry.isSymbolicLink());
  await inSlices(entries, ({ name }) => targets.set(name, readlinkSync(`${links}/${name}`)));
  return targets;
}

/** Never throws: what cannot be read is the `fault` of that one layer. */
export function scanLayer(home: string, id: LayerId): LayerFacts {
  try {
    return readLayer(layerFiles(home, id), id);
  } catch (error) {
    const fault = fromErrno(error, { op: 'read', layer: id }).message;
    const nothing = {
      record: NOTHING,
      draft: NOTHING,
      staged: NOTHING,
      linkSize: 0,
      lowerSize: 0,
      diffFilled: false,
      overlay2: null,
    };
    return { id, fault, entries: [], ...nothing };
  }
}

function readLayer(files: LayerFiles, id: LayerId): LayerFacts {
  const entries = readdirSync(files.root);
  const read = (name: string, path: string) => (entries.includes(name) ? readRecord(path, id) : NOTHING);
  const record = read('layer.json', files.record);
  return {
    id,
    fault: null,
    entries,
    record,
    draft: read('layer.json.tmp', files.draft),
    staged: read('layer.json.staged', files.staged),
    linkSize: entries.includes('link') ? lstatSync(files.link).size : 0,
    lowerSize: entries.includes('lower') ? lstatSync(files.lower).size : 0,
    diffFilled: entries.includes('staging') && holdsSomething(files.diff),
    overlay2: record.found === 'record' ? null : readOverlay2(files, entries),
  };
}

function readRecord(path: string, id: LayerId): RecordFacts {
  const text = readText(path);
  try {
    return { found: 'record', record: parseRecord(text, id) };
  } catch (error) {
    if (!(error instanceof ThinlayerError)) throw error;
    return { found: 'damage', reason: error.message, newer: error.code === 'failed_precondition' };
  }
}

function readOverlay2(files: LayerFiles, entries: readonly string[]): Overlay2Facts {
  const text = (name: string, path: string) => (entries.includes(name) ? readText(path).trim() : '');
  return {
    link: text('link', files.link),
    lower: text('lower', files.lower),
    filled: [files.diff, files.work].some(holdsSomething),
  };
}

/** Of what we or Docker's driver wrote, which is a file: to open a FIFO would hold the daemon until somebody writes. */
function readText(path: string): string {
  if (lstatSync(path).isFile()) return readFileSync(path, 'utf8');
  throw new ThinlayerError(
    'data_loss',
    `${path} is no regular file; put the file back, or remove the layer and pull its image again`,
    { op: 'read', path },
  );
}

function holdsSomething(directory: string): boolean {
  try {
    return readdirSync(directory).length > 0;
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return false;
    throw error;
  }
}

function asLayerId(name: string): LayerId | undefined {
  try {
    return parseLayerId(name);
  } catch (error) {
    if (error instanceof ThinlayerError) return undefined;
    throw error;
  }
}

async function inSlices<T>(items: readonly T[], work: (item: T) => void): Promise<void> {
  let started = performance.now();
  for (const item of items) {
    work(item);
    if (performance.now() - started < SLICE_MS) continue;
    await setImmediate();
    started = performance.now();
  }
}
