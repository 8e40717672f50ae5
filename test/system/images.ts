/** Trees that tests use as images, and how they become one. */

import { spawn } from 'node:child_process';
import { chmod, copyFile, link, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Lab } from './lab.js';

const APPLETS =
  'sh ls cat cp mv rm rmdir mkdir ln chmod chown touch stat find grep sed sort head tail wc echo printf test true false ' +
  'sleep id env mount umount df du dd tar sha256sum md5sum mknod readlink sync kill ps uname hostname seq xargs od';

/** Debian's static busybox with hard-linked applets, /etc/passwd, /tmp and /data. */
export async function makeBusyboxTree(root: string): Promise<void> {
  for (const name of ['bin', 'etc', 'proc', 'sys', 'dev', 'root', 'data']) {
    await mkdir(join(root, name), { recursive: true });
  }
  await mkdir(join(root, 'tmp'));
  await chmod(join(root, 'tmp'), 0o1777);
  await copyFile('/bin/busybox', join(root, 'bin/busybox'));
  for (const applet of APPLETS.split(' ')) await link(join(root, 'bin/busybox'), join(root, 'bin', applet));
  await writeFile(
    join(root, 'etc/passwd'),
    'root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000:user:/data:/bin/sh\n',
  );
  await writeFile(join(root, 'etc/group'), 'root:x:0:\nuser:x:1000:\n');
  for (const name of ['one', 'two', 'three']) await writeFile(join(root, 'data', name), `${name}\n`);
}

/** Imports a directory as an image of one layer. */
export async function importTree(lab: Lab, name: string, tree: string): Promise<void> {
  const pack = ['--numeric-owner', '--xattrs', '--xattrs-include=*', '-C', tree, '-c', '.'];
  const tar = spawn('tar', pack, { stdio: ['ignore', 'pipe', 'inherit'] });
  await lab.dockerWith({ input: tar.stdout }, 'import', '-', name);
}

/** The image `busybox` that most tests run. */
export async function importBusybox(lab: Lab): Promise<void> {
  const tree = lab.path('busybox-tree');
  await makeBusyboxTree(tree);
  await importTree(lab, 'busybox', tree);
}
