/** Images made of nothing, in the form that `docker load` takes: as many layers as wanted, without a build. */

import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { buffer } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { pack } from 'tar-stream';

export interface ArchivedFile {
  readonly name: string;
  /** Absent: a directory. A name `.wh.NAME` with no contents deletes NAME. */
  readonly contents?: Buffer | string;
}

/** An uncompressed layer. */
export function makeLayer(files: readonly ArchivedFile[]): Promise<Buffer> {
  const archive = pack();
  const mtime = new Date(1_000_000_000_000);
  for (const { name, contents } of files) {
    if (contents === undefined) archive.entry({ name, type: 'directory', mode: 0o755, mtime });
    else archive.entry({ name, mode: 0o755, mtime }, contents);
  }
  archive.finalize();
  return buffer(archive);
}

/** Writes an archive that `docker load` reads as the image `name`. */
export async function writeImageArchive(
  path: string,
  name: string,
  layers: readonly Buffer[],
): Promise<void> {
  const archive = pack();
  const written = pipeline(archive, createWriteStream(path));
  const digests = layers.map((layer) => `sha256:${createHash('sha256').update(layer).digest('hex')}`);
  const rootfs = { type: 'layers', diff_ids: digests };
  const config = JSON.stringify({ architecture: 'amd64', os: 'linux', config: { Cmd: ['sh'] }, rootfs });
  const paths = layers.map((_, index) => `${index}/layer.tar`);
  const manifest = JSON.stringify([{ Config: 'config.json', RepoTags: [name], Layers: paths }]);
  archive.entry({ name: 'config.json' }, config);
  archive.entry({ name: 'manifest.json' }, manifest);
  for (const [index, layer] of layers.entries()) archive.entry({ name: `${index}/layer.tar` }, layer);
  archive.finalize();
  await written;
}
