/** Files as CERN's packages have them, shortened: the constructs are theirs. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { filesOf, KEY, load } from './config-directory.js';
import { loadConfig } from '../../../src/cvmfs/embedded/config/load.js';

const DEFAULT_CONF = `# Don't edit here.  Create /etc/cvmfs/default.local.
CVMFS_CLIENT_PROFILE=

# Local cache directory
CVMFS_CACHE_BASE=/var/lib/cvmfs
CVMFS_QUOTA_LIMIT=4000
CVMFS_TIMEOUT=5
CVMFS_TIMEOUT_DIRECT=10
CVMFS_STRICT_MOUNT=no
CVMFS_NFILES=131072
CVMFS_SHARED_CACHE=yes
CVMFS_CHECK_PERMISSIONS=yes
CVMFS_CLAIM_OWNERSHIP=yes
CVMFS_KEYS_DIR=/etc/cvmfs/keys
# CVMFS_SYSLOG_FACILITY=
CVMFS_PROXY_RESET_AFTER=300
CVMFS_HOST_RESET_AFTER=1800
CVMFS_USE_GEOAPI=no

if [ "x$CVMFS_BASE_ENV" = "x" ]; then
  readonly CVMFS_USER=cvmfs
  readonly CVMFS_MOUNT_DIR=/cvmfs
  readonly CVMFS_RELOAD_SOCKETS=/var/run/cvmfs
  readonly CVMFS_BASE_ENV=1
fi
`;

const DISTRIBUTION_CONF = `CVMFS_CONFIG_REPO_DEFAULT_ENV=
# Content of /etc/debian_version for Ubuntu distro
if [ -f /etc/debian_version ] && grep -q "wheezy\\|jessie" /etc/debian_version;
then
    :
else
    CVMFS_CONFIG_REPOSITORY=cvmfs-config.cern.ch
fi
CVMFS_DEFAULT_DOMAIN=cern.ch
`;

const DOMAIN_CONF = `if [ "$CVMFS_CONFIG_REPO_DEFAULT_ENV" = "" ]; then
  # Stratum 1 servers for the cern.ch domain.
  if [ "$CVMFS_USE_CDN" = "yes" ]; then
    CVMFS_SERVER_URL="http://cdn.example.net/cvmfs/@fqrn@"
  else
    CVMFS_SERVER_URL="http://one.example.net/cvmfs/@fqrn@;http://two.example.net/cvmfs/@fqrn@"
  fi

  # Key chain with public signing keys for repositories in the cern.ch domain
  CVMFS_KEYS_DIR=/etc/cvmfs/keys/cern.ch
  CVMFS_USE_GEOAPI=yes
fi
`;

/** As in the configuration repository, copied into the directory by the administrator. */
const COMMON_CONF = `if [ "$CVMFS_CLIENT_PROFILE" = "single" ]; then
  if [ "$CVMFS_HTTP_PROXY" = "" ]; then
    CVMFS_HTTP_PROXY="auto;DIRECT"
  fi
fi

if [ -z "$CVMFS_USE_CDN" ]; then
  if [ "$CVMFS_HTTP_PROXY" = "DIRECT" ] || [ "$CVMFS_HTTP_PROXY" = "auto;DIRECT" ]; then
    CVMFS_USE_CDN=yes
  fi
fi

if [ "$CVMFS_USE_CDN" != "yes" ] && [ "$CVMFS_CLIENT_PROFILE" != "custom" ]; then
  CVMFS_FALLBACK_PROXY="http://fallback.example.net:3126;http://fallback.example.com:3126"
fi
`;

const SOURCING_DOMAIN_CONF = `CVMFS_USE_CDN="$CVMFS_USE_CDN"
CVMFS_HTTP_PROXY="$CVMFS_HTTP_PROXY"
CVMFS_FALLBACK_PROXY="$CVMFS_FALLBACK_PROXY"
. ../common.conf
if [ "$CVMFS_USE_CDN" = "yes" ]; then
    CVMFS_SERVER_URL="http://cdn.example.net/cvmfs/@fqrn@"
    CVMFS_SERVER_URL="$CVMFS_SERVER_URL;http://cdn.example.com:8080/cvmfs/@fqrn@"
else
    CVMFS_SERVER_URL="http://one.example.net:8000/cvmfs/@org@.example.org"
fi
`;

const PACKAGED = {
  '/etc/debian_version': '12.5\n',
  '/etc/cvmfs/default.conf': DEFAULT_CONF,
  '/etc/cvmfs/default.d/50-cern-debian.conf': DISTRIBUTION_CONF,
  '/etc/cvmfs/default.d/README': 'not read',
  '/etc/cvmfs/domain.d/cern.ch.conf': DOMAIN_CONF,
  '/etc/cvmfs/config.d/grid.cern.ch.conf': 'export GLITE_VERSION=${GLITE_VERSION:=default}\n',
  '/etc/cvmfs/keys/cern.ch/cern-it1.cern.ch.pub': KEY,
  '/etc/cvmfs/keys/cern.ch/cern-it4.cern.ch.pub': KEY,
  '/etc/cvmfs/keys/egi.eu/egi.eu.pub': KEY,
  '/etc/cvmfs/default.local': 'CVMFS_HTTP_PROXY="http://squid.example.net:3128"\n',
};

test('the packaged files configure a repository', () => {
  const config = load(PACKAGED, 'grid');
  assert.equal(config.fqrn, 'grid.cern.ch');
  assert.deepEqual(config.servers, [
    'http://one.example.net/cvmfs/grid.cern.ch',
    'http://two.example.net/cvmfs/grid.cern.ch',
  ]);
  assert.deepEqual(config.proxies, { groups: [['http://squid.example.net:3128']], fallback: [] });
  assert.deepEqual(
    config.publicKeys.map(({ path }) => path),
    ['/etc/cvmfs/keys/cern.ch/cern-it1.cern.ch.pub', '/etc/cvmfs/keys/cern.ch/cern-it4.cern.ch.pub'],
  );
  assert.deepEqual(config.cache, {
    directory: '/var/lib/cvmfs/thinlayer/shared',
    quotaBytes: 4000 * 1024 ** 2,
  });
  assert.equal(config.network.timeoutDirectSeconds, 10);
  assert.equal(config.network.hostResetSeconds, 1800);
  assert.equal(config.view.claimOwnership, true);
  assert.equal(config.variables['GLITE_VERSION'], 'default');
  assert.equal(config.variables['CVMFS_MOUNT_DIR'], '/cvmfs');
});

test('what is ignored of them is listed', () => {
  const { settings, notes } = load(PACKAGED, 'grid');
  assert.deepEqual(
    settings.filter(({ used }) => !used).map(({ name }) => name),
    [
      'CVMFS_BASE_ENV',
      'CVMFS_CONFIG_REPOSITORY',
      'CVMFS_CONFIG_REPO_DEFAULT_ENV',
      'CVMFS_MOUNT_DIR',
      'CVMFS_NFILES',
      'CVMFS_RELOAD_SOCKETS',
      'CVMFS_USER',
      'CVMFS_USE_GEOAPI',
    ],
  );
  assert.deepEqual(
    notes.map(({ position, message }) => `${position.file}:${position.line} ${message}`),
    ['/etc/cvmfs/default.d/50-cern-debian.conf:3 "grep" is not run: no shell is used. It counts as failed'],
  );
});

test('the content delivery network is chosen by its switch', () => {
  const local = 'CVMFS_HTTP_PROXY=DIRECT\nCVMFS_USE_CDN=yes\n';
  const config = load({ ...PACKAGED, '/etc/cvmfs/default.local': local }, 'grid.cern.ch');
  assert.deepEqual(config.servers, ['http://cdn.example.net/cvmfs/grid.cern.ch']);
});

test('files of the configuration repository work where they were copied', () => {
  const copied = {
    ...PACKAGED,
    '/etc/cvmfs/common.conf': COMMON_CONF,
    '/etc/cvmfs/domain.d/example.org.conf': SOURCING_DOMAIN_CONF,
    '/etc/cvmfs/keys/example.org/example.org.pub': KEY,
  };
  const behindProxy = load(copied, 'sw.example.org');
  assert.deepEqual(behindProxy.servers, ['http://one.example.net:8000/cvmfs/sw.example.org']);
  assert.deepEqual(behindProxy.proxies.fallback, [
    ['http://fallback.example.net:3126'],
    ['http://fallback.example.com:3126'],
  ]);
  const direct = load({ ...copied, '/etc/cvmfs/default.local': 'CVMFS_HTTP_PROXY=DIRECT' }, 'sw.example.org');
  assert.deepEqual(direct.servers, [
    'http://cdn.example.net/cvmfs/sw.example.org',
    'http://cdn.example.com:8080/cvmfs/sw.example.org',
  ]);
  assert.deepEqual(direct.proxies, { groups: [['DIRECT']], fallback: [] });
  assert.throws(
    () => load({ ...copied, '/etc/cvmfs/default.local': 'CVMFS_CLIENT_PROFILE=single' }, 'sw.example.org'),
    { code: 'unimplemented', message: /common\.conf:3: CVMFS_HTTP_PROXY: .*not supported/ },
  );
});

test('another directory stands in for /etc/cvmfs', () => {
  const files = filesOf({
    '/opt/c/default.local': 'CVMFS_HTTP_PROXY=DIRECT',
    '/opt/c/domain.d/cern.ch.conf': 'CVMFS_SERVER_URL=http://a/@fqrn@',
    '/opt/c/keys/cern.ch.pub': KEY,
  });
  const question = { repository: 'grid.cern.ch', directory: '/opt/c', only: null, environment: {} };
  const config = loadConfig(question, files);
  assert.deepEqual(config.publicKeys, [{ path: '/opt/c/keys/cern.ch.pub', pem: KEY }]);
  assert.deepEqual(config.blacklists, ['/opt/c/blacklist']);
});
