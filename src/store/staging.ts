/**
 * Unpacking beside a layer's `diff`, which has to be empty, and the exchange of the two. What `diff` holds was written by
 * somebody, through a mount or, in a layer without a parent, straight into it: an archive never takes its place.
 */

import { inverse } from '../core/disk.js';
import type { DiskChange, Reversible } from '../core/disk.js';
import { isErrno } from '../core/errno.js';
import { ThinlayerError } from '../core/errors.js';
import type { LayerId, LayerRecord } from '../core/model.js';
import type { Staging } from '../core/ports.js';
import { change } from './change.js';
import type { StoreContext } from './context.js';
import { make } from './make.js';
import { publishDraft, writeDraft } from './draft.js';
import { layerFiles } from './paths.js';
import { readDescriptor } from './thin.js';
import { checkSameLayer, syncContents, undone } from './publish.js';

export class Stagings {
  readonly #store: StoreContext;
  /** The one staging of each layer that may still be committed. */
  readonly #open = new Map<LayerId, Staging>();

  constructor(store: StoreContext) {
    this.#store = store;
  }

  /**
   * Replaces an earlier staging of the same layer, whose commit is then `aborted`. That the layer is empty is asked here
   * too: else an archive would be unpacked for nothing.
   */
  async stage(id: LayerId): Promise<Staging> {
    const { paths, disk, index, owners } = this.#store;
    index.need(id, 'stage');
    const { diff, staging: path } = layerFiles(paths.home, id);
    await this.#discard(id);
    await onEmpty(id, 'stage', () =>
      disk.change([
        { do: 'expect empty', path: diff },
        { do: 'mkdir', path, mode: 0o755, owner: owners.root },
      ]),
    );
    const staging: Staging = {
      path,
      descriptor: (repository) => readDescriptor(path, repository),
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
      await onEmpty(id, 'commit', () => commitStaging(this.#store, record));
    } catch (error) {
      if (this.#store.index.broken().has(id)) this.#open.delete(id);
      throw error;
    }
    this.#open.delete(id);
  }
}

/** `work`, which the kernel fails if the layer's `diff` holds anything. */
async function onEmpty(id: LayerId, op: string, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!isErrno(error, 'ENOTEMPTY', 'EEXIST')) throw error;
    throw new ThinlayerError(
      'failed_precondition',
      `layer ${id} holds files already; an archive is applied to a fresh layer only: remove it and create it again`,
      { op, layer: id, cause: error },
    );
  }
}

/**
 * First the record that is to be, whole and synced, as layer.json.staged; then two renames, which recovery makes
 * again if it finds that file. So a kill at any point leaves the old layer or the new one, and an acknowledged commit
 * is durable although no rename was synced. A failure undoes the renames.
 */
async function commitStaging(store: StoreContext, record: LayerRecord): Promise<void> {
  const { paths, disk, index } = store;
  const old = index.need(record.id, 'commit');
  checkSameLayer(old, record);
  await syncContents(store, old, record);
  const files = layerFiles(paths.home, record.id);
  const changes: Reversible[] = [
    writeDraft(store, files.staged, record),
    { do: 'rename', from: files.staging, to: files.diff },
    publishDraft(files.staged, files.record),
  ];
  const made: Reversible[] = [];
  try {
    await make(disk, changes, made);
  } catch (error) {
    // The redo log goes last: whoever dies in between, or cannot go back, is carried forward by the next start.
    if (!(await undone(store, record, disk.change(undoOf(made, store, files.diff))))) {
      index.setFault(record.id, 'a failed commit could not be undone; repair the layer');
      index.assess();
    }
    throw error;
  }
  index.set(record, index.committed(record.id));
}

/** With the empty `diff` that gave its place. */
function undoOf(made: readonly Reversible[], { owners }: StoreContext, diff: string): DiskChange[] {
  const empty = { do: 'mkdir', path: diff, mode: 0o755, owner: owners.root } as const;
  return [...made].reverse().flatMap((change) => {
    const replaced = change.do === 'rename' && change.to === diff;
    return replaced ? [inverse(change), empty] : [inverse(change)];
  });
}
