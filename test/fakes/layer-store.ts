/** A LayerStore that keeps everything in memory. Its paths lead nowhere. */

import { ThinlayerError } from '../../src/core/errors.js';
import type { LayerId, LayerInfo, LayerRecord } from '../../src/core/model.js';
import type { LayerStore, Staging } from '../../src/core/ports.js';
import { admit } from '../../src/store/admit.js';
import { LayerIndex } from '../../src/store/layer-index.js';
import { checkSameLayer } from '../../src/store/publish.js';
import { Turns } from '../../src/store/turns.js';

export interface FakeLayerStore extends LayerStore {
  /** Breaks a layer until it is reloaded. */
  breakLayer(id: LayerId, reason: string): void;
}

/** `replaced`: methods for this test, a failing one for example. `home` is only a name. */
export function fakeLayerStore(replaced: Partial<LayerStore> = {}, home = '/fake'): FakeLayerStore {
  const index = new LayerIndex(home);
  const turns = new Turns();
  const stagings = new Map<LayerId, Staging>();
  let closed = false;
  const change = async <T>(id: LayerId, work: () => Promise<T>): Promise<T> => {
    if (closed) throw new ThinlayerError('unavailable', 'the store is closed');
    return turns.take(id, work);
  };
  const replace = (record: LayerRecord) => {
    checkSameLayer(index.need(record.id, 'update'), record);
    index.set(record, index.committed(record.id));
  };

  return {
    get: (id) => index.get(id),
    list: () => index.list(),
    hasChildren: (id) => index.hasChildren(id),
    broken: () => index.broken(),
    links: (id) => index.links(id),
    create: (record) => change(record.id, async () => added(index, record)),
    update: (record) => change(record.id, async () => replace(record)),
    descriptor: () => Promise.resolve(null),
    stage: (id) =>
      change(id, async () => {
        index.need(id, 'stage');
        const staging: Staging = {
          path: `${home}/${id}/staging`,
          descriptor: () => Promise.resolve(null),
          commit: (record) =>
            change(id, async () => {
              if (stagings.get(id) !== staging)
                throw new ThinlayerError('aborted', `nothing is staged for ${id}`);
              replace(record);
              stagings.delete(id);
            }),
          discard: () =>
            change(id, async () => {
              if (stagings.get(id) === staging) stagings.delete(id);
            }),
        };
        stagings.set(id, staging);
        return staging;
      }),
    remove: (id) =>
      change(id, async () => {
        if (index.hasChildren(id))
          throw new ThinlayerError('failed_precondition', `layer ${id} has children`);
        index.takeOut(id);
        stagings.delete(id);
      }),
    reload: (id) => change(id, async () => mended(index, id)),
    async close() {
      closed = true;
      await turns.idle();
    },
    breakLayer(id, reason) {
      index.setFault(id, reason);
      index.assess();
    },
    ...replaced,
  };
}

function added(index: LayerIndex, wanted: LayerRecord): LayerInfo {
  const record = admit(index, wanted);
  index.holdParent(record);
  if (record.parent !== null) index.setCommitted(record.parent, true);
  return index.set(record, false);
}

/** Mended: the fault is gone, the record as it was. */
function mended(index: LayerIndex, id: LayerId): LayerInfo | undefined {
  const record = index.record(id);
  const committed = index.committed(id);
  index.takeOut(id);
  if (record) {
    index.holdParent(record);
    index.set(record, committed);
  }
  index.assess();
  return index.get(id);
}
