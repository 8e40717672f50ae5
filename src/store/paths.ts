/**
 * Where things are on disk: the layout of Docker's overlay2, so that an administrator finds what he knows and either
 * driver can read the other's home.
 *
 *   <home>/                   0710, group of the mapped root: a remapped container root may pass through, not list
 *     .lock                   held while a daemon works on this home
 *     .trash/ID.RANDOM        0700; removed layers, deleted in the background and again at each start
 *     .uses/ID                0700; how many uses a layer has, where it is more than one
 *     l/LINK                  0700; symlink to ../ID/diff
 *     cvmfs/                  mountpoints of repositories; the store leaves it alone
 *     masks/PLACE/VERSION/    above, below: what makes overlayfs honour the whiteouts of a layer in CVMFS, as it was published at
 *                             its place then; empty: it has none
 *     masks/PLACE/.VERSION/   one being derived
 *     ID/                     0710 like the home
 *       layer.json            the record: the fact from which all other small files can be made again
 *       layer.json.tmp        the record being written. Made, empty, before anything else of a new layer: without a
 *                             layer.json beside it, it says that this Create was never acknowledged. Once complete it
 *                             counts as layer.json: it was synced, only the rename may have been lost with the power
 *       layer.json.staged     complete: `staging` is whole, becomes `diff`, and this the record (a redo log)
 *       staging/              0755; a tar being unpacked
 *       diff/                 0755, mapped root; what this layer changes
 *       link                  LINK, 26 characters of A-Z2-7, no newline
 *       lower                 l/LINK:l/LINK..., uppermost first; absent for a layer without a parent
 *       committed             a child exists: from then on mounted read-only only
 *       work/                 0700, mapped root; with a parent only. overlayfs keeps its own things there
 *       merged/               the mountpoint, made at mount, removed at unmount
 *
 * The length of LINK: all lowers of a mount(2) have to fit into one page, less the room for directories and label:
 *   (26 + len("l/")) * 128 lowers = 3584 = 4096 - 512
 * which is Docker's own arithmetic, and with the 127 colons between them still 385 bytes below the page.
 */

import { randomFillSync } from 'node:crypto';
import { join } from 'node:path';

import type { LayerId, LayerPaths } from '../core/model.js';

export const LINK_LENGTH = 26;

const LINK = /^[A-Z2-7]{26}$/;
const BASE32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
const LINK_TARGET = /^\.\.\/([^/]+)\/diff$/;

export interface HomePaths {
  readonly home: string;
  readonly links: string;
  readonly trash: string;
  readonly lock: string;
  readonly uses: string;
}

/** Everything of one layer, as absolute paths. */
export interface LayerFiles extends LayerPaths {
  readonly record: string;
  readonly draft: string;
  readonly staged: string;
  readonly staging: string;
  readonly link: string;
  readonly lower: string;
  readonly committed: string;
}

/** All names that a layer's directory may hold. */
export const LAYER_NAMES: ReadonlySet<string> = new Set([
  'layer.json',
  'layer.json.tmp',
  'layer.json.staged',
  'staging',
  'diff',
  'link',
  'link.tmp',
  'lower',
  'lower.tmp',
  'committed',
  'work',
  'merged',
]);

export function homePaths(home: string): HomePaths {
  return {
    home,
    links: join(home, 'l'),
    trash: join(home, '.trash'),
    lock: join(home, '.lock'),
    uses: join(home, '.uses'),
  };
}

export function layerPaths(home: string, id: LayerId): LayerPaths {
  const root = `${home}/${id}`;
  return { root, diff: `${root}/diff`, work: `${root}/work`, merged: `${root}/merged` };
}

export function layerFiles(home: string, id: LayerId): LayerFiles {
  const paths = layerPaths(home, id);
  return {
    ...paths,
    record: `${paths.root}/layer.json`,
    draft: `${paths.root}/layer.json.tmp`,
    staged: `${paths.root}/layer.json.staged`,
    staging: `${paths.root}/staging`,
    link: `${paths.root}/link`,
    lower: `${paths.root}/lower`,
    committed: `${paths.root}/committed`,
  };
}

export function isLink(text: string): boolean {
  return LINK.test(text);
}

/** Drawn for many links at once: a draw costs as much as the file operations of a layer's creation. */
const random = Buffer.alloc(LINK_LENGTH * 64);
let drawn = random.length;

/** 130 random bits: nobody else has it. */
export function newLink(): string {
  if (drawn === random.length) {
    randomFillSync(random);
    drawn = 0;
  }
  const bytes = random.subarray(drawn, (drawn += LINK_LENGTH));
  return Array.from(bytes, (byte) => BASE32[byte & 31]).join('');
}

export function linkPath(home: string, link: string): string {
  return `${home}/l/${link}`;
}

export function linkTarget(id: LayerId): string {
  return `../${id}/diff`;
}

/** The layer that an entry of `l/` points to; undefined for what is not of that form, such as links into `cvmfs/`. */
export function linkedLayer(target: string): string | undefined {
  const name = LINK_TARGET.exec(target)?.[1];
  return name === 'cvmfs' || name === 'masks' ? undefined : name;
}

/** The text of `lower`. */
export function lowerText(links: readonly string[]): string {
  return links.map((link) => `l/${link}`).join(':');
}

/** The links in the text of `lower`; undefined if it is not such a text. */
export function parseLower(text: string): string[] | undefined {
  const links = text.split(':').map((entry) => (entry.startsWith('l/') ? entry.slice(2) : ''));
  return links.every(isLink) ? links : undefined;
}

/** Bytes of `lower` with that many lowers; 0 means that there is no such file. */
export function lowerSize(depth: number): number {
  return depth === 0 ? 0 : depth * (LINK_LENGTH + 3) - 1;
}
