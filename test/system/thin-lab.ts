/** A lab whose thin images come from the sample repository. */

import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';

import { configureThin, serveThin } from '../cvmfs/thin-repository.js';
import { importTree } from './images.js';
import { Lab } from './lab.js';
import type { LabOptions } from './lab.js';

/** Its repository is served and configured, with `settings` more. */
export async function startThinLab(
  t: TestContext,
  options: LabOptions = {},
  settings: Readonly<Record<string, string>> = {},
): Promise<Lab> {
  const directory = await mkdtemp(join(tmpdir(), 'thinlayer-thin-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  // A container's remapped root has to be able to reach its files.
  await chmod(directory, 0o711);
  await configureThin(directory, undefined, settings);
  const storageOpts = [...(options.storageOpts ?? []), `cvmfs.config_dir=${directory}`];
  const lab = await Lab.start({ ...options, storageOpts });
  await serveThin(lab.jail);
  return lab;
}

/** An image whose only file is this descriptor. */
export async function importThin(lab: Lab, name: string, descriptor: Buffer | string): Promise<void> {
  const tree = lab.path(`tree-${name}`);
  await mkdir(tree);
  await writeFile(join(tree, 'thin.json'), descriptor);
  await importTree(lab, name, tree);
}

/** Paths that were asked of the repository's server, in order. */
export async function requestsOf(lab: Lab): Promise<string[]> {
  const lines = (await readFile(lab.path('server.log'), 'utf8')).trim().split('\n');
  return lines.map((line) => line.split(' ')[0] ?? '');
}
