/** TreeWriter over the addon: fills one buffer while a native thread works on those before it. */

import { ThinlayerError } from '../core/errors.js';
import type { ByteString, NodeMetadata, TreeNode, TreeWriter, TreeWriters } from '../core/tree.js';
import { loadAddon } from './addon.js';
import { fromErrno, isErrno } from '../core/errno.js';
import { TreeBatch } from './tree-batch.js';
import type { PathOperation } from './tree-batch.js';

/** native/tree_writer.cc. */
export interface NativeTreeWriter {
  readonly buffers: readonly ArrayBuffer[];
  open(): Promise<void>;
  run(buffer: number, length: number): Promise<void>;
  finish(): Promise<void>;
  abort(): void;
  close(): Promise<void>;
}

export interface TreeWriterAddon {
  readonly TreeWriter: new (
    root: string,
    uid: number,
    gid: number,
    opaqueName: string,
    clears: boolean,
    bufferCount: number,
    bufferBytes: number,
    remote: boolean,
  ) => NativeTreeWriter;
}

/** One being filled, one being worked on, one ready. Larger ones gain nothing; smaller ones cost a thread switch more often. */
const BUFFERS = 3;
const BUFFER_BYTES = 512 * 1024;

/** Not there, not a directory, too long: for names that an archive gives, that is the archive's fault. */
const WRONG_NAME = new Set(['ENOENT', 'ENOTDIR', 'EISDIR', 'EEXIST', 'ENAMETOOLONG', 'ELOOP']);

export function nativeTreeWriters(addon: TreeWriterAddon = loadAddon<TreeWriterAddon>()): TreeWriters {
  return {
    open(root, options) {
      const native = new addon.TreeWriter(
        root,
        options.owner.uid,
        options.owner.gid,
        `${options.overlayPrefix}opaque`,
        options.clears,
        BUFFERS,
        BUFFER_BYTES,
        options.remote ?? false,
      );
      return new BatchingTreeWriter(root, native);
    },
  };
}

class BatchingTreeWriter implements TreeWriter {
  readonly #root: string;
  readonly #native: NativeTreeWriter;
  readonly #batches: readonly TreeBatch[];
  /** By buffer: settled when the buffer is free. These never reject, failures are kept in `#failure`. */
  readonly #running: Promise<void>[];
  #current = 0;
  #failure: ThinlayerError | null = null;

  constructor(root: string, native: NativeTreeWriter) {
    this.#root = root;
    this.#native = native;
    this.#batches = native.buffers.map((buffer) => new TreeBatch(buffer));
    this.#running = [this.#watch(native.open(), (error) => fromErrno(error, { op: 'apply', path: root }))];
  }

  async create(node: TreeNode): Promise<void> {
    await this.#put((batch) => batch.create(node));
  }

  async write(offset: number, bytes: Uint8Array): Promise<void> {
    for (let done = 0; done < bytes.length;) {
      const taken = this.#batch.write(offset + done, done === 0 ? bytes : bytes.subarray(done));
      if (taken === 0) await this.#flush();
      done += taken;
    }
  }

  async whiteout(path: ByteString, metadata: Pick<NodeMetadata, 'uid' | 'gid' | 'mtime'>): Promise<void> {
    await this.#put((batch) => batch.whiteout(path, metadata));
  }

  opaque(path: ByteString): Promise<void> {
    return this.#onPath('opaque', path);
  }

  remove(path: ByteString): Promise<void> {
    return this.#onPath('remove', path);
  }

  clear(path: ByteString): Promise<void> {
    return this.#onPath('clear', path);
  }

  async finish(): Promise<void> {
    await this.#flush();
    await this.#watch(this.#native.finish());
    this.#throwFailure();
  }

  async close(): Promise<void> {
    this.#native.abort();
    await this.#watch(this.#native.close());
    await Promise.all(this.#running);
  }

  get #batch(): TreeBatch {
    const batch = this.#batches[this.#current];
    if (batch === undefined) throw new ThinlayerError('internal', 'the tree writer has no buffers');
    return batch;
  }

  async #onPath(operation: PathOperation, path: ByteString): Promise<void> {
    await this.#put((batch) => batch.onPath(operation, path));
  }

  async #put(record: (batch: TreeBatch) => boolean): Promise<void> {
    if (record(this.#batch)) return;
    await this.#flush();
    if (record(this.#batch)) return;
    throw new ThinlayerError(
      'invalid_argument',
      `an entry has more than ${BUFFER_BYTES} bytes of extended attributes`,
      { op: 'apply' },
    );
  }

  /** Hands the current buffer to the addon and waits for the next one to be free. */
  async #flush(): Promise<void> {
    this.#throwFailure();
    const run = this.#native.run(this.#current, this.#batch.length);
    this.#running[this.#current] = this.#watch(run);
    this.#current = (this.#current + 1) % this.#batches.length;
    await this.#running[this.#current];
    this.#throwFailure();
    this.#batch.clear();
  }

  async #watch(work: Promise<void>, describe = (error: unknown) => this.#describe(error)): Promise<void> {
    try {
      await work;
    } catch (error) {
      // The first is the cause: what was queued behind it was only dropped.
      this.#failure ??= describe(error);
    }
  }

  #throwFailure(): void {
    if (this.#failure) throw this.#failure;
  }

  #describe(error: unknown): ThinlayerError {
    if (!isErrno(error)) return fromErrno(error, { op: 'apply' });
    const path = `${this.#root}/${error.path ?? ''}`;
    if (!WRONG_NAME.has(error.code)) return fromErrno(error, { op: 'apply', path });
    return new ThinlayerError(
      'invalid_argument',
      `the archive cannot be unpacked: ${error.message}; it names what it does not hold, or holds names that this system cannot have`,
      { op: 'apply', path, cause: error },
    );
  }
}
