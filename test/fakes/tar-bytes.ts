/** Tars made by hand, field by field: what no orderly program writes. */

const BLOCK = 512;

export interface RawHeader {
  readonly name: string;
  readonly typeflag?: string;
  readonly linkname?: string;
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly mtime?: number;
  readonly major?: number;
  readonly minor?: number;
  /** Stored contents. */
  readonly body?: Uint8Array | string;
  /** Instead of the length of `body`. */
  readonly size?: number;
  /** Default `ustar\0` and version 00. */
  readonly magic?: string;
  /** Raw bytes at an offset, before the sum is made. */
  readonly patches?: readonly (readonly [offset: number, text: string | Uint8Array])[];
}

/** Header block and padded contents; strings are latin1. */
export function tarEntry(header: RawHeader): Buffer {
  const body = bytesOf(header.body ?? '');
  const block = Buffer.alloc(BLOCK);
  block.write(header.name, 0, 100, 'latin1');
  putNumber(block, header.mode ?? 0o644, 100, 8);
  putNumber(block, header.uid ?? 0, 108, 8);
  putNumber(block, header.gid ?? 0, 116, 8);
  putNumber(block, header.size ?? body.length, 124, 12);
  putNumber(block, header.mtime ?? 0, 136, 12);
  block.write(header.typeflag ?? '0', 156, 'latin1');
  block.write(header.linkname ?? '', 157, 100, 'latin1');
  block.write(header.magic ?? 'ustar\x0000', 257, 'latin1');
  putNumber(block, header.major ?? 0, 329, 8);
  putNumber(block, header.minor ?? 0, 337, 8);
  for (const [offset, text] of header.patches ?? []) bytesOf(text).copy(block, offset);
  return Buffer.concat([withSum(block), padded(body)]);
}

/** A PAX header for the entry that follows. */
export function paxEntry(records: readonly (readonly [string, string])[], typeflag = 'x'): Buffer {
  return tarEntry({ name: 'pax', typeflag, body: records.map(([k, v]) => paxRecord(k, v)).join('') });
}

/** The length counts its own digits. */
export function paxRecord(key: string, value: string): string {
  const rest = ` ${key}=${value}\n`;
  let length = rest.length + 1;
  while (`${length}${rest}`.length !== length) length++;
  return `${length}${rest}`;
}

export function gnuLong(typeflag: 'L' | 'K', text: string): Buffer {
  return tarEntry({ name: '././@LongLink', typeflag, magic: 'ustar  \0', body: `${text}\0` });
}

export function tarOf(...entries: readonly Uint8Array[]): Buffer {
  return Buffer.concat([...entries, Buffer.alloc(2 * BLOCK)]);
}

/** Octal if it fits, else base-256, two's complement. */
export function putNumber(block: Buffer, value: number, offset: number, length: number): void {
  if (value >= 0 && value < 8 ** (length - 1)) {
    block.write(value.toString(8).padStart(length - 1, '0') + '\0', offset, 'latin1');
    return;
  }
  let rest = BigInt.asUintN(8 * length, BigInt(value));
  for (let at = offset + length - 1; at >= offset; at--) {
    block[at] = Number(rest & 0xffn);
    rest >>= 8n;
  }
  block[offset] = (block[offset] ?? 0) | 0x80;
}

/** In chunks of the sizes given, over and over. */
export async function* chunked(bytes: Uint8Array, ...sizes: readonly number[]): AsyncGenerator<Uint8Array> {
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const size = Math.max(1, sizes[i % sizes.length] ?? bytes.length);
    yield bytes.subarray(at, at + size);
    at += size;
  }
}

function withSum(block: Buffer): Buffer {
  block.fill(' ', 148, 156);
  const sum = block.reduce((a, b) => a + b, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return block;
}

function padded(body: Buffer): Buffer {
  return Buffer.concat([body, Buffer.alloc((BLOCK - (body.length % BLOCK)) % BLOCK)]);
}

function bytesOf(text: string | Uint8Array): Buffer {
  return typeof text === 'string' ? Buffer.from(text, 'latin1') : Buffer.from(text);
}
