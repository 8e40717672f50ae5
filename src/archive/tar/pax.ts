/** PAX extended headers: records `LENGTH KEY=VALUE\n`, where a value may be any bytes (xattrs are stored in them). */

import type { ByteString, TreeTime } from '../../core/tree.js';
import { malformed } from './malformed.js';

/** In the order of the archive; GNU's sparse format 0.0 repeats keys. */
export type PaxRecords = readonly (readonly [key: ByteString, value: ByteString])[];

const SPACE = 0x20;
const NEWLINE = 0x0a;

export function decodePax(bytes: Uint8Array): PaxRecords {
  const records: [ByteString, ByteString][] = [];
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at < text.length;) {
    const space = text.indexOf(SPACE, at);
    const length = decimal(text.toString('latin1', at, space < 0 ? at : Math.min(space, at + 12)));
    const end = at + length;
    const equals = text.indexOf('=', space);
    const isRecord = equals > space && equals < end && end <= text.length && text[end - 1] === NEWLINE;
    if (!isRecord) throw malformed(`a PAX header has no record at its byte ${at}`);
    records.push([text.toString('latin1', space + 1, equals), text.toString('latin1', equals + 1, end - 1)]);
    at = end;
  }
  return records;
}

/** A whole number; NaN for anything else. */
export function decimal(text: string): number {
  return /^[0-9]{1,16}$/.test(text) ? Number(text) : NaN;
}

/** `1.5`, `-1.5`, `12`; digits after the ninth are dropped, as the kernel has no place for them. */
export function decodePaxTime(text: string): TreeTime {
  const parts = /^(-?)([0-9]{1,15})(?:\.([0-9]*))?$/.exec(text);
  if (!parts) throw malformed(`${JSON.stringify(text.slice(0, 40))} is not a time`);
  const [, sign, whole, fraction = ''] = parts;
  const nanoseconds = Number(fraction.slice(0, 9).padEnd(9, '0'));
  if (sign !== '-') return { seconds: Number(whole), nanoseconds };
  if (nanoseconds === 0) return { seconds: 0 - Number(whole), nanoseconds };
  return { seconds: -Number(whole) - 1, nanoseconds: 1e9 - nanoseconds };
}
