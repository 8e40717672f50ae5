import assert from 'node:assert/strict';
import { test } from 'node:test';

import fc from 'fast-check';

import { homeMounts, parseMountinfo } from '../../../src/host/mountinfo.js';

const LINE =
  '36 35 98:0 /mnt1 /mnt\\0402 rw,noatime master:1 shared:7 - ext3 /dev/root rw,errors=continue,colour=a\\054b';

test('a line as the manual has it', () => {
  assert.deepEqual(parseMountinfo(`${LINE}\n`), [
    {
      id: 36,
      parent: 35,
      device: '98:0',
      root: '/mnt1',
      mountPoint: '/mnt 2',
      options: ['rw', 'noatime'],
      tags: ['master:1', 'shared:7'],
      type: 'ext3',
      source: '/dev/root',
      superOptions: ['rw', 'errors=continue', 'colour=a,b'],
    },
  ]);
});

test('no optional fields, an empty source, a dash for a name', () => {
  const [a, b] = parseMountinfo('1 2 0:3 / /a rw - tmpfs  rw\n4 2 0:5 - - rw unknown:9 - overlay - rw\n');
  assert.deepEqual([a?.tags, a?.source, a?.superOptions], [[], '', ['rw']]);
  assert.deepEqual([b?.mountPoint, b?.tags, b?.type, b?.source], ['-', ['unknown:9'], 'overlay', '-']);
});

test('what is not a line throws', () => {
  for (const text of ['nonsense', '1 2 0:3 / /a rw shared:1 tmpfs tmpfs rw', '1 2 0:3 / /a rw -']) {
    assert.throws(() => parseMountinfo(text), { code: 'internal' }, text);
  }
});

function escape(text: string): string {
  return text.replace(/[ \t\n\\#,=]/g, (c) => `\\${c.charCodeAt(0).toString(8).padStart(3, '0')}`);
}

test('property: whatever the kernel escapes comes back', () => {
  const word = fc.string({ minLength: 1, unit: 'grapheme' }).filter((w) => !/[\r\0]/.test(w));
  fc.assert(
    fc.property(word, word, fc.array(word, { minLength: 1 }), (mountPoint, source, superOptions) => {
      const line = `1 2 0:3 / ${escape(mountPoint)} rw - fs ${escape(source)} ${superOptions.map(escape).join(',')}`;
      const [entry] = parseMountinfo(`${LINE}\n${line}\n`).slice(1);
      assert.deepEqual(
        [entry?.mountPoint, entry?.source, entry?.superOptions],
        [mountPoint, source, superOptions],
      );
    }),
  );
});

test('property: any text is parsed or refused with a code', () => {
  const part = fc.oneof(fc.constantFrom(' ', '-', '\n', '\\040', '\\', 'a'), fc.string());
  fc.assert(
    fc.property(fc.array(part), (parts) => {
      try {
        parseMountinfo(parts.join(''));
      } catch (error) {
        assert.equal((error as { code: string }).code, 'internal');
      }
    }),
  );
});

test('the overlay mounts of a home, each once', () => {
  const line = (mountPoint: string, type = 'overlay') => `1 2 0:3 / ${mountPoint} rw - ${type} overlay rw`;
  const entries = parseMountinfo(
    [
      line('/home/abc/merged'),
      line('/home/abc/merged'),
      line('/home/def-init/merged'),
      line('/home/abc/unpacking'),
      line('/home/tmp/merged', 'tmpfs'),
      line('/home/abc/merged/inside'),
      line('/home/merged'),
      line('/home/.probe/merged'),
      line('/home2/abc/merged'),
      line('/home/cvmfs/a/merged'),
    ].join('\n'),
  );
  assert.deepEqual(homeMounts(entries, '/home'), [
    { id: 'abc', kind: 'merged', target: '/home/abc/merged' },
    { id: 'def-init', kind: 'merged', target: '/home/def-init/merged' },
    { id: 'abc', kind: 'unpacking', target: '/home/abc/unpacking' },
  ]);
});
