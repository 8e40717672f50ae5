/**
 * An image as a registry has it, published as a thin one: `node publish-image.js TAR SITE CONFIG IMAGE URL` makes the
 * repository SITE for a web server, the client's configuration CONFIG with URL in it, and the tree IMAGE of the thin image.
 */

import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { writeClientConfig } from './client-config.js';
import { addTar } from './maker/import-tar.js';
import { RepositoryMaker } from './maker/repository-maker.js';
import { SourceTree } from './maker/source-tree.js';

export const IMAGES_FQRN = 'images.example.org';

/** Programs touch their files here and there: whole ones, or chunks of 8 MiB, would bring a third more over the network. */
const CHUNK_BYTES = 64 * 1024;

export interface ThinImage {
  /** An uncompressed tar of the image's only layer. */
  readonly tar: string;
  /** What a server has to show as `url`. */
  readonly site: string;
  readonly url: string;
  /** For `cvmfs.config_dir`; the cache is in it too. */
  readonly config: string;
  /** A directory for `docker import`. */
  readonly image: string;
}

export async function publishImage({ tar, site, url, config, image }: ThinImage): Promise<void> {
  const digest = await sha256(tar);
  const layer = `layers/${digest}`;
  const tree = new SourceTree();
  await addTar(tree, createReadStream(tar), `/${layer}`);
  const maker = new RepositoryMaker(site, IMAGES_FQRN, { chunkBytes: CHUNK_BYTES });
  maker.publish(tree.nest(`/${layer}`));
  await writeClientConfig(config, IMAGES_FQRN, { url, key: maker.options.keys.masterPublicPem });
  await mkdir(image, { recursive: true });
  const layers = [{ digest, url: `cvmfs://${IMAGES_FQRN}/${layer}` }];
  await writeFile(join(image, 'thin.json'), JSON.stringify({ version: '1.0', layers }));
}

async function sha256(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const piece of createReadStream(path)) hash.update(piece as Buffer);
  return hash.digest('hex');
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [tar = '', site = '', config = '', image = '', url = ''] = process.argv.slice(2);
  await publishImage({ tar, site, config, image, url });
}
