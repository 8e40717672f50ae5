/**
 * The thin descriptor: `thin.json`, the only file of a thin layer. It names the layers to look up in CVMFS, lowest first.
 * It comes from strangers: everything is bounded and checked here, and nothing of it ever reaches a shell.
 *
 * Written by docker2cvmfs and DUCC (`version` 1.0) and by the old plugin; `url` may be missing, then the layer is looked
 * up by its digest.
 */

import { ThinlayerError } from './errors.js';
import type { LowerLayer, ThinLayer } from './model.js';
import { isRepositoryName } from './repository-name.js';

/** Far above what a descriptor with the most layers needs. */
export const MAX_DESCRIPTOR_BYTES = 1024 * 1024;

const MAX_LAYERS = 500;
const MAX_PATH = 4095;
const MAX_COMPONENT = 255;

export interface ThinDescriptor {
  /**
   * Lowest first, as in the file. None: the old plugin's build of a thin image that holds no files ("FROM scratch") writes an empty
   * list, and such an image is as good as any: below a container there is nothing then.
   */
  readonly layers: readonly ThinLayer[];
  readonly origin: string | null;
}

/**
 * `repository`: where layers without a `url` are. Throws `invalid_argument` that says which part of the descriptor is
 * wrong.
 */
export function parseThinDescriptor(text: string, repository: string): ThinDescriptor {
  if (text.length > MAX_DESCRIPTOR_BYTES) throw invalid(`it is larger than ${MAX_DESCRIPTOR_BYTES} bytes`);
  const fields = objectOf(parseJson(text), 'it');
  checkVersion(fields, 'version');
  checkVersion(fields, 'min_version');
  const { layers, origin } = fields;
  if (!Array.isArray(layers)) throw invalid(`layers is ${shown(layers)}, not a list`);
  if (layers.length > MAX_LAYERS)
    throw invalid(`it has ${layers.length} layers, at most ${MAX_LAYERS} can be mounted`);
  return {
    layers: layers.map((layer: unknown, index) =>
      parseLayer(objectOf(layer, `layers[${index}]`), index, repository),
    ),
    origin: typeof origin === 'string' ? origin.slice(0, MAX_PATH) : null,
  };
}

/** The layers of a descriptor as we keep them: checked as those of a descriptor, with the same refusals. */
export function parseThinLayers(value: unknown): ThinLayer[] {
  if (!Array.isArray(value)) throw invalid(`layers is ${shown(value)}, not a list`);
  if (value.length > MAX_LAYERS)
    throw invalid(`it has ${value.length} layers, at most ${MAX_LAYERS} can be mounted`);
  return value.map((layer: unknown, index) => parseKeptLayer(objectOf(layer, `layers[${index}]`), index));
}

/** The file, and nothing else beside it, is what makes a layer thin. */
export const DESCRIPTOR_NAME = 'thin.json';

/** Where to look for a layer in its repository: as its descriptor says, or where DUCC and docker2cvmfs put it. */
export function pathsOf({ digest, path }: ThinLayer): string[] {
  if (path !== null) return [path];
  return [`.layers/${digest.slice(0, 2)}/${digest}/layerfs`, `layers/${digest}`];
}

/** Where everybody knows a layer to be, wherever it is mounted for us. */
export function publicPathOf(lower: LowerLayer): string {
  if (typeof lower === 'string') return lower;
  return `/cvmfs/${lower.repository}/${pathsOf(lower)[0] ?? ''}`;
}

type Fields = Readonly<Record<string, unknown>>;

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw invalid(error instanceof Error ? error.message : String(error));
  }
}

function objectOf(value: unknown, name: string): Fields {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Fields;
  throw invalid(`${name} is ${shown(value)}, not an object`);
}

/** Only versions 0 and 1 are known. `min_version` is what a reader must know at least. */
function checkVersion(fields: Fields, name: 'version' | 'min_version'): void {
  const version = fields[name];
  if (name === 'min_version' && (version === undefined || version === '')) return;
  if (typeof version !== 'string' || !/^\d{1,4}(\.\d{1,4}){0,2}$/.test(version)) {
    throw invalid(`${name} is ${shown(version)}, not a version such as "1.0"`);
  }
  if (Number.parseInt(version, 10) <= 1) return;
  throw new ThinlayerError(
    'failed_precondition',
    `${name} of thin.json is ${version}, this thinlayer knows version 1; use a newer thinlayer for this image`,
    { op: 'thin' },
  );
}

function parseKeptLayer({ digest, repository, path }: Fields, index: number): ThinLayer {
  const url = path === null ? undefined : `cvmfs://${String(repository)}/${String(path)}`;
  if (typeof repository !== 'string' || !isRepositoryName(repository)) {
    throw invalid(`layers[${index}].repository is ${shown(repository)}, not the name of a repository`);
  }
  return parseLayer({ digest, url }, index, repository);
}

function parseLayer(fields: Fields, index: number, fallback: string): ThinLayer {
  const { digest, url } = fields;
  const hex = typeof digest === 'string' ? digest.replace(/^sha256:/, '') : '';
  if (!/^[0-9a-f]{64}$/.test(hex))
    throw invalid(`layers[${index}].digest is ${shown(digest)}, not 64 hexadecimal digits`);
  if (url === undefined || url === '') return { digest: hex, repository: fallback, path: null };
  if (typeof url !== 'string') throw invalid(`layers[${index}].url is ${shown(url)}, not a text`);
  return { digest: hex, ...parseUrl(url, `layers[${index}].url`) };
}

/** `cvmfs://REPOSITORY/PATH`: nothing is decoded, so that what is checked is what is used. */
function parseUrl(url: string, name: string): { repository: string; path: string } {
  const match = /^cvmfs:\/\/([^/]*)\/(.*)$/s.exec(url);
  const [repository, path] = [match?.[1], match?.[2]?.replace(/\/+$/, '')];
  if (repository === undefined || path === undefined)
    throw invalid(`${name} is ${shown(url)}, not cvmfs://REPOSITORY/PATH`);
  if (!isRepositoryName(repository))
    throw invalid(`${name}: ${shown(repository)} is not the name of a repository`);
  if (Buffer.byteLength(path) > MAX_PATH) throw invalid(`${name}: the path is longer than ${MAX_PATH} bytes`);
  const bad = path.split('/').find((component) => !isPlainName(component));
  if (bad !== undefined) throw invalid(`${name}: ${shown(bad)} may not be part of a path`);
  return { repository, path };
}

/** Also no line feed and no colon or comma, which mean something in tables of mounts and in `lower`. */
function isPlainName(name: string): boolean {
  const plain = name !== '' && name !== '.' && name !== '..' && /^[A-Za-z0-9._@+=~ -]+$/.test(name);
  return plain && Buffer.byteLength(name) <= MAX_COMPONENT;
}

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? 'missing';
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}

function invalid(reason: string): ThinlayerError {
  return new ThinlayerError('invalid_argument', `the thin descriptor /thin.json is not valid: ${reason}`, {
    op: 'thin',
  });
}
