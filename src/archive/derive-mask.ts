/**
 * From a layer whose whiteouts are files, as archives have them, to two trees that make overlayfs honour them. `above` the layer
 * hides the names `.wh.*` themselves. What they delete is deleted `below` it, so that what the layer itself brings stays.
 */

import type {
  ByteString,
  OverlayPrefix,
  TreeEntry,
  TreeReader,
  TreeWriter,
  TreeWriters,
} from '../core/tree.js';
import { OPAQUE_NAME, WHITEOUT_PREFIX } from './whiteouts.js';

const S_IFMT = 0o170000;
const S_IFDIR = 0o040000;
const MODE = 0o7777;

/** Fills the directories `above` and `below`, which are empty. False: there is not one whiteout, and they stay so. */
export async function deriveMask(
  reader: TreeReader,
  writers: TreeWriters,
  overlayPrefix: OverlayPrefix,
  tree: string,
  { above, below }: { readonly above: string; readonly below: string },
): Promise<boolean> {
  const options = { owner: { uid: 0, gid: 0 }, overlayPrefix, clears: false };
  const mask = new MaskWriter(writers.open(above, options), writers.open(below, options), overlayPrefix);
  try {
    for await (const { entries } of reader.read(tree, { namesOnly: true })) {
      for (const entry of entries) await mask.take(entry);
    }
    return await mask.finish();
  } finally {
    await mask.close();
  }
}

class MaskWriter {
  readonly #above: TreeWriter;
  readonly #below: TreeWriter;
  readonly #opaqueName: string;
  /** Directories around the current entry, outermost first. */
  #around: { readonly entry: TreeEntry; made: boolean }[] = [];
  #found = false;

  constructor(above: TreeWriter, below: TreeWriter, overlayPrefix: OverlayPrefix) {
    this.#above = above;
    this.#below = below;
    this.#opaqueName = `${overlayPrefix}opaque`;
  }

  /** Entries come depth first. */
  async take(entry: TreeEntry): Promise<void> {
    const { path } = entry;
    this.#around = this.#around.filter((directory) => path.startsWith(`${directory.entry.path}/`));
    if (path.startsWith(WHITEOUT_PREFIX, path.lastIndexOf('/') + 1)) return this.#mark(entry);
    if ((entry.mode & S_IFMT) === S_IFDIR) this.#around.push({ entry, made: false });
  }

  async finish(): Promise<boolean> {
    await this.#above.finish();
    await this.#below.finish();
    return this.#found;
  }

  async close(): Promise<void> {
    await this.#above.close();
    await this.#below.close();
  }

  async #mark(entry: TreeEntry): Promise<void> {
    // What is inside of one is hidden with it.
    if (isInsideOfMark(entry.path)) return;
    this.#found = true;
    await this.#makeAround();
    await this.#above.whiteout(entry.path, ownerOf(entry));
    const at = entry.path.lastIndexOf('/') + 1;
    const [directory, mark] = [entry.path.slice(0, at), entry.path.slice(at)];
    const name = mark.slice(WHITEOUT_PREFIX.length);
    if (mark === OPAQUE_NAME) await this.#below.opaque(directory === '' ? '.' : directory.slice(0, -1));
    else if (isDeletable(name)) await this.#below.whiteout(directory + name, ownerOf(entry));
  }

  /** The uppermost directory of several is whose owner, mode and attributes are seen: those of the layer's own. */
  async #makeAround(): Promise<void> {
    for (const directory of this.#around) {
      if (directory.made) continue;
      directory.made = true;
      const { entry } = directory;
      const xattrs = new Map(entry.xattrs.filter(([name]) => name !== this.#opaqueName));
      const node = { type: 'directory', path: entry.path, mode: entry.mode & MODE, xattrs } as const;
      await this.#above.create({ ...node, ...ownerOf(entry) });
      await this.#below.create({ ...node, ...ownerOf(entry) });
    }
  }
}

function isInsideOfMark(path: ByteString): boolean {
  const around = path.split('/').slice(0, -1);
  return around.some((name) => name.startsWith(WHITEOUT_PREFIX));
}

/** `.wh..wh.…` is AUFS's own. */
function isDeletable(name: ByteString): boolean {
  return name !== '' && name !== '.' && name !== '..' && !name.startsWith(WHITEOUT_PREFIX);
}

function ownerOf({ uid, gid, mtimeSeconds, mtimeNanoseconds }: TreeEntry) {
  return { uid, gid, mtime: { seconds: mtimeSeconds, nanoseconds: mtimeNanoseconds } };
}
