/**
 * Reading and writing whole directory trees, in batches, on threads of the addon. Names are ByteStrings: one
 * character a byte (latin1), because file names and xattrs are bytes, not text.
 */

/** A string whose characters are bytes 0 to 255. `Buffer.from(s, 'latin1')` are its bytes. */
export type ByteString = string;

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
