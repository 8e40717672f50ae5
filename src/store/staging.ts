/** Unpacking beside a layer's `diff`, and the exchange of the two. */

import { inverse } from '../core/disk.js';
import type { Reversible } from '../core/disk.js';
import { ThinlayerError } from '../core/errors.js';
import type { LayerId, LayerRecord } from '../core/model.js';
import type { Staging } from '../core/ports.js';
import { change } from './change.js';
import type { StoreContext } from './context.js';
import { make } from './make.js';
import { publishDraft, writeDraft } from './draft.js';
import { layerFiles } from './paths.js';
import { checkSameLayer, syncContents, undone } from './publish.js';

export class Stagings {
  readonly #store: StoreContext;
  /** The one staging of each layer that may still be committed. */
  readonly #open = new Map<LayerId, Staging>();

  constructor(store: StoreContext) {
    this.#store = store;
  }

  /** Replaces an earlier staging of the same layer, whose commit is then `aborted`. */
  async stage(id: LayerId): Promise<Staging> {
    const { paths, disk, index, owners } = this.#store;
    index.need(id, 'stage');
    const path = layerFiles(paths.home, id).staging;
    await this.#discard(id);
    await disk.change([{ do: 'mkdir', path, mode: 0o755, owner: owners.root }]);
    const staging: Staging = {
      path,
      commit: (record) => change(this.#store, 'commit', id, () => this.#commit(id, staging, record)),
      discard: () =>
        change(this.#store, 'discard', id, async () => {
          if (this.#open.get(id) === staging) await this.#discard(id);
        }),
    };
    this.#open.set(id, staging);
    return staging;
  }

  /** To be called when `id` is removed. */
  forget(id: LayerId): void {
    this.#open.delete(id);
  }

  async #discard(id: LayerId): Promise<void> {
    const { paths, trash } = this.#store;
    this.#open.delete(id);
    await trash.discard(layerFiles(paths.home, id).staging, id);
  }

  async #commit(id: LayerId, staging: Staging, record: LayerRecord): Promise<void> {
    if (this.#open.get(id) !== staging) {
      throw new ThinlayerError(
        'aborted',
        `what was staged for layer ${id} is gone: it was committed, discarded or staged anew`,
        {
          op: 'commit',
          layer: id,
        },
      );
    }
    try {
      await commitStaging(this.#store, record);
    } catch (error) {
      if (this.#store.index.broken().has(id)) this.#open.delete(id);
      throw error;
    }
    this.#open.delete(id);
  }
}

/**
 * First the record that is to be, whole and synced, as layer.json.staged; then three renames, which recovery makes
 * again if it finds that file. So a kill at any point leaves the old layer or the new one, and an acknowledged commit
 * is durable although no rename was synced. A failure undoes the renames.
 */
async function commitStaging(store: StoreContext, record: LayerRecord): Promise<void> {
  const { paths, disk, index, trash } = store;
  const old = index.need(record.id, 'commit');
  checkSameLayer(old, record);
  await syncContents(store, old, record);
  const files = layerFiles(paths.home, record.id);
  const renames = [
    { do: 'rename', from: files.staging, to: files.diff },
    publishDraft(files.staged, files.record),
  ] as const;
  const made: Reversible[] = [];
  let replaced: string;
  try {
    await make(disk, [writeDraft(store, files.staged, record)], made);
    replaced = await trash.take(files.diff, record.id);
    made.push({ do: 'rename', from: files.diff, to: replaced });
    await make(disk, renames, made);
  } catch (error) {
    // The redo log goes last: whoever dies in between, or cannot go back, is carried forward by the next start.
    if (!(await undone(store, record, disk.change(made.reverse().map(inverse))))) {
      index.setFault(record.id, 'a failed commit could not be undone; repair the layer');
      index.assess();
    }
    throw error;
  }
  index.set(record, index.committed(record.id));
  trash.drop(replaced);
}
