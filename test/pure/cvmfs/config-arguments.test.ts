import assert from 'node:assert/strict';
import { test } from 'node:test';

import { parseMountArguments } from '../../../src/cvmfs/embedded/config/mount-arguments.js';
import type { MountArguments } from '../../../src/cvmfs/embedded/config/mount-arguments.js';

function parse(...args: string[]): MountArguments {
  const command = parseMountArguments(args, '/here');
  assert.equal(command.kind, 'mount');
  return command.kind === 'mount' ? command.arguments : assert.fail();
}

test('a repository and a mountpoint are enough', () => {
  assert.deepEqual(parse('a.example.org', '/mnt'), {
    repository: 'a.example.org',
    mountpoint: '/mnt',
    configDirectory: '/etc/cvmfs',
    control: null,
    namespace: { uids: [], gids: [] },
    reportTo: null,
    configFiles: null,
    layers: false,
    suid: null,
    uid: null,
    gid: null,
    grabMountpoint: false,
    nonEmpty: false,
    parseOnly: false,
    debug: false,
    mountOptions: [],
  });
});

test('the user name space of owners is told in ranges', () => {
  const ranges = ['--map-uids', '0:100000:65536,65536:7:1', '--map-gids', '0:5:4294967291'];
  assert.deepEqual(parse('a.example.org', '/mnt', ...ranges).namespace, {
    uids: [
      { containerId: 0, hostId: 100_000, size: 65_536 },
      { containerId: 65_536, hostId: 7, size: 1 },
    ],
    gids: [{ containerId: 0, hostId: 5, size: 4_294_967_291 }],
  });
  for (const bad of ['0:1', '0:1:0', '0:6:4294967291', 'a:1:1', '0:1:1:1', '-1:1:1']) {
    assert.throws(() => parse('a.example.org', '/mnt', `--map-uids=${bad}`), {
      code: 'invalid_argument',
      message: /INSIDE:OUTSIDE:SIZE/,
    });
  }
});

test('options stand anywhere, one by one or with commas', () => {
  const parsed = parse(
    ...[
      '-o',
      'layers,cvmfs_suid,,uid=5,gid=6',
      'a.example.org',
      '-o',
      'config=/a.conf:/b.conf',
      'mnt',
      '-fd',
    ],
    ...['--config-dir', 'etc', '-oallow_root,noexec,fsname=x=y', '-o', 'grab_mountpoint,nonempty,uid=7'],
  );
  assert.deepEqual(parsed, {
    repository: 'a.example.org',
    mountpoint: '/here/mnt',
    configDirectory: '/here/etc',
    control: null,
    namespace: { uids: [], gids: [] },
    reportTo: null,
    configFiles: ['/a.conf', '/b.conf'],
    layers: true,
    suid: true,
    uid: 7,
    gid: 6,
    grabMountpoint: true,
    nonEmpty: true,
    parseOnly: false,
    debug: true,
    mountOptions: ['allow_root', 'noexec'],
  });
});

test('what mount and cvmfs2 know, and what means nothing here, has no effect', () => {
  const ignored =
    'system_mount,disable_watchdog,simple_options_parsing,foreground,fuse_debug,libfuse=3,libdir=/x,_netdev,user,nouser,users,auto,noauto,defaults';
  assert.deepEqual(parse('a.b', '/m', '-s', '-o', ignored), parse('a.b', '/m'));
  const held = 'ro,nodev,allow_other,default_permissions,fsname=cvmfs2,subtype=x';
  assert.deepEqual(parse('a.b', '/m', '-o', held), parse('a.b', '/m'));
});

test('whether setuid bits count is said by the last word about it, else by the configuration', () => {
  const suid = (options: string) => parse('a.b', '/m', '-o', options).suid;
  assert.deepEqual(['ro', 'cvmfs_suid', 'nosuid', 'cvmfs_suid,nosuid', 'nosuid,cvmfs_suid'].map(suid), [
    ...[null, true, false, false, true],
  ]);
});

test('the configuration can be printed, and help and version asked for alone', () => {
  assert.equal(parse('a.b', '/m', '-k').parseOnly, true);
  assert.equal(parse('a.b', '/m', '-o', 'parse').parseOnly, true);
  assert.deepEqual(parseMountArguments(['--help'], '/'), { kind: 'help' });
  assert.deepEqual(parseMountArguments(['-V'], '/'), { kind: 'version' });
});

test('what is not known is refused', () => {
  const bad: [string[], RegExp][] = [
    [[], /repository and a mountpoint/],
    [['a.b'], /repository and a mountpoint/],
    [['a.b', '/m', '/n'], /repository and a mountpoint/],
    [['a/b', '/m'], /no name of a CVMFS repository/],
    [['a.b', ''], /path is empty/],
    [['a.b', '/m', '-o', 'colour'], /"colour" is not known/],
    [['a.b', '/m', '-o', 'rw'], /option rw cannot be given: .*read-only/],
    [['a.b', '/m', '-o', 'dev'], /option dev cannot be given: device files/],
    [['a.b', '/m', '-o', 'suid'], /option suid cannot be given: .*cvmfs_suid/],
    [['a.b', '/m', '-o', 'max_read=4096'], /option max_read=4096 cannot be given: .*kernel/],
    [['a.b', '/m', '-o', 'layers=1'], /"layers=1" is not known/],
    [['a.b', '/m', '-o', 'fsname='], /"fsname=" is not known/],
    [['a.b', '/m', '-o', 'ro=1'], /"ro=1" is not known/],
    [['a.b', '/m', '-o', '__proto__'], /is not known/],
    [['a.b', '/m', '-o', 'uid=root'], /uid=root is not a numeric id/],
    [['a.b', '/m', '-o', 'gid=4294967295'], /not a numeric id/],
    [['a.b', '/m', '-o', 'config=a.conf'], /not a list of absolute paths/],
    [['a.b', '/m', '--colour'], /--colour/],
    [['a.b', '/m', '-o'], /-o/],
  ];
  for (const [args, message] of bad) {
    assert.throws(
      () => parseMountArguments(args, '/'),
      { code: 'invalid_argument', message },
      args.join(' '),
    );
  }
});
