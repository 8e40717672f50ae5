import assert from 'node:assert/strict';
import { test } from 'node:test';

import { loadConfig } from '../../../src/cvmfs/embedded/config/load.js';
import { filesOf, KEY, load, loadLines, MINIMAL } from './config-directory.js';

test("files are read in the order of CERN's client, the last one wins", () => {
  const names = [
    'default.conf',
    'default.d/10-a.conf',
    'default.d/50-b.conf',
    'default.local',
    'domain.d/example.org.conf',
    'domain.d/example.org.local',
    'config.d/sw.example.org.conf',
    'config.d/sw.example.org.local',
  ].map((name) => `/etc/cvmfs/${name}`);
  const texts = names.map((name, i) => [name, `ORDER="\${ORDER}${i}"\nCVMFS_TIMEOUT=${i}`]);
  const config = load({
    ...Object.fromEntries(texts),
    '/etc/cvmfs/default.d/README': 'CVMFS_TIMEOUT=99',
    '/etc/cvmfs/default.local': `${MINIMAL['/etc/cvmfs/default.local']}ORDER="\${ORDER}3"`,
    '/etc/cvmfs/keys/a.pub': KEY,
  });
  assert.equal(config.variables['ORDER'], '01234567');
  assert.equal(config.network.timeoutSeconds, 7);
  assert.deepEqual(
    config.files,
    names.map((path) => ({ path, found: true })),
  );
});

test('a repository that is not configured is refused, and the files that were looked for are named', () => {
  const texts = { '/etc/cvmfs/default.conf': 'CVMFS_CONFIG_REPOSITORY=config.example.org' };
  assert.throws(() => load(texts), {
    code: 'failed_precondition',
    message:
      'the repository sw.example.org is not configured: none of the files sets CVMFS_SERVER_URL; looked for ' +
      '/etc/cvmfs/default.conf, /etc/cvmfs/default.local (not there), /etc/cvmfs/domain.d/example.org.conf (not there), ' +
      '/etc/cvmfs/domain.d/example.org.local (not there), /etc/cvmfs/config.d/sw.example.org.conf (not there), ' +
      '/etc/cvmfs/config.d/sw.example.org.local (not there). The configuration repository config.example.org is not read; ' +
      'if it has the files of sw.example.org, copy them here.',
  });
});

test('what is no name of a repository touches no path', () => {
  const untouchable = new Proxy(filesOf({}), {
    get: () => () => assert.fail('a file was looked for'),
  });
  const bad = [
    '',
    '.',
    '..',
    '../etc',
    'a/b',
    'a..b',
    '.a',
    'a.',
    'a b',
    'a\0b',
    'a\n',
    '-a.b',
    `${'a'.repeat(64)}.b`,
  ];
  for (const repository of [...bad, 'a.'.repeat(127) + 'aa', 'é.org']) {
    assert.throws(
      () => loadConfig({ repository, directory: '/etc/cvmfs', only: null, environment: {} }, untouchable),
      { code: 'invalid_argument', message: /is no name of a CVMFS repository/ },
      repository,
    );
  }
});

test('a short name takes the default domain', () => {
  const local = `CVMFS_DEFAULT_DOMAIN=example.org\n${MINIMAL['/etc/cvmfs/default.local']}`;
  const config = load({ ...MINIMAL, '/etc/cvmfs/default.local': local }, 'sw');
  assert.equal(config.fqrn, 'sw.example.org');
  assert.deepEqual(config.servers, ['http://s/cvmfs/sw.example.org']);
  assert.throws(() => load(MINIMAL, 'sw'), { code: 'invalid_argument', message: /CVMFS_DEFAULT_DOMAIN/ });
});

test('files that are named replace the hierarchy', () => {
  const texts = { ...MINIMAL, '/a.conf': 'CVMFS_SERVER_URL=http://a\nCVMFS_HTTP_PROXY=DIRECT' };
  const question = {
    repository: 'sw.example.org',
    directory: '/etc/cvmfs',
    only: ['/a.conf'],
    environment: {},
  };
  assert.deepEqual(loadConfig(question, filesOf(texts)).servers, ['http://a']);
});

test('servers are a list, with the names of the repository filled in', () => {
  const { servers } = loadLines('CVMFS_SERVER_URL="http://a/@fqrn@/; https://b:8000/cvmfs/@org@;;"');
  assert.deepEqual(servers, ['http://a/sw.example.org', 'https://b:8000/cvmfs/sw']);
  for (const url of ['ftp://a', 'a/b', 'file:///srv', 'http://a?b', 'http://']) {
    assert.throws(() => loadLines(`\nCVMFS_SERVER_URL="http://ok;${url}"`), {
      code: 'invalid_argument',
      message:
        /^\/etc\/cvmfs\/config\.d\/sw\.example\.org\.conf:2: CVMFS_SERVER_URL: .* is not the URL of a server/,
    });
  }
});

test('proxies are groups of groups', () => {
  const cases: [string, string[][], string[][]][] = [
    ['CVMFS_HTTP_PROXY=DIRECT', [['DIRECT']], []],
    [
      'CVMFS_HTTP_PROXY="http://a:3128|http://b:3128;http://c:80; d |https://e:443;DIRECT;"',
      [['http://a:3128', 'http://b:3128'], ['http://c:80'], ['http://d:1080', 'https://e:443'], ['DIRECT']],
      [],
    ],
    [
      'CVMFS_HTTP_PROXY="http://u:p@a:1|DIRECT;DIRECT"\nCVMFS_FALLBACK_PROXY="http://f:1;DIRECT|http://g:2"',
      [['http://u:p@a:1']],
      [['http://f:1'], ['http://g:2']],
    ],
    ['CVMFS_HTTP_PROXY=http://[::1]:3128', [['http://[::1]:3128']], []],
    ['CVMFS_HTTP_PROXY=\nCVMFS_CLIENT_PROFILE=single', [['DIRECT']], []],
  ];
  for (const [lines, groups, fallback] of cases) {
    assert.deepEqual(loadLines(lines).proxies, { groups, fallback }, lines);
  }
});

test('external files have servers, proxies and time-outs of their own; directly, if nothing is said', () => {
  const none = { servers: [], proxies: { groups: [['DIRECT']], fallback: [] } };
  const times = { timeoutSeconds: 7, timeoutDirectSeconds: 8 };
  const lines = 'CVMFS_TIMEOUT=7\nCVMFS_TIMEOUT_DIRECT=8\n';
  assert.deepEqual(loadLines(`${lines}CVMFS_HTTP_PROXY=http://p:1`).external, { ...none, ...times });
  assert.deepEqual(loadLines(`${lines}CVMFS_EXTERNAL_URL=`).external, { ...none, ...times });
  const all = loadLines(
    `${lines}CVMFS_EXTERNAL_URL="http://a/@org@;https://b/@fqrn@/"\nCVMFS_EXTERNAL_HTTP_PROXY="http://p:1|http://q:2;DIRECT"
     CVMFS_EXTERNAL_FALLBACK_PROXY=http://f:3\nCVMFS_EXTERNAL_TIMEOUT=1\nCVMFS_EXTERNAL_TIMEOUT_DIRECT=2
     CVMFS_EXTERNAL_MAX_SERVERS=1`,
  );
  assert.deepEqual(all.external, {
    servers: ['http://a/sw', 'https://b/sw.example.org'],
    proxies: { groups: [['http://p:1', 'http://q:2']], fallback: [['http://f:3']] },
    timeoutSeconds: 1,
    timeoutDirectSeconds: 2,
  });
  const ignored = all.settings.filter(({ used }) => !used).map(({ name }) => name);
  assert.deepEqual(ignored, ['CVMFS_EXTERNAL_MAX_SERVERS']);
  assert.throws(() => loadLines('CVMFS_EXTERNAL_URL=ftp://a'), {
    code: 'invalid_argument',
    message: /:1: CVMFS_EXTERNAL_URL: .* is not the URL of a server/,
  });
});

test('a proxy that is missing, automatic or none is an error that says so', () => {
  assert.throws(() => loadLines('CVMFS_HTTP_PROXY='), {
    code: 'failed_precondition',
    message: /CVMFS_HTTP_PROXY=DIRECT/,
  });
  assert.throws(
    () => loadLines('CVMFS_HTTP_PROXY=DIRECT\nCVMFS_FALLBACK_PROXY="pac+http://wpad/wpad.dat;DIRECT"'),
    {
      code: 'unimplemented',
      message: /CVMFS_FALLBACK_PROXY: .*not supported/,
    },
  );
  for (const proxy of ['ftp://a:1', 'http://', 'http://a:99999999']) {
    assert.throws(() => loadLines(`CVMFS_HTTP_PROXY="${proxy}"`), {
      code: 'invalid_argument',
      message: /CVMFS_HTTP_PROXY/,
    });
  }
  assert.throws(() => loadLines('CVMFS_HTTP_PROXY="auto;DIRECT"'), {
    code: 'unimplemented',
    message: /sw\.example\.org\.conf:1: CVMFS_HTTP_PROXY: .*WPAD.*not supported/,
  });
  for (const proxy of ['socks5://a', 'http://a/path', 'http://', 'a b']) {
    assert.throws(() => loadLines(`CVMFS_HTTP_PROXY="${proxy}"`), {
      code: 'invalid_argument',
      message: /:1: CVMFS_HTTP_PROXY/,
    });
  }
});

test('public keys: named, or all of a directory, or of its domain', () => {
  const base = { ...MINIMAL, '/k/b.pub': KEY, '/k/a.pub': KEY, '/k/x.txt': 'x', '/d/example.org/c.pub': KEY };
  const keysFor = (lines: string) =>
    load({ ...base, '/etc/cvmfs/config.d/sw.example.org.conf': lines }).publicKeys.map(({ path }) => path);
  assert.deepEqual(keysFor(''), ['/etc/cvmfs/keys/example.org.pub']);
  assert.deepEqual(keysFor('CVMFS_KEYS_DIR=/k'), ['/k/a.pub', '/k/b.pub']);
  assert.deepEqual(keysFor('CVMFS_KEYS_DIR=/d/'), ['/d/example.org/c.pub']);
  assert.deepEqual(keysFor('CVMFS_KEYS_DIR=/none\nCVMFS_PUBLIC_KEY=/k/b.pub:/k/a.pub'), [
    '/k/b.pub',
    '/k/a.pub',
  ]);
  assert.deepEqual(keysFor('CVMFS_KEYS_DIR=\nCVMFS_PUBLIC_KEY='), ['/etc/cvmfs/keys/example.org.pub']);
});

test('a key that is missing, or none, is an error that names it', () => {
  const key = '/etc/cvmfs/keys/example.org.pub';
  assert.throws(() => loadLines('CVMFS_KEYS_DIR=/none'), {
    code: 'failed_precondition',
    message: /no public key for sw\.example\.org: no \*\.pub in \/none or \/none\/example\.org/,
  });
  assert.throws(() => loadLines(`CVMFS_PUBLIC_KEY=${key}:/none.pub`), {
    code: 'failed_precondition',
    message: /:1: the public key \/none\.pub does not exist/,
  });
  assert.throws(() => load({ ...MINIMAL, [key]: 'x' }), { code: 'invalid_argument', path: key });
});

test("numbers, switches and times have their types, and CERN's defaults", () => {
  const unset = loadLines('');
  assert.deepEqual(unset.network, {
    timeoutSeconds: 5,
    timeoutDirectSeconds: 5,
    maxRetries: 1,
    backoffInitSeconds: 2,
    backoffMaxSeconds: 10,
    lowSpeedLimit: 1024,
    proxyResetSeconds: null,
    hostResetSeconds: null,
  });
  assert.deepEqual(unset.cache, {
    directory: '/var/lib/cvmfs/thinlayer/sw.example.org',
    quotaBytes: 1 << 30,
  });
  assert.deepEqual(unset.blacklists, ['/etc/cvmfs/blacklist']);
  assert.deepEqual([unset.pinned, unset.maxTtlSeconds, unset.allowed], [null, null, true]);
  const set = loadLines(
    'CVMFS_TIMEOUT=1\nCVMFS_TIMEOUT_DIRECT=2\nCVMFS_MAX_RETRIES=3\nCVMFS_BACKOFF_INIT=4\nCVMFS_BACKOFF_MAX=5\n' +
      'CVMFS_LOW_SPEED_LIMIT=6\nCVMFS_PROXY_RESET_AFTER=7\nCVMFS_HOST_RESET_AFTER=8\n' +
      'CVMFS_CACHE_BASE=/c/\nCVMFS_SHARED_CACHE=yes\nCVMFS_QUOTA_LIMIT=2000\nCVMFS_MAX_TTL=3\nCVMFS_BLACKLIST=/b',
  );
  assert.deepEqual(Object.values(set.network), [1, 2, 3, 4, 5, 6, 7, 8]);
  assert.deepEqual(set.cache, { directory: '/c/thinlayer/shared', quotaBytes: 2000 * 1024 ** 2 });
  assert.deepEqual([set.maxTtlSeconds, set.blacklists], [180, ['/b']]);
  assert.deepEqual([unset.prefetch, loadLines('THINLAYER_PREFETCH=no').prefetch], [true, false]);
  assert.equal(loadLines('CVMFS_QUOTA_LIMIT=-1').cache.quotaBytes, null);
  assert.equal(loadLines('CVMFS_CACHE_DIR=/x/y').cache.directory, '/x/thinlayer/y');
});

test('a state of the repository can be pinned', () => {
  const hash = 'a'.repeat(40);
  assert.deepEqual(loadLines(`CVMFS_ROOT_HASH=${hash}-shake128\nCVMFS_REPOSITORY_TAG=x`).pinned, {
    kind: 'hash',
    hash: `${hash}-shake128`,
  });
  assert.deepEqual(loadLines(`CVMFS_REPOSITORY_HASH=${hash}`).pinned, { kind: 'hash', hash });
  assert.deepEqual(loadLines('CVMFS_REPOSITORY_TAG=x\nCVMFS_REPOSITORY_DATE=2024-01-02T03:04:05Z').pinned, {
    kind: 'tag',
    tag: 'x',
  });
  assert.deepEqual(loadLines('CVMFS_REPOSITORY_DATE=2024-02-29T23:59:59Z').pinned, {
    kind: 'date',
    date: new Date(Date.UTC(2024, 1, 29, 23, 59, 59)),
  });
  assert.deepEqual(loadLines('CVMFS_REPOSITORY_DATE=2024-01-02T03:04:05Z').pinned, {
    kind: 'date',
    date: new Date(Date.UTC(2024, 0, 2, 3, 4, 5)),
  });
});

test('how the tree is shown', () => {
  const map = '# ids\n137  1000\n\n* 0\n';
  const config = load({
    ...MINIMAL,
    '/u': map,
    '/etc/cvmfs/config.d/sw.example.org.conf':
      'CVMFS_CLAIM_OWNERSHIP=yes\nCVMFS_SUID=1\nCVMFS_CHECK_PERMISSIONS=TRUE\nCVMFS_KCACHE_TIMEOUT=-5\nCVMFS_UID_MAP=/u\n',
  });
  assert.deepEqual(config.view, {
    claimOwnership: true,
    suid: true,
    checkPermissions: true,
    kernelCacheSeconds: 0,
    uidMap: { entries: new Map([[137, 1000]]), others: 0 },
    gidMap: { entries: new Map(), others: null },
    magicXattrs: 'rootonly',
  });
  assert.equal(loadLines('CVMFS_HIDE_MAGIC_XATTRS=yes').view.magicXattrs, 'never');
  assert.equal(loadLines('CVMFS_HIDE_MAGIC_XATTRS=no').view.magicXattrs, 'always');
  const both = 'CVMFS_HIDE_MAGIC_XATTRS=yes\nCVMFS_MAGIC_XATTRS_VISIBILITY=ROOTONLY';
  assert.equal(loadLines(both).view.magicXattrs, 'rootonly');
});

test('a line of an owner map that is none is an error with its place', () => {
  for (const line of ['1', '1 2 3', 'a 1', '1 *', '1 -2', '1 4294967295', '1:2']) {
    assert.throws(
      () =>
        load({
          ...MINIMAL,
          '/u': `1 2\n${line}`,
          '/etc/cvmfs/config.d/sw.example.org.conf': 'CVMFS_GID_MAP=/u',
        }),
      { code: 'invalid_argument', message: /^\/u:2: / },
      line,
    );
  }
  assert.throws(() => loadLines('CVMFS_UID_MAP=/none'), {
    message: /:1: CVMFS_UID_MAP: the file \/none does not exist/,
  });
});

test('strict mounting is kept', () => {
  const strict = 'CVMFS_STRICT_MOUNT=yes\nCVMFS_DEFAULT_DOMAIN=example.org\nCVMFS_REPOSITORIES=';
  assert.equal(loadLines(`${strict}a.org,sw`).allowed, true);
  assert.equal(loadLines(`${strict}a.org,other`).allowed, false);
  assert.equal(loadLines(strict).allowed, false);
});

test('a value of the wrong kind is an error with its place and what is expected', () => {
  const cases: [string, RegExp][] = [
    ['CVMFS_TIMEOUT=fast', /CVMFS_TIMEOUT: "fast" is not a whole number/],
    ['CVMFS_MAX_RETRIES=-1', /CVMFS_MAX_RETRIES: "-1" is not a whole number, 0 or more/],
    ['CVMFS_QUOTA_LIMIT=4G', /CVMFS_QUOTA_LIMIT/],
    ['CVMFS_CLAIM_OWNERSHIP=maybe', /CVMFS_CLAIM_OWNERSHIP: "maybe" is not yes or no/],
    ['CVMFS_CACHE_BASE=cache', /CVMFS_CACHE_BASE: "cache" is not an absolute path/],
    ['CVMFS_ROOT_HASH=xyz', /CVMFS_ROOT_HASH/],
    ['CVMFS_REPOSITORY_DATE=yesterday', /CVMFS_REPOSITORY_DATE/],
    ['CVMFS_REPOSITORY_DATE=2022-02-30T00:00:00Z', /CVMFS_REPOSITORY_DATE.*a time in UTC/],
    ['CVMFS_REPOSITORY_DATE=2023-02-29T00:00:00Z', /CVMFS_REPOSITORY_DATE.*a time in UTC/],
    ['CVMFS_REPOSITORY_DATE=2022-02-28T24:00:00Z', /CVMFS_REPOSITORY_DATE.*a time in UTC/],
    ['CVMFS_MAGIC_XATTRS_VISIBILITY=sometimes', /one of rootonly, always, never/],
    ['CVMFS_TIMEOUT=$(date +%s)', /CVMFS_TIMEOUT: the value needs \$\(date \+%s\), and no shell is run/],
  ];
  for (const [line, message] of cases) {
    assert.throws(() => loadLines(`# first\n${line}`), { code: 'invalid_argument', message }, line);
    assert.throws(() => loadLines(`# first\n${line}`), {
      message: /^\/etc\/cvmfs\/config\.d\/sw\.example\.org\.conf:2: /,
    });
  }
});

test('an unknown value that is not needed, or replaced later, harms nobody', () => {
  const config = loadLines('CVMFS_TIMEOUT=$(x)\nCVMFS_TIMEOUT=3\nCVMFS_SYSLOG_LEVEL=$(x)');
  assert.equal(config.network.timeoutSeconds, 3);
  assert.equal(config.settings.find(({ name }) => name === 'CVMFS_SYSLOG_LEVEL')?.value, '(unknown: $(x))');
});

test('every setting is listed with its place, and whether it is used', () => {
  const { settings } = loadLines('CVMFS_NFILES=5\nCVMFS_TIMEOUT=6\nOTHER=x');
  assert.deepEqual(settings, [
    { name: 'CVMFS_HTTP_PROXY', value: 'DIRECT', from: '/etc/cvmfs/default.local:1', used: true },
    { name: 'CVMFS_NFILES', value: '5', from: '/etc/cvmfs/config.d/sw.example.org.conf:1', used: false },
    {
      name: 'CVMFS_SERVER_URL',
      value: 'http://s/cvmfs/sw.example.org',
      from: '/etc/cvmfs/default.local:2',
      used: true,
    },
    { name: 'CVMFS_TIMEOUT', value: '6', from: '/etc/cvmfs/config.d/sw.example.org.conf:2', used: true },
    { name: 'OTHER', value: 'x', from: '/etc/cvmfs/config.d/sw.example.org.conf:3', used: true },
  ]);
});

test('links may name what the files set', () => {
  const lines = 'OS=el9\nexport SITE=x\nSECRET=$(x)\n__proto__=p\nexport HOME';
  const { variables } = load(
    { ...MINIMAL, '/etc/cvmfs/config.d/sw.example.org.conf': lines },
    'sw.example.org',
    { HOME: '/root', TOKEN: 't' },
  );
  assert.deepEqual(
    ['OS', 'SITE', 'SECRET', '__proto__', 'HOME', 'TOKEN', 'CVMFS_FQRN'].map((name) =>
      Object.hasOwn(variables, name) ? variables[name] : null,
    ),
    ['el9', 'x', null, 'p', '/root', null, 'sw.example.org'],
  );
});
