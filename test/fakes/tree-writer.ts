/** TreeWriters that write down what they are told. */

import type { TreeNode, TreeWriter, TreeWriterOptions, TreeWriters } from '../../src/core/tree.js';

export interface RecordingWriters extends TreeWriters {
  readonly options: TreeWriterOptions[];
  /** Nodes, and `[operation, …]` for all others. */
  readonly calls: unknown[];
  /** Contents of files by path. */
  readonly contents: Map<string, Map<number, string>>;
}

/** `failure` is thrown by the first `create` of a path. */
export function recordingWriters(failure: Readonly<Record<string, Error>> = {}): RecordingWriters {
  const options: TreeWriterOptions[] = [];
  const calls: unknown[] = [];
  const contents = new Map<string, Map<number, string>>();
  return {
    options,
    calls,
    contents,
    open(_root, given) {
      options.push(given);
      return recorder(calls, contents, failure);
    },
  };
}

function recorder(
  calls: unknown[],
  contents: RecordingWriters['contents'],
  failure: Readonly<Record<string, Error>>,
): TreeWriter {
  let file = new Map<number, string>();
  const note = (...call: unknown[]): Promise<void> => {
    calls.push(call);
    return Promise.resolve();
  };
  return {
    async create(node: TreeNode) {
      const error = failure[node.path];
      if (error) throw error;
      calls.push(node);
      if (node.type === 'file') contents.set(node.path, (file = new Map()));
    },
    async write(offset, bytes) {
      file.set(offset, Buffer.from(bytes).toString('latin1'));
    },
    whiteout: (path, metadata) => note('whiteout', path, metadata),
    opaque: (path) => note('opaque', path),
    remove: (path) => note('remove', path),
    clear: (path) => note('clear', path),
    finish: () => note('finish'),
    close: () => note('close'),
  };
}
