/** Valid samples with some edits. */

import * as fc from 'fast-check';

interface Edit {
  /** Where, as a share of the length. */
  readonly at: number;
  readonly cut: number;
  readonly put: Uint8Array;
}

/** What means something to a parser, a path, a shell, or a reader of logs. */
const PIECES = [
  ...['\n', '--\n', '\n--\n', '\r\n', '\0', '"', '\\', '{', '}', '[', ']', ',', ':', 'null', '1e999', '-1'],
  ...['..', '/../', './', '//', 'cvmfs://', 'cvmfs://../..//', '%2e%2e', 'sha256:', '__proto__', '\\u0000'],
  ...['$(id)', '`id`', ';id;', '${A:-${B}}', "'", '&&', '|', '>', '<thin.example.org 9', 'E', 'N', 'Vpkcs7'],
  ...['-rmd160', '-shake128', 'T9', 'R99999999999999999999', 'zlib', 'x'.repeat(300)],
].map((piece) => Buffer.from(piece));

const anEdit: fc.Arbitrary<Edit> = fc.record({
  at: fc.double({ min: 0, max: 1, noNaN: true }),
  cut: fc.oneof(fc.nat(2), fc.nat(80)),
  put: fc.oneof(fc.constant(Buffer.alloc(0)), fc.constantFrom(...PIECES), fc.uint8Array({ maxLength: 4 })),
});

function edited(bytes: Buffer, { at, cut, put }: Edit): Buffer {
  const from = Math.floor(at * bytes.length);
  return Buffer.concat([bytes.subarray(0, from), put, bytes.subarray(from + cut)]);
}

/** Seldom a sample as it is, and seldom anything at all. */
export function mutated(samples: readonly Buffer[]): fc.Arbitrary<Buffer> {
  const edits = fc.array(anEdit, { maxLength: 5 });
  return fc.oneof(
    {
      weight: 20,
      arbitrary: fc.tuple(fc.constantFrom(...samples), edits).map(([s, e]) => e.reduce(edited, s)),
    },
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 400 }).map((bytes) => Buffer.from(bytes)) },
  );
}
