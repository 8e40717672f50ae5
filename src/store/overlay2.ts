/**
 * Records of layers that Docker's own overlay2 made, from its files: `link`, `lower`, the entries of `l/`. Pure.
 * They stay in memory; a layer's record is written when the layer is next changed, so that a home which is only
 * looked at stays Docker's.
 */

import { ThinlayerError } from '../core/errors.js';
import type { LayerId, LayerRecord } from '../core/model.js';
import type { LayerFacts, Overlay2Facts } from './facts.js';
import { isLink, linkedLayer, parseLower } from './paths.js';

/** What the rest of the home tells. */
export interface Surroundings {
  readonly ids: ReadonlySet<string>;
  readonly ownerOf: (link: string) => LayerId | undefined;
  /** The name in `l/` that points to a layer. */
  readonly linkTo: (id: LayerId) => string | undefined;
}

/** Throws `data_loss` with the reason if the files do not tell enough. */
export function deriveRecord(layer: LayerFacts, files: Overlay2Facts, around: Surroundings): LayerRecord {
  const { id } = layer;
  // A power cut leaves `link` empty: moby wrote it without a sync until 2023 (moby#46471).
  const link = isLink(files.link) ? files.link : around.linkTo(id);
  if (link === undefined) throw lost(id, 'its link file is empty, and no entry of l/ points to it');
  const container = isContainer(id, around.ids);
  return {
    version: 1,
    id,
    parent: deriveParent(layer, files, around),
    kind: container ? 'container' : 'image',
    state: container ? 'created' : 'applied',
    link,
    size: null,
    quota: null,
    mountLabel: null,
  };
}

/** Docker makes two layers for a container: ID, and ID-init below it. */
function isContainer(id: LayerId, ids: ReadonlySet<string>): boolean {
  return id.endsWith('-init') || ids.has(`${id}-init`);
}

function deriveParent(layer: LayerFacts, files: Overlay2Facts, around: Surroundings): LayerId | null {
  const { id } = layer;
  if (files.lower === '') {
    // `work` is made together with `lower`, and only with a parent.
    if (!layer.entries.includes('lower') && !layer.entries.includes('work')) return null;
    throw lost(id, 'its lower file is empty or missing, so its parent is unknown');
  }
  const first = parseLower(files.lower)?.[0];
  if (first === undefined)
    throw lost(id, `its lower file is no list of l/ links: ${files.lower.slice(0, 80)}`);
  const parent = around.ownerOf(first);
  if (parent === undefined) throw lost(id, `no layer owns l/${first}, its parent by its lower file`);
  return parent;
}

/** Which layer each link belongs to: by `link` files and records first, by the entries of `l/` where those are empty. */
export function linkOwners(
  layers: readonly LayerFacts[],
  links: ReadonlyMap<string, string>,
): Map<string, LayerId> {
  const owners = new Map<string, LayerId>();
  const unnamed = new Map<string, LayerId>();
  for (const layer of layers) {
    const link = layer.record.found === 'record' ? layer.record.record.link : (layer.overlay2?.link ?? '');
    if (!isLink(link)) unnamed.set(layer.id, layer.id);
    else if (!owners.has(link) || linkedLayer(links.get(link) ?? '') === layer.id) owners.set(link, layer.id);
  }
  if (unnamed.size === 0) return owners;
  for (const [link, target] of links) {
    const owner = unnamed.get(linkedLayer(target) ?? '');
    if (owner !== undefined && !owners.has(link)) owners.set(link, owner);
  }
  return owners;
}

function lost(id: LayerId, reason: string): ThinlayerError {
  return new ThinlayerError('data_loss', reason, { op: 'read', layer: id });
}
