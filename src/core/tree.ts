/**
 * Reading and writing whole directory trees, in batches, on threads of the addon. Names are ByteStrings: one
 * character a byte (latin1), because file names and xattrs are bytes, not text.
 */

/** A string whose characters are bytes 0 to 255. `Buffer.from(s, 'latin1')` are its bytes. */
export type ByteString = string;
