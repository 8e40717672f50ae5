/** The work behind a layer's transient states: each is one promise over the ports of the opened home. */

import { join } from 'node:path';

import { fromPromise } from 'xstate';

import { ThinlayerError, undone } from '../src/core/errors.js';
import { keepMasks } from '../src/core/masks.js';
import type { LayerId, LayerInfo, LayerKind, LayerRecord } from '../src/core/model.js';
import { checkDepth, planMount, UNPACKING } from '../src/core/mount-plan.js';
import type { OverlayMount } from '../src/core/mount-plan.js';
import { descriptorRepository } from '../src/core/options.js';
import type { Engine, Staging } from '../src/core/ports.js';
import type { RequestOf } from '../src/core/request.js';
import { quotaOf } from '../src/core/storage-options.js';
import { leaseLowers, releaseLowers, repositoriesOf, stackOf } from './lowers.js';
import { beginStart, endStart } from './starts.js';
import type { Grounds } from './lowers.js';
import { layerMachine } from './layer.machine.js';
import type { Unmounting, Work } from './layer.machine.js';

/** The machine with its work bound to one opened home. Made once an opening: `provide` costs far more than an actor. */
export function layerMachineOn(grounds: Grounds) {
  const { engine } = grounds;
  return layerMachine.provide({
    guards: { isStranded: ({ context }) => grounds.repositories.stranded.has(holderOf(context.id)) },
    actors: {
      createLayer: fromPromise<LayerInfo, Work<'layer.create'>>(({ input }) => createLayer(grounds, input)),
      applyLayer: fromPromise<LayerInfo, Work<'layer.apply'>>(({ input, signal }) =>
        applyLayer(grounds, input, signal),
      ),
      mountLayer: fromPromise<string, Work<'layer.attach'>>(({ input, signal }) =>
        mountLayer(grounds, input, signal),
      ),
      unmountLayer: fromPromise<void, Work<Unmounting>>(({ input }) => unmountLayer(grounds, input.id)),
      removeLayer: fromPromise<void, Work<'layer.remove'>>(({ input }) => removeLayer(engine, input.id)),
      reloadLayer: fromPromise<LayerInfo | undefined, Work<'layer.repair'>>(({ input }) =>
        engine.store.reload(input.id),
      ),
    },
  });
}

export type ProvidedLayerMachine = ReturnType<typeof layerMachineOn>;

async function createLayer(grounds: Grounds, { id, request }: Work<'layer.create'>): Promise<LayerInfo> {
  const { engine } = grounds;
  const record = newRecord(engine, id, request);
  if (record.parent !== null) {
    await recogniseThin(grounds, record.parent);
    checkParent(engine, record.parent, id);
  }
  return engine.store.create(record);
}

/** BuildKit writes an image's layers through mounts, and applies no archive: such a layer is complete when another is made on it. */
async function recogniseThin(grounds: Grounds, id: LayerId): Promise<void> {
  const { store, config } = grounds.engine;
  const record = store.get(id)?.record;
  if (record?.kind !== 'image' || record.state !== 'created' || record.thin || store.hasChildren(id)) return;
  const descriptor = await store.descriptor(id, descriptorRepository(config.options));
  if (!descriptor) return;
  await store.update({ ...record, thin: descriptor.layers });
  void grounds.repositories.prepare(repositoriesOf(descriptor.layers));
}

function newRecord(engine: Engine, id: LayerId, request: RequestOf<'layer.create'>): LayerRecord {
  return {
    version: 1,
    id,
    parent: request.parent,
    kind: request.kind,
    state: 'created',
    link: '',
    size: null,
    quota: quotaFor(engine, request.kind, request.options.storageOptions),
    mountLabel: request.options.mountLabel ?? null,
  };
}

function quotaFor(
  engine: Engine,
  kind: LayerKind,
  options: Readonly<Record<string, string>> | undefined,
): number | null {
  const asked = options === undefined ? null : quotaOf(options);
  if (kind === 'container') return asked ?? engine.config.options.defaultQuota;
  if (asked === null) return null;
  throw new ThinlayerError(
    'invalid_argument',
    '--storage-opt size is for containers; an image layer has no quota',
    {
      op: 'create',
    },
  );
}

function checkParent(engine: Engine, parent: LayerId, id: LayerId): void {
  const broken = engine.store.broken().get(parent);
  if (broken !== undefined) {
    throw new ThinlayerError(
      'data_loss',
      `layer ${id} cannot be made on ${parent}, which cannot be used: ${broken}`,
      {
        op: 'create',
        layer: id,
      },
    );
  }
  const info = engine.store.get(parent);
  if (!info) {
    throw new ThinlayerError('not_found', `layer ${id} cannot be made: its parent ${parent} does not exist`, {
      op: 'create',
      layer: id,
    });
  }
  const own = info.record.thin?.length ?? 1;
  checkDepth({ record: { id } }, info.depth + own, engine.config.options.maxLowers);
}

async function mountLayer(grounds: Grounds, work: Work<'layer.attach'>, stop: AbortSignal): Promise<string> {
  const names = repositoriesOf(grounds.engine.store.links(work.id).lowers);
  if (names.length === 0) return mountOnce(grounds, work, stop);
  const losses = grounds.repositories.losses.watch(names);
  try {
    const target = await mountOnce(grounds, work, stop);
    if (!losses.happened) return target;
    // It may stand on the mount of before.
    await unmountLayer(grounds, work.id);
  } catch (error) {
    // What failed on a mount that is no more may work on the one that takes its place.
    if (!(await losses.explains(error))) throw error;
  }
  return mountOnce(grounds, work, stop);
}

async function mountOnce(
  grounds: Grounds,
  { id, request }: Work<'layer.attach'>,
  stop: AbortSignal,
): Promise<string> {
  const { engine } = grounds;
  const { lowers } = engine.store.links(id);
  const places = await leaseLowers(grounds, holderOf(id), lowers, eitherOf(stop, request));
  try {
    const plan = mountOf(engine, id, stackOf(places), request.label);
    if (!plan) return known(engine, id).paths.diff;
    // The kernel asks each lower for its file system's facts then.
    await grounds.repositories.delays.watch(holderOf(id), repositoriesOf(lowers), () =>
      engine.mounter.mount(plan),
    );
    if (plan.writable) beginStart(engine, holderOf(id), places);
    return plan.target;
  } catch (error) {
    throw await undone(error, () => releaseLowers(grounds, holderOf(id), lowers));
  }
}

/** Ends with the actor, or with its caller. Made when it is asked for: most attaches wait for nobody. */
function eitherOf(
  stop: AbortSignal,
  caller: { readonly signal?: AbortSignal | undefined },
): { readonly signal: AbortSignal } {
  return {
    get signal() {
      return caller.signal ? AbortSignal.any([stop, caller.signal]) : stop;
    },
  };
}

/** Leases and masks are given back after the unmount only: until then the mount reads from them. */
async function unmountLayer(grounds: Grounds, id: LayerId): Promise<void> {
  const { engine } = grounds;
  await engine.mounter.unmount(mountpointOf(engine, id));
  const layer = engine.store.get(id);
  if (!layer) return engine.masks.release(holderOf(id));
  const { lowers } = engine.store.links(id);
  if (layer.record.kind === 'container') endStart(engine, holderOf(id), lowers);
  await releaseLowers(grounds, holderOf(id), lowers);
}

/** With a thin layer go the masks that only it had. */
async function removeLayer({ store, masks }: Engine, id: LayerId): Promise<void> {
  const thin = store.get(id)?.record.thin;
  await store.remove(id);
  if (thin) await keepMasks(store, masks);
}

/** Who holds the repositories of a mounted layer. */
export function holderOf(id: LayerId): string {
  return `layer ${id}`;
}

/** The store tells nothing of a broken layer; its mountpoint is where the layout has it. */
export function mountpointOf(engine: Engine, id: LayerId): string {
  return engine.store.get(id)?.paths.merged ?? join(engine.config.home, id, 'merged');
}

/** The mount that shows `id` now: the store knows better than the actor whether it got children meanwhile. */
export function mountOf(
  engine: Engine,
  id: LayerId,
  lowers: readonly string[],
  label: string | null,
  layer = known(engine, id),
): OverlayMount | null {
  const links = engine.store.links(id);
  return planMount({
    layer,
    lowerLinks: lowers,
    ownLink: links.own,
    label,
    options: engine.config.options,
    remote: repositoriesOf(links.lowers).length > 0,
  });
}

export function known(engine: Engine, id: LayerId): LayerInfo {
  const info = engine.store.get(id);
  if (info) return info;
  throw new ThinlayerError('not_found', `layer ${id} does not exist`, { layer: id });
}

/** Unpacked beside `diff` and then put in its place: until the last step the layer is as it was. */
async function applyLayer(
  grounds: Grounds,
  work: Work<'layer.apply'>,
  stop: AbortSignal,
): Promise<LayerInfo> {
  const { engine } = grounds;
  const { id, request } = work;
  const { record } = known(engine, id);
  const { signal } = eitherOf(stop, request);
  const staging = await engine.store.stage(id);
  try {
    if (request.parent === record.parent) await unpack(engine, staging.path, request, 'overlay', signal);
    else await unpackOnMerged(grounds, id, staging, request, signal);
    const descriptor = await staging.descriptor(descriptorRepository(engine.config.options));
    const size = await engine.archive.size(staging.path, { signal });
    const thin = descriptor && { thin: descriptor.layers };
    await staging.commit({ ...record, state: 'applied', size, ...thin });
    // While Docker pulls the rest of the image.
    if (descriptor) void grounds.repositories.prepare(repositoriesOf(descriptor.layers));
  } catch (error) {
    throw await undone(error, () => staging.discard());
  }
  return known(engine, id);
}

function unpack(
  engine: Engine,
  root: string,
  request: RequestOf<'layer.apply'>,
  whiteouts: 'overlay' | 'remove',
  signal: AbortSignal,
  remote = false,
): Promise<void> {
  return engine.archive.apply(root, request.tar, { idMaps: engine.config.idMaps, whiteouts, signal, remote });
}

/**
 * The archive is a difference to another layer than this one's parent: it is unpacked over the merged files, and
 * what overlayfs makes of it in the upper directory is the layer's diff (Docker's naive differ does the same).
 */
async function unpackOnMerged(
  grounds: Grounds,
  id: LayerId,
  staging: Staging,
  request: RequestOf<'layer.apply'>,
  signal: AbortSignal,
): Promise<void> {
  const { engine } = grounds;
  const { lowers } = engine.store.links(id);
  const holder = `archive over layer ${id}`;
  const places = await leaseLowers(grounds, holder, lowers, { signal });
  try {
    // Writable also if children were made on it: those stand on `diff`, and what is written to is the staging directory.
    const layer = { ...known(engine, id), committed: false };
    const plan = mountOf(engine, id, stackOf(places), null, layer);
    await unpackOver(engine, id, staging, plan, request, signal);
  } finally {
    await releaseLowers(grounds, holder, lowers);
  }
}

async function unpackOver(
  engine: Engine,
  id: LayerId,
  staging: Staging,
  plan: OverlayMount | null,
  request: RequestOf<'layer.apply'>,
  signal: AbortSignal,
): Promise<void> {
  if (!plan?.writable) return unpack(engine, staging.path, request, 'remove', signal);
  const target = `${known(engine, id).paths.root}/${UNPACKING}`;
  await engine.mounter.mount({ ...plan, target, writable: { ...plan.writable, upper: staging.path } });
  try {
    await unpack(engine, target, request, 'remove', signal, plan.remote);
  } finally {
    await engine.mounter.unmount(target);
  }
}
