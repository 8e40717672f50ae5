/** Docker's calls, one row each: from the request's fields to LayerService and back. Streams are in streams.ts. */

import type { LayerId, LayerInfo } from '../../core/model.js';
import { ThinlayerError } from '../../core/errors.js';
import type { Cancel, LayerService } from '../../core/service.js';
import { encodeChange, encodeMetadata, parseInit, parseLayerCall } from './wire.js';
import type { InitRequest } from './wire.js';

type Fields = Readonly<Record<string, unknown>>;
type Reply = Readonly<Record<string, unknown>>;

export interface CallContext {
  readonly service: LayerService;
  /** Opens the home that Init names, and remembers it. */
  readonly init: (request: InitRequest) => Promise<void>;
}

export type Call = (context: CallContext, fields: Fields, cancel: Cancel) => Promise<Reply> | Reply;

const DONE: Reply = {};

/** `Plugin.Activate` and `Cleanup`, `Status`, `Capabilities` have no fields: their body may be empty. */
export const WITHOUT_FIELDS = new Set([
  'Plugin.Activate',
  'GraphDriver.Capabilities',
  'GraphDriver.Status',
  'GraphDriver.Cleanup',
]);

export const CALLS: Readonly<Record<string, Call>> = {
  'Plugin.Activate': () => ({ Implements: ['GraphDriver'] }),

  'GraphDriver.Init': async ({ init }, fields) => {
    await init(parseInit(fields));
    return DONE;
  },

  // False: dockerd keeps a tar-split record of each image layer, and with it gets the very bytes that came in.
  'GraphDriver.Capabilities': () => ({ Capabilities: { ReproducesExactDiffs: false } }),

  'GraphDriver.Status': async ({ service }) => {
    await service.settled();
    return { Status: service.status() };
  },

  'GraphDriver.Create': ({ service }, fields) => create(service, fields, 'image'),

  'GraphDriver.CreateReadWrite': ({ service }, fields) => create(service, fields, 'container'),

  'GraphDriver.Remove': async ({ service }, fields) => {
    await service.remove(parseLayerCall(fields).id);
    return DONE;
  },

  'GraphDriver.Get': async ({ service }, fields, cancel) => {
    const { id, options } = parseLayerCall(fields);
    return { Dir: await service.attach(id, options.mountLabel ?? null, cancel) };
  },

  'GraphDriver.Put': async ({ service }, fields) => {
    await service.detach(parseLayerCall(fields).id);
    return DONE;
  },

  'GraphDriver.Exists': async ({ service }, fields) => {
    const { id } = parseLayerCall(fields);
    await service.settled();
    return { Exists: service.stat(id) !== undefined };
  },

  'GraphDriver.GetMetadata': async ({ service }, fields) => {
    const { id } = parseLayerCall(fields);
    await service.settled();
    return { Metadata: encodeMetadata(existing(service.stat(id), id)) };
  },

  'GraphDriver.Cleanup': async ({ service }) => {
    await service.cleanup();
    return DONE;
  },

  'GraphDriver.Changes': async ({ service }, fields, cancel) => {
    const { id, parent } = parseLayerCall(fields);
    const changes = await service.changes(id, parent, cancel);
    return { Changes: changes.map(encodeChange) };
  },

  'GraphDriver.DiffSize': async ({ service }, fields, cancel) => {
    const { id, parent } = parseLayerCall(fields);
    return { Size: await service.size(id, parent, cancel) };
  },
};

async function create(service: LayerService, fields: Fields, kind: 'image' | 'container'): Promise<Reply> {
  const { id, parent, options } = parseLayerCall(fields);
  await service.create(id, parent, kind, options);
  return DONE;
}

function existing(info: LayerInfo | undefined, id: LayerId): LayerInfo {
  if (info) return info;
  throw new ThinlayerError('not_found', `layer ${id} does not exist`, { layer: id });
}
