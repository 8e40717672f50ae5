/** What must hold of a home on disk whenever no call is under way, whatever happened before. */

import assert from 'node:assert/strict';
import { readFile, readdir, readlink } from 'node:fs/promises';
import { join } from 'node:path';

import type { Daemon } from './daemon.js';

const OF_HOME = new Set(['l', '.trash', '.lock', '.uses']);
const OF_EVERY_LAYER = ['diff', 'layer.json', 'link'];
const OF_SOME_LAYERS = new Set(['committed', 'lower', 'work', 'merged']);

/** `layers`: all that there are, by id, and whether each is mounted. Nothing else may be there: no mount, link, staging or tmp file. */
export async function assertSound(daemon: Daemon, layers: ReadonlyMap<string, boolean>): Promise<void> {
  const ids = [...layers.keys()].sort();
  const mounted = ids.filter((id) => layers.get(id));
  const home = daemon.inside(daemon.home);
  const names = await readdir(home);
  assert.deepEqual(names.filter((name) => !OF_HOME.has(name)).sort(), ids, 'directories of the home');
  const points = mounted.map((id) => join(daemon.home, id, 'merged'));
  assert.deepEqual((await daemon.mounts()).sort(), points, 'mounts');
  const links = await Promise.all(ids.map((id) => layerOf(home, id, mounted.includes(id))));
  assert.deepEqual(await linksOf(home), new Map(links.sort()), 'short links');
}

/** Its link and what that has to point to. */
async function layerOf(home: string, id: string, mounted: boolean): Promise<[string, string]> {
  const names = await readdir(join(home, id));
  const needed = OF_EVERY_LAYER.filter((name) => !names.includes(name));
  const unknown = names.filter((name) => !OF_EVERY_LAYER.includes(name) && !OF_SOME_LAYERS.has(name));
  assert.deepEqual({ needed, unknown }, { needed: [], unknown: [] }, `files of layer ${id}`);
  assert.equal(names.includes('merged'), mounted, `merged of layer ${id}`);
  return [await readFile(join(home, id, 'link'), 'utf8'), `../${id}/diff`];
}

async function linksOf(home: string): Promise<Map<string, string>> {
  const names = (await readdir(join(home, 'l'))).sort();
  return new Map(
    await Promise.all(
      names.map(async (name): Promise<[string, string]> => [name, await readlink(join(home, 'l', name))]),
    ),
  );
}
