import assert from 'node:assert/strict';
import { test } from 'node:test';

import { DEFAULT_OPTIONS, descriptorRepository, parseOptions } from '../../../src/core/options.js';
import type { DriverOptions } from '../../../src/core/options.js';
import { quotaOf } from '../../../src/core/storage-options.js';

test('without options the defaults hold', () => {
  assert.deepEqual(parseOptions([]), DEFAULT_OPTIONS);
});

test('every option is understood, in any case of its key', () => {
  const known: [string, Partial<DriverOptions>][] = [
    ['overlay2.override_kernel_check=true', { overrideKernelCheck: true }],
    ['overlay2.override_kernel_check=F', { overrideKernelCheck: false }],
    ['overlay2.size=10G', { defaultQuota: 10 * 1024 ** 3 }],
    ['Overlay2.Size=10G', { defaultQuota: 10 * 1024 ** 3 }],
    ['overlay2.size=0', { defaultQuota: null }],
    ['overlay2.mountopt=nodev,xino=off', { mountOptions: ['nodev', 'xino=off'] }],
    ['overlay2.mountopt=', { mountOptions: [] }],
    ['overlay2.mountopt= nodev , volatile ', { mountOptions: ['nodev', 'volatile'] }],
    ['thinlayer.max_lowers=500', { maxLowers: 500 }],
    ['thinlayer.sync=data', { sync: 'data' }],
    [' thinlayer.sync = off ', { sync: 'off' }],
    ['cvmfs.mount=cvmfs2', { cvmfsMount: 'cvmfs2' }],
    ['cvmfs.config_dir=/x', { cvmfsConfigDirectory: '/x' }],
    ['cvmfs.repository=a.example.org', { cvmfsRepository: 'a.example.org' }],
    ['cvmfs.layers=a.example.org', { cvmfsLayers: 'a.example.org' }],
    [
      'cvmfs.mount.a.example.org=external',
      { cvmfsMounts: new Map([['a.example.org', 'external' as const]]) },
    ],
    ['cvmfs.prefetch=off', { cvmfsPrefetch: false }],
    ['cvmfsMountMethod=internal', { cvmfsMount: 'internal' }],
    ['CVMFSMOUNTMETHOD=external', { cvmfsMount: 'external' }],
    ['cvmfsMountMethod=whatever', { cvmfsMount: 'external' }],
  ];
  for (const [text, options] of known) {
    assert.deepEqual(parseOptions([text]), { ...DEFAULT_OPTIONS, ...options }, text);
  }
});

test('the last of a repeated key wins', () => {
  assert.equal(parseOptions(['thinlayer.sync=data', 'thinlayer.sync=off']).sync, 'off');
});

test('layers without a url are where that is said, or where layers are published, or in the public repository', () => {
  const repository = (...options: string[]) => descriptorRepository(parseOptions(options));
  assert.equal(repository(), 'unpacked.cern.ch');
  assert.equal(repository('cvmfs.layers=a.example.org'), 'a.example.org');
  assert.equal(repository('cvmfs.layers=a.example.org', 'cvmfs.repository=b.example.org'), 'b.example.org');
});

test('an unknown option lists the known ones', () => {
  assert.throws(() => parseOptions(['overlay2.colour=red']), {
    code: 'invalid_argument',
    message:
      'unknown storage option "overlay2.colour"; known are overlay2.override_kernel_check, overlay2.size, overlay2.mountopt, thinlayer.max_lowers, thinlayer.sync, cvmfs.mount, cvmfs.config_dir, cvmfs.repository, cvmfs.layers, cvmfs.prefetch, cvmfs.mount.REPOSITORY, cvmfsMountMethod',
  });
});

test('names of Object.prototype are no options', () => {
  for (const key of ['constructor', '__proto__', 'toString']) {
    assert.throws(() => parseOptions([`${key}=1`]), { code: 'invalid_argument' });
  }
});

test('values that make no sense are refused, and the key is named', () => {
  const bad = [
    'overlay2.override_kernel_check=yes',
    'overlay2.override_kernel_check=',
    'cvmfs.prefetch=no',
    'overlay2.size=big',
    'overlay2.mountopt=index=on',
    'overlay2.mountopt=lowerdir=/etc',
    'thinlayer.max_lowers=0',
    'thinlayer.max_lowers=501',
    'thinlayer.max_lowers=1e2',
    'thinlayer.sync=sometimes',
    'cvmfs.mount=internal',
    'cvmfs.layers=',
    'cvmfs.layers=../x',
    'cvmfs.mount.a.example.org=autofs',
    'cvmfs.mount.not/a/name=external',
    'cvmfs.mount.BAD=external',
    'cvmfs.repository=atlas',
    'cvmfs.config_dir=relative',
  ];
  for (const text of bad) {
    const [key = ''] = text.split('=');
    assert.throws(
      () => parseOptions([text]),
      (error: Error & { code: string }) => error.code === 'invalid_argument' && error.message.startsWith(key),
      text,
    );
  }
});

test('what is not key=value is refused', () => {
  for (const text of ['', 'thinlayer.sync', '=off']) {
    assert.throws(() => parseOptions([text]), { code: 'invalid_argument', message: /key=value/ });
  }
});

test('a container can ask for a size and nothing else', () => {
  assert.equal(quotaOf({}), null);
  assert.equal(quotaOf({ size: '1G' }), 1024 ** 3);
  assert.equal(quotaOf({ SIZE: '512m' }), 512 * 1024 ** 2);
  assert.throws(() => quotaOf({ size: '1G', color: 'red' }), {
    code: 'invalid_argument',
    message: /"color".*size/,
  });
  assert.throws(() => quotaOf({ size: 'much' }), { code: 'invalid_argument', message: /--storage-opt size/ });
});
