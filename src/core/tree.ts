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
  /** Of regular files and directories, sorted by name: `security.capability`, `user.*`, overlayfs's mark of opaque directories. */
  readonly xattrs: readonly (readonly [name: ByteString, value: ByteString])[];
  /** Where in the batch's data the zeroed slot for a header begins, and how long it is: a multiple of 512. */
  readonly slot: number;
  readonly slotSize: number;
}

/**
 * A stretch of a tree, laid out as a tar is: slot, content padded with zeros to 512 bytes, slot, … The last file
 * may go on in the next batch. The memory is the receiver's, to write into it too, until it asks for the next batch.
 */
export interface TreeBatch {
  readonly data: Buffer;
  readonly entries: readonly TreeEntry[];
}

/** How trees are worked on. */
export interface TreeWork extends Cancel {
  /** Some of it lies in a network file system. If that hangs, so does this, but no work on trees of our own disks. */
  readonly remote?: boolean;
}

export interface ReadOptions extends TreeWork {
  /** Leave out what is not among these paths, and what is below it. */
  readonly only?: readonly ByteString[];
  /** No file is opened: entries have no contents. For a tree on a network, which would have to fetch them. */
  readonly namesOnly?: boolean;
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
  compareLayer(diff: string, lowers: readonly string[], work?: TreeWork): Promise<Comparison>;
  /** Two complete trees; `older` null stands for an empty one. */
  compareTrees(newer: string, older: string | null, work?: TreeWork): Promise<Comparison>;
  /** Bytes of all that is no directory, files with several names counted once. */
  size(root: string, cancel?: Cancel): Promise<number>;
}

// ---------------------------------------------------------------------------------------------- Writing

/** A point in time, as the kernel keeps it: `nanoseconds` (0 to 999,999,999) count forward, also before 1970. */
export interface TreeTime {
  readonly seconds: number;
  readonly nanoseconds: number;
}

export interface NodeMetadata {
  /** Relative to the root, without `.`, `..` and empty components; `.` is the root itself. */
  readonly path: ByteString;
  /** Permissions with setuid, setgid and sticky bits: 0 to 0o7777. */
  readonly mode: number;
  /** Ids of the host. */
  readonly uid: number;
  readonly gid: number;
  readonly mtime: TreeTime;
  readonly xattrs: ReadonlyMap<ByteString, ByteString>;
}

export type TreeNode = NodeMetadata &
  (
    | { readonly type: 'directory' | 'fifo' }
    /** `size` bytes; what `write` does not fill is a hole. */
    | { readonly type: 'file'; readonly size: number }
    | { readonly type: 'symlink'; readonly target: ByteString }
    /** A hard link; `target` is a path below the root. */
    | { readonly type: 'link'; readonly target: ByteString }
    | { readonly type: 'character-device' | 'block-device'; readonly major: number; readonly minor: number }
  );

export interface TreeWriterOptions {
  /** Owner of directories that are missing above a node. They get mode 0755. */
  readonly owner: { readonly uid: number; readonly gid: number };
  /** Where overlayfs looks for its attributes: the second one in a user namespace. */
  readonly overlayPrefix: OverlayPrefix;
  /** Whether `clear` will be called: what is created is remembered for it. */
  readonly clears: boolean;
  /** See TreeWork. */
  readonly remote?: boolean;
}

export type OverlayPrefix = 'trusted.overlay.' | 'user.overlay.';

export interface TreeWriters {
  /** `root` is an existing directory. A root that cannot be opened is told by the first call that fails. */
  open(root: string, options: TreeWriterOptions): TreeWriter;
}

/**
 * Writes one tree. No path leaves the root, whatever it says: symlinks on the way are resolved as if the root
 * were `/`, and the last component is never followed. Calls are taken in order, one at a time, and done later:
 * a promise resolves when there is room for more, and rejects with the first failure of any call so far.
 * A node replaces what has its path; only a directory over a directory keeps what is in it.
 */
export interface TreeWriter {
  /** Makes a node. The `write` calls that follow a file are its contents. */
  create(node: TreeNode): Promise<void>;
  /** Contents of the last file created; `bytes` may be reused as soon as the promise resolves. */
  write(offset: number, bytes: Uint8Array): Promise<void>;
  /** An overlay whiteout for `path`. If the tree has a node there, it is newer than what is whited out: it stays, a directory becomes opaque. */
  whiteout(path: ByteString, metadata: Pick<NodeMetadata, 'uid' | 'gid' | 'mtime'>): Promise<void>;
  /** Marks a directory opaque for overlayfs. */
  opaque(path: ByteString): Promise<void>;
  /** Deletes what is at `path`, with all below it. Missing: success. */
  remove(path: ByteString): Promise<void>;
  /** Deletes what is below the directory `path` and was not created by this writer. Missing: success. */
  clear(path: ByteString): Promise<void>;
  /** Waits for all of it, and sets the times of directories. */
  finish(): Promise<void>;
  /** Drops what is not done yet, waits for what is under way, lets go of the root. Never rejects; may be called twice. */
  close(): Promise<void>;
}
