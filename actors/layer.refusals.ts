/** Why a state does not do what it was asked: pure, one sentence each, with the way out. */

import { asThinlayerError, ThinlayerError } from '../src/core/errors.js';
import { quotaOf } from '../src/core/storage-options.js';
import type { LayerId, LayerInfo, LayerRecord } from '../src/core/model.js';
import type { LayerRequest, RequestOf } from '../src/core/request.js';

/** The part of a layer's context that refusals speak of. */
interface Known {
  readonly id: LayerId;
  readonly info: LayerInfo | undefined;
  readonly broken: string | undefined;
}

export function refusal(layer: Known, event: LayerRequest, state: string): ThinlayerError {
  const op = event.type.slice('layer.'.length);
  const context = { op, layer: layer.id };
  switch (state) {
    case 'absent':
      return new ThinlayerError('not_found', `layer ${layer.id} does not exist`, context);
    case 'failed':
      return new ThinlayerError(
        'data_loss',
        `layer ${layer.id} cannot be used: ${layer.broken ?? 'unknown cause'}; mend it and run "thinlayer repair ${layer.id}", or remove it`,
        context,
      );
    case 'applied':
      return new ThinlayerError(
        'failed_precondition',
        `layer ${layer.id} already holds an applied archive; one is applied to a fresh layer only: remove it and create it again`,
        context,
      );
    default:
      return new ThinlayerError(
        'failed_precondition',
        `layer ${layer.id} is ${state}: ${op} has to wait for its end`,
        context,
      );
  }
}

/** Undefined when `event` asks for the layer that is there already: Docker repeats a call whose answer it did not get. */
export function alreadyExists(layer: Known, event: RequestOf<'layer.create'>): ThinlayerError | undefined {
  const record = layer.info?.record;
  if (!record) return undefined;
  const quota = askedQuota(event);
  if (quota instanceof ThinlayerError) return quota;
  const same =
    record.parent === event.parent &&
    record.kind === event.kind &&
    record.mountLabel === (event.options.mountLabel ?? null) &&
    (quota === null || quota === record.quota);
  if (same) return undefined;
  return new ThinlayerError(
    'already_exists',
    `layer ${layer.id} exists already, with ${described(record)}; it was asked for with ${described({ ...event, quota, mountLabel: event.options.mountLabel ?? null })}`,
    { op: 'create', layer: layer.id },
  );
}

function described(layer: Pick<LayerRecord, 'parent' | 'kind' | 'quota' | 'mountLabel'>): string {
  const { parent, kind, quota, mountLabel } = layer;
  const size = quota === null ? 'no size limit' : `a limit of ${quota} bytes`;
  return `parent ${parent ?? 'none'}, kind ${kind}, ${size} and ${mountLabel === null ? 'no label' : `label ${mountLabel}`}`;
}

/** Null: none is asked for. An error is a value here: this runs in an action, and one that throws kills its actor. */
function askedQuota({ options }: RequestOf<'layer.create'>): number | null | ThinlayerError {
  try {
    return quotaOf(options.storageOptions ?? {});
  } catch (error) {
    return asThinlayerError(error, { op: 'create' });
  }
}
