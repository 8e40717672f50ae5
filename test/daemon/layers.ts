/** Layers that the tests share: what a whole life of one is, and small ones with a file that tells them. */

import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { contentsOf, manyFiles } from './archives.js';
import type { Daemon } from './daemon.js';

/** An image and a container on it, from their creation to their removal, with every call that dockerd has. */
export async function wholeLife(daemon: Daemon, name: string): Promise<void> {
  const { client } = daemon;
  const [image, container, mark] = [`image-${name}`, `container-${name}`, `contents of ${name}`];
  await client.create(image);
  const size = await client.applyDiff(image, '', await manyFiles(mark, 5));
  assert.equal(await client.diffSize(image), size);

  await client.createReadWrite(container, image);
  const merged = daemon.inside(await client.get(container));
  assert.equal(await readFile(join(merged, 'mark'), 'utf8'), mark);
  await writeFile(join(merged, 'written'), mark);

  const files = await contentsOf(await client.diff(container, image));
  assert.equal(files.get('written')?.toString(), mark);
  assert.deepEqual(await client.changes(container, image), [{ Path: '/written', Kind: 1 }]);
  assert.equal(await client.diffSize(container, image), mark.length);

  await client.put(container);
  await client.remove(container);
  await client.remove(image);
  assert.equal(await client.exists(image), false);
}

/** An image of few files; `mark` among them holds its id. */
export async function makeImage({ client }: Daemon, id: string, parent = ''): Promise<void> {
  await client.create(id, parent);
  await client.applyDiff(id, parent, await manyFiles(id, 3));
}

/** A container on an image of its own. Answers the image. */
export async function makeContainer(daemon: Daemon, id: string): Promise<string> {
  const base = `base-of-${id}`;
  await makeImage(daemon, base);
  await daemon.client.createReadWrite(id, base);
  return base;
}

export async function removeContainer({ client }: Daemon, id: string): Promise<void> {
  await client.remove(id);
  await client.remove(`base-of-${id}`);
}

/** `merged`, of a container of `makeContainer`, shows its files. */
export async function assertReadable(daemon: Daemon, merged: string): Promise<void> {
  assert.match(await readFile(join(daemon.inside(merged), 'mark'), 'utf8'), /^base-of-/);
}

export function times<T>(count: number, work: (index: number) => Promise<T>): Promise<T[]> {
  return Promise.all(Array.from({ length: count }, (_, index) => work(index)));
}
