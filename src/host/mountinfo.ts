/** /proc/self/mountinfo (proc_pid_mountinfo(5)) as values, and the overlay mounts of a home among them. */

import { readFile, realpath } from 'node:fs/promises';

import { ThinlayerError } from '../core/errors.js';
import { fromErrno } from '../core/errno.js';
import { UNPACKING } from '../core/mount-plan.js';
import { isRepositoryName } from '../core/repository-name.js';

export interface MountEntry {
  readonly id: number;
  readonly parent: number;
  /** `major:minor` */
  readonly device: string;
  /** The directory of the file system that is mounted. */
  readonly root: string;
  readonly mountPoint: string;
  readonly options: readonly string[];
  /** Optional fields, as they stand: `shared:1`, `master:2`. */
  readonly tags: readonly string[];
  readonly type: string;
  readonly source: string;
  readonly superOptions: readonly string[];
}

/** Later mounts come later. Fields that are unknown are kept or skipped; a line that is none throws `internal`. */
export function parseMountinfo(text: string): MountEntry[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map(parseLine);
}

function parseLine(line: string): MountEntry {
  const fields = line.split(' ');
  const dash = fields.indexOf('-', 6);
  const [id, parent, device, root, mountPoint, options] = fields;
  const [type, source, superOptions] = fields.slice(dash + 1);
  if (dash < 0 || options === undefined || type === undefined) {
    throw new ThinlayerError('internal', `not a line of mountinfo: ${JSON.stringify(line)}`, {
      op: 'mountinfo',
    });
  }
  return {
    id: Number(id),
    parent: Number(parent),
    device: device ?? '',
    root: unescape(root ?? ''),
    mountPoint: unescape(mountPoint ?? ''),
    options: options.split(','),
    tags: fields.slice(6, dash),
    type: unescape(type),
    source: unescape(source ?? ''),
    superOptions: (superOptions ?? '').split(',').map(unescape),
  };
}

/** The kernel writes blanks, backslashes and separators as three octal digits. */
function unescape(field: string): string {
  return field.replace(/\\([0-3][0-7]{2})/g, (_, octal: string) => String.fromCharCode(parseInt(octal, 8)));
}

export interface HomeMount {
  /** Name of the layer's directory; whether it is a layer's, the store knows. */
  readonly id: string;
  /** `merged`: what containers use. `unpacking`: what a killed daemon left. */
  readonly kind: 'merged' | typeof UNPACKING;
  /** `<home>/<id>/<kind>` */
  readonly target: string;
}

const LAYER_MOUNT = new RegExp(`^([^/.][^/]*)/(merged|${UNPACKING})$`);

/** The overlay mounts of layers, each directory once. Names with a dot in front are the daemon's own: `.probe`. */
export function homeMounts(entries: readonly MountEntry[], home: string): HomeMount[] {
  const places = entries
    .filter((entry) => entry.type === 'overlay' && entry.mountPoint.startsWith(`${home}/`))
    .map((entry) => entry.mountPoint.slice(home.length + 1));
  return [...new Set(places)].flatMap((place) => {
    const [, id, kind] = LAYER_MOUNT.exec(place) ?? [];
    return id === undefined ? [] : [{ id, kind: kind as HomeMount['kind'], target: `${home}/${place}` }];
  });
}

/** Names of the repositories that are mounted below the home, each once. */
export function repositoryMounts(entries: readonly MountEntry[], home: string): string[] {
  const directory = `${home}/cvmfs/`;
  const points = entries.map(({ mountPoint }) => mountPoint).filter((point) => point.startsWith(directory));
  return [...new Set(points.map((point) => point.slice(directory.length)))];
}

/** What is mounted below a home. */
export interface HomeMounts {
  readonly layers: readonly HomeMount[];
  readonly repositories: readonly string[];
}

/** From the kernel. Targets start with `home` as given, also where symlinks lead to it. */
export async function readHomeMounts(home: string): Promise<HomeMounts> {
  try {
    const [text, real] = await Promise.all([readFile('/proc/self/mountinfo', 'utf8'), realpath(home)]);
    const entries = parseMountinfo(text);
    const layers = homeMounts(entries, real);
    return {
      layers: layers.map((mount) => ({ ...mount, target: `${home}/${mount.id}/${mount.kind}` })),
      repositories: repositoryMounts(entries, real).filter(isRepositoryName),
    };
  } catch (error) {
    throw fromErrno(error, { op: 'list mounts', path: home });
  }
}
