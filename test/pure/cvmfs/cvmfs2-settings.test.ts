import assert from 'node:assert/strict';
import { test } from 'node:test';

import { isOn, ownerMap, parseSettings, talkSocketOf } from '../../../src/cvmfs/cvmfs2-settings.js';

/** As cvmfs2 prints it, with its own way of quoting. */
const OUTPUT = `# CernVM-FS parameters:
CVMFS_CACHE_BASE=/var/lib/cvmfs    # from /etc/cvmfs/default.conf
CVMFS_CLAIM_OWNERSHIP=yes    # from /etc/cvmfs/default.conf
CVMFS_SERVER_URL='http://a/cvmfs/@fqrn@;http://b/it\\'s'    # from /etc/cvmfs/config.d/a.example.org.conf
`;

test('what cvmfs2 prints is read, quotes and all', () => {
  const settings = parseSettings(OUTPUT);
  assert.deepEqual(Object.fromEntries(settings), {
    CVMFS_CACHE_BASE: '/var/lib/cvmfs',
    CVMFS_CLAIM_OWNERSHIP: 'yes',
    CVMFS_SERVER_URL: "http://a/cvmfs/@fqrn@;http://b/it's",
  });
  assert.ok(isOn(settings, 'CVMFS_CLAIM_OWNERSHIP'));
  assert.ok(!isOn(settings, 'CVMFS_SHARED_CACHE'));
});

test('the talk socket is in the workspace, wherever that is', () => {
  const socket = (...settings: [string, string][]) => talkSocketOf(new Map(settings), 'a.example.org');
  assert.equal(socket(), '/var/lib/cvmfs/a.example.org/cvmfs_io.a.example.org');
  assert.equal(
    socket(['CVMFS_CACHE_BASE', '/c'], ['CVMFS_SHARED_CACHE', 'yes']),
    '/c/shared/cvmfs_io.a.example.org',
  );
  assert.equal(socket(['CVMFS_WORKSPACE', '/w'], ['CVMFS_TALK_SOCKET', './talk']), '/w/talk');
  assert.equal(socket(['CVMFS_CACHE_DIR', '/d'], ['CVMFS_TALK_SOCKET', '/t']), '/t');
});

test('ids of containers are a line each, and all are root where ownership is claimed', () => {
  const maps = [
    { containerId: 0, hostId: 100, size: 2 },
    { containerId: 5, hostId: 200, size: 1 },
  ];
  assert.equal(ownerMap(maps, false), '0 100\n1 101\n5 200\n* 65534\n');
  assert.equal(ownerMap(maps, true), '* 100\n');
  assert.equal(ownerMap([], true), '* 0\n');
  assert.equal(ownerMap([], false), '');
  const huge = ownerMap([{ containerId: 0, hostId: 0, size: 2 ** 32 }], false);
  assert.equal(huge.split('\n').length, 2 ** 20 + 2);
});
