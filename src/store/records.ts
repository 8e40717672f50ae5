/** `layer.json`: one record as text, and back. What comes from disk is checked field by field. */

import { ThinlayerError } from '../core/errors.js';
import { parseLayerId } from '../core/model.js';
import type { LayerId, LayerRecord, ThinLayer } from '../core/model.js';
import { parseThinLayers } from '../core/thin-descriptor.js';
import { isLink } from './paths.js';

type Fields = Readonly<Record<string, unknown>>;

/** Ends with a line feed; a text that was cut off anywhere before its last brace does not parse. */
export function formatRecord(record: LayerRecord): string {
  return `${JSON.stringify(record, null, 2)}\n`;
}

/**
 * The record in `text`, which was found in the directory of `id`. Unknown fields are dropped.
 * Throws `data_loss` for a damaged one, `failed_precondition` for one of a newer version, which must not be touched.
 */
export function parseRecord(text: string, id: LayerId): LayerRecord {
  const fields = parseObject(text, id);
  if (fields['version'] !== 1) throw foreignVersion(fields['version'], id);
  const check = checker(fields, id);
  return {
    version: 1,
    id: check('id', (v): v is LayerId => v === id, 'the name of its directory'),
    parent: check('parent', (v): v is LayerId | null => v === null || isLayerId(v), 'a layer id or null'),
    kind: check('kind', (v) => v === 'image' || v === 'container', 'image or container'),
    state: check('state', (v) => v === 'created' || v === 'applied', 'created or applied'),
    link: check('link', (v): v is string => typeof v === 'string' && isLink(v), '26 characters of A-Z2-7'),
    size: check('size', isBytesOrNull, 'bytes or null'),
    quota: check('quota', isBytesOrNull, 'bytes or null'),
    mountLabel: check(
      'mountLabel',
      (v): v is string | null => v === null || typeof v === 'string',
      'a text or null',
    ),
    ...(fields['thin'] !== undefined && { thin: checkThin(fields['thin'], id) }),
  };
}

/** What was a valid descriptor once: the same checks hold. */
function checkThin(value: unknown, id: LayerId): readonly ThinLayer[] {
  try {
    return parseThinLayers(value);
  } catch (error) {
    throw damaged(id, error instanceof Error ? error.message : String(error));
  }
}

function parseObject(text: string, id: LayerId): Fields {
  if (text === '') throw damaged(id, 'it is empty');
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw damaged(id, error instanceof Error ? error.message : String(error));
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Fields;
  throw damaged(id, 'it is not a JSON object');
}

function checker(fields: Fields, id: LayerId) {
  return <T>(name: string, holds: (value: unknown) => value is T, wanted: string): T => {
    const value = fields[name];
    if (holds(value)) return value;
    const shown = JSON.stringify(value)?.slice(0, 80) ?? 'missing';
    throw damaged(id, `${name} is ${shown}, not ${wanted}`);
  };
}

function isLayerId(value: unknown): value is LayerId {
  if (typeof value !== 'string') return false;
  try {
    parseLayerId(value);
    return true;
  } catch {
    return false;
  }
}

function isBytesOrNull(value: unknown): value is number | null {
  return value === null || (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0);
}

function damaged(id: LayerId, reason: string): ThinlayerError {
  return new ThinlayerError(
    'data_loss',
    `the record ${id}/layer.json is damaged: ${reason}; restore it from a backup, or remove the layer and pull its image again`,
    { op: 'read', layer: id },
  );
}

function foreignVersion(version: unknown, id: LayerId): ThinlayerError {
  if (typeof version !== 'number') return damaged(id, 'it has no version');
  return new ThinlayerError(
    'failed_precondition',
    `the record ${id}/layer.json has version ${version}, this thinlayer knows version 1; run the version that wrote it`,
    { op: 'read', layer: id },
  );
}
