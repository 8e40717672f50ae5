import assert from 'node:assert/strict';
import { test } from 'node:test';

import fc from 'fast-check';

import { ThinlayerError } from '../../../src/core/errors.js';
import { isRepositoryName } from '../../../src/core/repository-name.js';
import { parseThinDescriptor } from '../../../src/core/thin-descriptor.js';

const D = 'ab'.repeat(32);
const DEFAULT = 'default.example.org';

function descriptor(...layers: unknown[]): string {
  return JSON.stringify({ version: '1.0', layers });
}

function urlOf(url: unknown): unknown {
  return parseThinDescriptor(descriptor({ digest: D, url }), DEFAULT).layers[0];
}

test('the three forms of a url, and none', () => {
  const repository = 'unpacked.example.org';
  for (const path of [`layers/${D}`, `sub/dir/${D}`, `.layers/ab/${D}/layerfs`]) {
    assert.deepEqual(urlOf(`cvmfs://${repository}/${path}`), { digest: D, repository, path });
  }
  assert.deepEqual(urlOf(undefined), { digest: D, repository: DEFAULT, path: null });
  assert.deepEqual(urlOf(''), { digest: D, repository: DEFAULT, path: null });
});

test('what DUCC writes', () => {
  const text = JSON.stringify({
    version: '1.0',
    min_version: '',
    origin: 'registry/a:1',
    layers: [{ digest: `sha256:${D}` }],
  });
  assert.deepEqual(parseThinDescriptor(text, DEFAULT), {
    layers: [{ digest: D, repository: DEFAULT, path: null }],
    origin: 'registry/a:1',
  });
});

test('an image without files has no layers', () => {
  assert.deepEqual(parseThinDescriptor('{"version":"0.1","layers":[]}', DEFAULT).layers, []);
});

const REFUSED: Readonly<Record<string, [text: string, code: string, message: RegExp]>> = {
  'no JSON': ['{', 'invalid_argument', /thin.json is not valid/],
  'a list': ['[]', 'invalid_argument', /not an object/],
  'no version': ['{"layers":[]}', 'invalid_argument', /version is missing/],
  'a version that is none': ['{"version":1,"layers":[]}', 'invalid_argument', /version is 1/],
  'a later version': [
    '{"version":"2.0","layers":[]}',
    'failed_precondition',
    /knows version 1.*newer thinlayer/,
  ],
  'a later minimum': [
    '{"version":"1.0","min_version":"3","layers":[]}',
    'failed_precondition',
    /min_version/,
  ],
  'no layers': ['{"version":"1.0"}', 'invalid_argument', /layers is missing/],
  'a layer that is none': [descriptor(null), 'invalid_argument', /layers\[0\] is null/],
  'no digest': [descriptor({}), 'invalid_argument', /digest is missing/],
  'a short digest': [descriptor({ digest: 'abc' }), 'invalid_argument', /64 hex/],
  'too many layers': [
    descriptor(...Array.from({ length: 501 }, () => ({ digest: D }))),
    'invalid_argument',
    /501 layers/,
  ],
  'too long': [`{"version":"1.0","comment":"${'x'.repeat(1 << 20)}"}`, 'invalid_argument', /larger than/],
};

for (const [name, [text, code, message]] of Object.entries(REFUSED)) {
  test(`refused: ${name}`, () => {
    assert.throws(() => parseThinDescriptor(text, DEFAULT), { code, message });
  });
}

const BAD_URLS = [
  'http://a.example.org/layers/x',
  'cvmfs://a.example.org',
  'cvmfs://a.example.org/',
  'cvmfs:///etc',
  'cvmfs://../../../..//etc',
  'cvmfs://a.example.org/../../etc',
  'cvmfs://a.example.org/layers/./x',
  'cvmfs://a.example.org/layers//x',
  "cvmfs://x';touch pwned;'.cern.ch/y",
  'cvmfs://a.example.org/layers/$(id)',
  'cvmfs://a.example.org/layers/a:b',
  'cvmfs://a.example.org/layers/a,b',
  'cvmfs://a.example.org/layers/a\nb',
  'cvmfs://a.example.org/layers/a\0b',
  `cvmfs://a.example.org/${'x'.repeat(256)}`,
  `cvmfs://a.example.org/${'x/'.repeat(3000)}x`,
  'cvmfs://-a.example.org/x',
  7,
];

for (const url of BAD_URLS) {
  test(`refused url: ${JSON.stringify(url).slice(0, 60)}`, () => {
    assert.throws(() => urlOf(url), { code: 'invalid_argument', message: /layers\[0\]\.url/ });
  });
}

test('whatever the text, it is a descriptor or a refusal', () => {
  const anything = fc.oneof(
    fc.string(),
    fc.json(),
    fc
      .record({
        version: fc.anything(),
        layers: fc.array(fc.record({ digest: fc.anything(), url: fc.anything() })),
      })
      .map((v) =>
        JSON.stringify(v, (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value)),
      ),
  );
  fc.assert(
    fc.property(anything, (text) => {
      try {
        for (const { repository } of parseThinDescriptor(text, DEFAULT).layers) {
          assert.ok(isRepositoryName(repository));
        }
      } catch (error) {
        assert.ok(error instanceof ThinlayerError, String(error));
      }
    }),
    { numRuns: 300 },
  );
});

test('a path that passes cannot leave its repository', () => {
  const part = fc.constantFrom('..', '.', '', 'a', '/', '\\', '%2e%2e', 'layers', '\0', ' ');
  fc.assert(
    fc.property(fc.array(part, { maxLength: 8 }), (parts) => {
      const text = descriptor({ digest: D, url: `cvmfs://a.example.org/${parts.join('/')}` });
      let path: string | null;
      try {
        path = parseThinDescriptor(text, DEFAULT).layers[0]?.path ?? null;
      } catch (error) {
        assert.ok(error instanceof ThinlayerError);
        return;
      }
      assert.ok(
        path !== null &&
          !path.startsWith('/') &&
          path.split('/').every((p) => p !== '' && p !== '.' && p !== '..'),
      );
    }),
    { numRuns: 300 },
  );
});
