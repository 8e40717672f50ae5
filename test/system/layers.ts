/** What an image's layers look like on disk. */

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { listTree } from './tree-listing.js';
import type { ListingOptions } from './tree-listing.js';
import type { Lab } from './lab.js';

/** The directories that hold an image's layers, the lowest first. */
export async function layerDirectories(lab: Lab, image: string): Promise<string[]> {
  const inspected = await lab.docker('image', 'inspect', '-f', '{{json .GraphDriver.Data}}', image);
  const data = JSON.parse(inspected) as { UpperDir: string; LowerDir?: string };
  const lowers = data.LowerDir === undefined ? [] : data.LowerDir.split(':');
  return [data.UpperDir, ...lowers].reverse();
}

/** The listings of an image's layers, the lowest first: in overlay form, as every driver here keeps them. */
export async function layerListings(
  lab: Lab,
  image: string,
  options: ListingOptions = {},
): Promise<string[][]> {
  const directories = await layerDirectories(lab, image);
  return Promise.all(directories.map((directory) => listTree(directory, options)));
}

/** The mounted file system of a running container, as a path of the host. */
export async function containerRoot(lab: Lab, container: string): Promise<string> {
  const pid = await lab.docker('inspect', '-f', '{{.State.Pid}}', container);
  const children = await readFile(`/proc/${lab.jail.init}/root/proc/${pid}/mountinfo`, 'utf8');
  if (children === '') throw new Error(`${container} is not running`);
  return join(`/proc/${lab.jail.init}/root/proc`, pid, 'root');
}
