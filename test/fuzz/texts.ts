/** Texts that strangers write: descriptors of images, profiles, configuration, state in a cache. */

import assert from 'node:assert/strict';

import * as fc from 'fast-check';

import { isRepositoryName } from '../../src/core/repository-name.js';
import { parseThinDescriptor, parseThinLayers, pathsOf } from '../../src/core/thin-descriptor.js';
import type { ThinDescriptor } from '../../src/core/thin-descriptor.js';
import { parseBlacklist } from '../../src/cvmfs/embedded/blacklist.js';
import { parseBreadcrumb } from '../../src/cvmfs/embedded/cache/breadcrumb.js';
import type { ConfigFiles } from '../../src/cvmfs/embedded/config/config-files.js';
import { Shell } from '../../src/cvmfs/embedded/config/shell.js';
import { isObjectPath, objectPath, parseObjectPath } from '../../src/cvmfs/embedded/object-id.js';
import { formatProfile, parseProfile } from '../../src/cvmfs/embedded/prefetch/profile.js';
import { fixture } from '../pure/cvmfs/fixtures.js';
import { mutated } from './mutations.js';
import { taken } from './refusals.js';

const DEFAULT = 'default.example.org';
const HEX = '0123456789abcdef0123456789abcdef01234567';

const texts = (samples: readonly (string | Buffer)[]): fc.Arbitrary<string> =>
  mutated(samples.map((sample) => Buffer.from(sample))).map((bytes) => bytes.toString());

const DESCRIPTORS = [
  fixture('thin/image-rev1/thin.json'),
  fixture('thin/image-rev2/thin.json'),
  JSON.stringify({
    version: '1.0',
    min_version: '',
    origin: 'registry/a:1',
    layers: [
      {
        digest: `sha256:${'ab'.repeat(32)}`,
        url: `cvmfs://a.example.org/.layers/ab/${'ab'.repeat(32)}/layerfs`,
      },
      { digest: 'cd'.repeat(32), url: '' },
    ],
  }),
];

/** Layers are looked up beneath a repository's mount, by plain names. */
function checkLayers({ layers }: Pick<ThinDescriptor, 'layers'>): void {
  for (const layer of layers) {
    assert.ok(isRepositoryName(layer.repository) && /^[0-9a-f]{64}$/.test(layer.digest));
    for (const path of pathsOf(layer)) {
      assert.match(path, /^[A-Za-z0-9._@+=~ /-]+$/);
      assert.ok(path.split('/').every((name) => name !== '' && name !== '.' && name !== '..'));
    }
  }
}

export const descriptors = fc.property(texts(DESCRIPTORS), (text) => {
  taken(() => {
    const descriptor = parseThinDescriptor(text, DEFAULT);
    checkLayers(descriptor);
    // As they come back from a record, where the same is asked of them.
    checkLayers({ layers: parseThinLayers(JSON.parse(JSON.stringify(descriptor.layers))) });
  });
});

/** Sound JSON with urls and digests that are not: the text above mostly ends in the JSON parser. */
const aDescriptor = fc.record({
  version: fc.oneof(fc.constantFrom('1.0', '0.1', '1'), fc.anything()),
  layers: fc.array(
    fc.record({
      digest: fc.oneof(
        fc.constantFrom('ab'.repeat(32), `sha256:${'cd'.repeat(32)}`),
        texts(['ab'.repeat(32)]),
      ),
      url: texts([`cvmfs://a.example.org/layers/x`, 'cvmfs://b.example.org/.layers/ab/c d/layerfs']),
    }),
    { maxLength: 3 },
  ),
});

const jsonOf = (value: unknown): string =>
  JSON.stringify(value, (_key, each: unknown) => (typeof each === 'bigint' ? String(each) : each));

export const layers = fc.property(aDescriptor, (value) => {
  taken(() => checkLayers(parseThinDescriptor(jsonOf(value), DEFAULT)));
});

const PROFILE = formatProfile([
  { object: `01/${HEX.slice(2)}`, size: 17, compressed: true },
  { object: `ab/${HEX.slice(2)}-rmd160C`, size: 57344, compressed: false },
  { object: `ff/${HEX.slice(2)}-shake128P`, size: 1, compressed: true },
]);

export const profiles = fc.property(texts([PROFILE]), (text) => {
  taken(() => {
    const objects = parseProfile(text);
    for (const { object } of objects)
      assert.ok(isObjectPath(object) && objectPath(parseObjectPath(object)) === object);
    assert.equal(formatProfile(objects), text);
  });
});

const STATES = [
  `${HEX}T1700000000R7`,
  `${HEX}-rmd160T0R0\n`,
  `<thin.example.org 9\n${HEX.toUpperCase()}\n# none\n`,
];

export const states = fc.property(texts(STATES), (text) => {
  const breadcrumb = parseBreadcrumb(text);
  if (breadcrumb) assert.ok(isObjectPath(objectPath(breadcrumb.root)) && breadcrumb.revision >= 0);
  parseBlacklist(text);
  taken(() => parseObjectPath(text));
});

const CONFIGURATIONS = [
  'CVMFS_SERVER_URL="http://a/cvmfs/@fqrn@;http://b/cvmfs/@fqrn@"\nexport CVMFS_KEYS_DIR=/etc/cvmfs/keys\n',
  'A=b; B="${A:-x}$C"; if [ -z "$B" ]; then C=\'d\'; else . /c/b.conf; fi # comment\nreadonly D=${C%x}\n',
  'for x in 1 2; do A="$(echo $x)"; done\n[ "$A" = 2 ] && B=`id` || C=3\n',
];

/** Variables are values, whatever commands are beside them. */
export const configurations = fc.property(texts(CONFIGURATIONS), (text) => {
  const files: ConfigFiles = {
    read: (path) => (path.startsWith('/c/') ? text : null),
    list: () => [],
    kind: () => null,
  };
  const shell = new Shell({ files, environment: {}, template: (value) => value });
  taken(() => shell.source('/c/a.conf'));
  for (const [name, { value }] of shell.variables) {
    assert.match(name, /^[A-Za-z_][A-Za-z0-9_]*$/);
    assert.equal(typeof value, 'string');
  }
});
