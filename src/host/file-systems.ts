/** Names of file systems, as Docker's own driver shows them (moby, daemon/graphdriver/driver_linux.go). */

const NAMES: Readonly<Record<number, string>> = {
  0x61756673: 'aufs',
  0x9123683e: 'btrfs',
  0x28cd3d45: 'cramfs',
  0xf15f: 'ecryptfs',
  0xef53: 'extfs',
  0xf2f52010: 'f2fs',
  0x65735546: 'fuse',
  0x47504653: 'gpfs',
  0x3153464a: 'jfs',
  0x6969: 'nfs',
  0x794c7630: 'overlayfs',
  0x858458f6: 'ramfs',
  0x52654973: 'reiserfs',
  0xff534d42: 'cifs',
  0x517b: 'smb',
  0x73717368: 'squashfs',
  0x1021994: 'tmpfs',
  0xe0f5e1e2: 'erofs',
  0xca451a4e: 'bcachefs',
  0x565a4653: 'vxfs',
  0x58465342: 'xfs',
  0x2fc12fc1: 'zfs',
};

/** `magic` is statfs' f_type; `<unknown>` for one that has no name. */
export function fileSystemName(magic: number): string {
  return NAMES[magic >>> 0] ?? '<unknown>';
}
