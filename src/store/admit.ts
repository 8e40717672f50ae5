/** Whether a layer may be created. Pure. */

import { ThinlayerError } from '../core/errors.js';
import { parseLayerId } from '../core/model.js';
import type { LayerId, LayerRecord } from '../core/model.js';
import type { LayerIndex } from './layer-index.js';
import { isLink, newLink } from './paths.js';

/** The record to create: one without a link gets a new one. Throws what `create` rejects with. */
export function admit(index: LayerIndex, wanted: LayerRecord): LayerRecord {
  const record = { ...wanted, link: wanted.link === '' ? newLink() : wanted.link };
  const context = { op: 'create', layer: record.id };
  parseLayerId(record.id);
  if (!isLink(record.link)) {
    const message = `not a link name: ${JSON.stringify(record.link.slice(0, 80))}; it has 26 characters of A-Z2-7`;
    throw new ThinlayerError('invalid_argument', message, context);
  }
  if (index.has(record.id)) {
    throw new ThinlayerError('already_exists', `layer ${record.id} exists; remove it first`, context);
  }
  if (record.parent !== null) checkParent(index, record, record.parent);
  return record;
}

function checkParent(index: LayerIndex, { id }: LayerRecord, parent: LayerId): void {
  const context = { op: 'create', layer: id };
  const reason = index.broken().get(parent);
  if (reason !== undefined) {
    const message = `cannot create layer ${id}: its parent ${parent} is broken: ${reason}`;
    throw new ThinlayerError('failed_precondition', message, context);
  }
  if (index.get(parent) !== undefined) return;
  throw new ThinlayerError(
    'not_found',
    `cannot create layer ${id}: its parent ${parent} does not exist`,
    context,
  );
}
