/**
 * An Archive without files. An "archive" is text, a line a path behind `+`, `*` or `-` for added, modified or deleted;
 * the line `.` ends it, so that a cut one is known. What was unpacked is kept by the layer's directory, whichever of
 * `diff`, `merged` and the staging directory it went into.
 */

import { dirname } from 'node:path';

import { ThinlayerError } from '../../src/core/errors.js';
import type { Change, ChangeKind } from '../../src/core/model.js';
import type { Archive } from '../../src/core/ports.js';
import type { ByteStream } from '../../src/core/service.js';

const KINDS: Readonly<Record<string, ChangeKind>> = { '+': 'added', '*': 'modified', '-': 'deleted' };

/** Stands for the two zero blocks that end every tar: an archive of nothing is not empty. */
const END = '.\n';

export function fakeArchive(): Archive {
  const trees = new Map<string, string[]>();
  const lines = (tree: string) => trees.get(dirname(tree)) ?? [];
  const between = (newer: string, older: string | null) => {
    const known = new Set(older === null ? [] : lines(older));
    return lines(newer).filter((line) => !known.has(line));
  };
  return {
    async apply(root, tar, { signal }) {
      const text = await textOf(tar, signal);
      trees.set(dirname(root), parse(text));
    },
    produce: (diff, { signal }) => chunks(lines(diff), signal),
    changes: async (diff) => lines(diff).map(change),
    size: async (tree) => sizeOf(lines(tree)),
    produceBetween: (newer, older, { signal }) => chunks(between(newer, older), signal),
    changesBetween: async (newer, older) => between(newer, older).map(change),
    sizeBetween: async (newer, older) => sizeOf(between(newer, older)),
  };
}

/** An archive that adds these names. */
export function archiveOf(names: readonly string[]): Buffer {
  return Buffer.from(
    [...names]
      .sort()
      .map((name) => `+/${name}\n`)
      .join('') + END,
  );
}

async function textOf(tar: ByteStream, signal: AbortSignal | undefined): Promise<string> {
  const parts: Uint8Array[] = [];
  for await (const part of tar) {
    signal?.throwIfAborted();
    parts.push(part);
  }
  signal?.throwIfAborted();
  return Buffer.concat(parts).toString('latin1');
}

function parse(text: string): string[] {
  if (!/^([+*-]\/.*\n)*\.\n$/.test(text)) {
    throw new ThinlayerError('invalid_argument', 'the archive is empty, cut or malformed', { op: 'apply' });
  }
  return text.slice(0, -END.length).split('\n').slice(0, -1).sort();
}

async function* chunks(lines: readonly string[], signal: AbortSignal | undefined): ByteStream {
  for (const line of lines) {
    signal?.throwIfAborted();
    yield Buffer.from(`${line}\n`, 'latin1');
  }
  yield Buffer.from(END);
}

function change(line: string): Change {
  return { path: line.slice(1), kind: KINDS[line.slice(0, 1)] ?? 'modified' };
}

function sizeOf(lines: readonly string[]): number {
  return lines.reduce((sum, line) => sum + line.length, 0);
}
