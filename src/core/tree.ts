/**
 * Reading and writing whole directory trees, in batches, on threads of the addon. Names are ByteStrings: one
 * character a byte (latin1), because file names and xattrs are bytes, not text.
 */

import type { Change } from './model.js';
import type { Cancel } from './service.js';

/** A string whose characters are bytes 0 to 255. `Buffer.from(s, 'latin1')` are its bytes. */
export type ByteString = string;

/** One entry of a tree that is being read. Ids and modes are the host's. */
export interface TreeEntry {
  /** Relative to the root, without leading or trailing slash. */
  readonly path: ByteString;
  /** `st_mode`, with the bits of the type. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Bytes of content that stand behind the slot; 0 for all that are no regular files, and for hard links. */
  readonly size: number;
  readonly mtimeSeconds: number;
  /** 0 to 999,999,999, also before 1970. */
  readonly mtimeNanoseconds: number;
  readonly major: number;
  readonly minor: number;
  /** A later name of a file whose first name is `link`. */
  readonly isHardLink: boolean;
  /** Target of a symlink; first name of a hard link; else empty. */
  readonly link: ByteString;
  /** Of regular files and directories, sorted by name: `security.capability`, `user.*`, `trusted.overlay.*`. */
  readonly xattrs: readonly (readonly [name: ByteString, value: ByteString])[];
  /** Where in the batch's data the zeroed slot for a header begins, and how long it is: a multiple of 512. */
  readonly slot: number;
  readonly slotSize: number;
}

/**
 * A stretch of a tree, laid out as a tar is: slot, content padded with zeros to 512 bytes, slot, … The last file
 * may go on in the next batch. The memory is the receiver's: it may write into it and keep it.
 */
export interface TreeBatch {
  readonly data: Buffer;
  readonly entries: readonly TreeEntry[];
}

export interface ReadOptions extends Cancel {
  /** Leave out what is not among these paths, and what is below it. */
  readonly only?: readonly ByteString[];
}

export interface Comparison {
  /** Sorted by path. */
  readonly changes: Change[];
  /** Bytes of the added and modified entries, files with several names counted once, directories not at all. */
  readonly size: number;
}

/** Reads trees as they are on disk; nothing is followed out of them. Entries that vanish meanwhile are left out. */
export interface TreeReader {
  /** All below `root`: depth first, the names of a directory in the order of their bytes. */
  read(root: string, options?: ReadOptions): AsyncIterable<TreeBatch>;
  /** An overlay layer's own directory against its ancestors' (uppermost first): see Archive.changes. */
  compareLayer(diff: string, lowers: readonly string[], cancel?: Cancel): Promise<Comparison>;
  /** Two complete trees; `older` null stands for an empty one. */
  compareTrees(newer: string, older: string | null, cancel?: Cancel): Promise<Comparison>;
  /** Bytes of all that is no directory, files with several names counted once. */
  size(root: string, cancel?: Cancel): Promise<number>;
}
