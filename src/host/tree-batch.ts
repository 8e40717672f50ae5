/**
 * Records for the native tree writer, one behind the other in one buffer; native/tree_batch.h has their form.
 * Each method answers false, and changes nothing, if what is left of the buffer is too small.
 */

import { ThinlayerError } from '../core/errors.js';
import type { ByteString, NodeMetadata, TreeNode, TreeTime } from '../core/tree.js';

const OP = { create: 1, write: 2, whiteout: 3, opaque: 4, remove: 5, clear: 6 } as const;

const TYPE: Readonly<Record<TreeNode['type'], number>> = {
  directory: 1,
  file: 2,
  symlink: 3,
  link: 4,
  'character-device': 5,
  'block-device': 6,
  fifo: 7,
};

/** The kernel's PATH_MAX; nothing longer can be opened. */
const MAX_PATH = 4096;
/** The kernel's XATTR_SIZE_MAX and XATTR_NAME_MAX. */
const MAX_XATTR = 65536;
const MAX_XATTR_NAME = 255;

const TIME_BYTES = 12;
/** Operation, type, path length, mode, ids, time, number of xattrs, and what the longest type adds. */
const NODE_BYTES = 1 + 1 + 2 + 12 + TIME_BYTES + 2 + 8;
const WRITE_BYTES = 1 + 8 + 4;

export type PathOperation = 'opaque' | 'remove' | 'clear';

export class TreeBatch {
  readonly #view: DataView;
  readonly #bytes: Buffer;
  #at = 0;
  /** Where the record of the last write has its length, and up to which offset of the file it goes. */
  #lastWrite: { lengthAt: number; end: number } | null = null;

  constructor(buffer: ArrayBuffer) {
    this.#view = new DataView(buffer);
    this.#bytes = Buffer.from(buffer);
  }

  get length(): number {
    return this.#at;
  }

  clear(): void {
    this.#at = 0;
    this.#lastWrite = null;
  }

  create(node: TreeNode): boolean {
    if (!this.#fits(sizeOf(node))) return false;
    this.#u8(OP.create);
    this.#u8(TYPE[node.type]);
    this.#text(node.path);
    this.#u32(node.mode);
    this.#u32(node.uid);
    this.#u32(node.gid);
    this.#time(node.mtime);
    this.#xattrs(node.xattrs);
    if (node.type === 'file') this.#f64(node.size);
    if ('target' in node) this.#text(node.target);
    if ('major' in node) {
      this.#u32(node.major);
      this.#u32(node.minor);
    }
    return true;
  }

  /** Takes as much of `bytes` as fits, and answers how many that were. */
  write(offset: number, bytes: Uint8Array): number {
    if (this.#lastWrite?.end === offset) return this.#append(this.#lastWrite, bytes);
    if (!this.#fits(WRITE_BYTES + 1)) return 0;
    this.#u8(OP.write);
    this.#f64(offset);
    const last = { lengthAt: this.#at, end: offset };
    this.#u32(0);
    const taken = this.#append(last, bytes);
    this.#lastWrite = last;
    return taken;
  }

  whiteout(path: ByteString, owner: Pick<NodeMetadata, 'uid' | 'gid' | 'mtime'>): boolean {
    if (!this.#fits(1 + 2 + checkedPath(path).length + 8 + TIME_BYTES)) return false;
    this.#u8(OP.whiteout);
    this.#text(path);
    this.#u32(owner.uid);
    this.#u32(owner.gid);
    this.#time(owner.mtime);
    return true;
  }

  onPath(operation: PathOperation, path: ByteString): boolean {
    if (!this.#fits(1 + 2 + checkedPath(path).length)) return false;
    this.#u8(OP[operation]);
    this.#text(path);
    return true;
  }

  /** Every record but a write's continuation begins here, which ends that. */
  #fits(size: number): boolean {
    if (this.#at + size > this.#bytes.length) return false;
    this.#lastWrite = null;
    return true;
  }

  #append(last: { lengthAt: number; end: number }, bytes: Uint8Array): number {
    const taken = Math.min(bytes.length, this.#bytes.length - this.#at);
    this.#bytes.set(taken === bytes.length ? bytes : bytes.subarray(0, taken), this.#at);
    this.#at += taken;
    last.end += taken;
    this.#view.setUint32(last.lengthAt, this.#at - last.lengthAt - 4, true);
    return taken;
  }

  #u8(value: number): void {
    this.#bytes[this.#at++] = value;
  }

  #u16(value: number): void {
    this.#view.setUint16(this.#at, value, true);
    this.#at += 2;
  }

  #u32(value: number): void {
    this.#view.setUint32(this.#at, value, true);
    this.#at += 4;
  }

  #f64(value: number): void {
    this.#view.setFloat64(this.#at, value, true);
    this.#at += 8;
  }

  #text(text: ByteString): void {
    this.#u16(text.length);
    this.#at += this.#bytes.write(text, this.#at, 'latin1');
  }

  #time(time: TreeTime): void {
    this.#f64(time.seconds);
    this.#u32(time.nanoseconds);
  }

  #xattrs(xattrs: NodeMetadata['xattrs']): void {
    this.#u16(xattrs.size);
    for (const [name, value] of xattrs) {
      this.#text(name);
      this.#u32(value.length);
      this.#at += this.#bytes.write(value, this.#at, 'latin1');
    }
  }
}

function sizeOf(node: TreeNode): number {
  let size = NODE_BYTES + checkedPath(node.path).length;
  if ('target' in node) size += 2 + checkedPath(node.target).length;
  for (const [name, value] of node.xattrs)
    size += 2 + checkedName(name, node).length + 4 + checkedValue(value, node).length;
  return size;
}

function checkedPath(path: ByteString): ByteString {
  if (path.length < MAX_PATH && !path.includes('\0')) return path;
  throw invalid(
    `${JSON.stringify(path.slice(0, 80))}… is not a path: ${path.length} bytes (4095 at most), none of them NUL`,
    path,
  );
}

function checkedName(name: ByteString, { path }: NodeMetadata): ByteString {
  if (name.length <= MAX_XATTR_NAME && !name.includes('\0')) return name;
  throw invalid(
    `${path}: the name of an extended attribute has ${name.length} bytes, ${MAX_XATTR_NAME} are possible, none of them NUL`,
    path,
  );
}

function checkedValue(value: ByteString, { path }: NodeMetadata): ByteString {
  if (value.length <= MAX_XATTR) return value;
  throw invalid(`${path}: an extended attribute has ${value.length} bytes, ${MAX_XATTR} are possible`, path);
}

function invalid(message: string, path: string): ThinlayerError {
  return new ThinlayerError('invalid_argument', message, { op: 'apply', path });
}
