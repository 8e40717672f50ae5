/**
 * Layers that do to each other all that layers can: hide, replace by another type, bring back, change metadata alone.
 * Names tell what happens to a file on its way up.
 */

import type { Entry } from '../daemon/archives.js';

export interface Layer {
  readonly id: string;
  readonly parent: string;
  readonly entries: readonly Entry[];
}

const file = (name: string, contents: string, more: Partial<Entry> = {}): Entry => ({
  name,
  contents,
  ...more,
});
const directory = (name: string, mode = 0o755): Entry => ({ name: `${name}/`, mode });
const symlink = (name: string, linkname: string): Entry => ({ name, type: 'symlink', linkname });
const hardLink = (name: string, linkname: string): Entry => ({ name, type: 'link', linkname });
const device = (name: string, devminor: number): Entry => ({
  name,
  type: 'character-device',
  devmajor: 1,
  devminor,
});
const gone = (name: string): Entry => file(name.replace(/[^/]*$/, '.wh.$&'), '');
const opaque = (name: string): Entry => file(`${name}/.wh..wh..opq`, '');

const BASE: readonly Entry[] = [
  file('same', 'same'),
  file('mode', 'mode', { mode: 0o644 }),
  file('owner', 'owner'),
  file('gone', 'gone'),
  file('file-to-directory', 'x'),
  directory('directory-to-file'),
  file('directory-to-file/inner', 'inner'),
  directory('directory-to-file/deep'),
  file('directory-to-file/deep/inner', 'inner'),
  directory('opaque'),
  file('opaque/old', 'old'),
  file('opaque/kept', 'kept'),
  directory('opaque/below'),
  file('opaque/below/old', 'old'),
  directory('directory-mode'),
  file('directory-mode/inner', 'inner'),
  directory('directory-gone'),
  file('directory-gone/inner', 'inner'),
  symlink('symlink', 'same'),
  symlink('symlink-to-file', 'same'),
  symlink('symlink-to-directory', 'opaque'),
  file('link1', 'linked'),
  hardLink('link2', 'link1'),
  { name: 'fifo', type: 'fifo' },
  device('device', 3),
];

const MIDDLE: readonly Entry[] = [
  file('mode', 'mode', { mode: 0o600 }),
  file('owner', 'owner', { uid: 5, gid: 6 }),
  gone('gone'),
  directory('file-to-directory'),
  file('file-to-directory/inner', 'x'),
  file('directory-to-file', 'now a file'),
  directory('opaque'),
  opaque('opaque'),
  file('opaque/kept', 'kept'),
  file('opaque/new', 'new'),
  directory('directory-mode', 0o700),
  gone('directory-gone'),
  file('symlink-to-file', 'file'),
  directory('symlink-to-directory'),
  file('symlink-to-directory/inner', 'x'),
  gone('link2'),
  gone('never-was'),
  device('device', 5),
];

const TOP: readonly Entry[] = [
  file('gone', 'back again'),
  directory('directory-gone'),
  file('directory-gone/other', 'other'),
  file('file-to-directory', 'a file again'),
  directory('directory-to-file'),
  file('directory-to-file/fresh', 'fresh'),
  directory('opaque'),
  gone('opaque/new'),
  directory('opaque/below'),
  file('opaque/below/fresh', 'fresh'),
  symlink('symlink', 'mode'),
  file('fifo', 'file'),
];

/** No relative of the others. */
const STRANGER: readonly Entry[] = [
  file('same', 'SAME'),
  directory('only-here'),
  file('only-here/inner', 'inner'),
];

export const IMAGES: readonly Layer[] = [
  { id: 'base', parent: '', entries: BASE },
  { id: 'middle', parent: 'base', entries: MIDDLE },
  { id: 'top', parent: 'middle', entries: TOP },
  { id: 'stranger', parent: '', entries: STRANGER },
];

/** What a container on `top` does, as a shell script; files have the same times wherever it runs. */
export const CONTAINER_ON_TOP = `
rm -r opaque directory-mode
mkdir opaque; echo -n fresh > opaque/fresh; touch -d @1100000000 opaque/fresh
mv same moved
chmod 600 owner
chown 7:8 symlink-to-file
rm device; mkdir device; echo -n x > device/x; touch -d @1100000000 device/x
echo -n MODE > mode; touch -d @1100000000 mode
ln gone gone-link
rm fifo; mkfifo new-fifo
ln -sfn nowhere symlink
rm directory-gone/other
chmod 711 directory-to-file
touch -d @1100000000.5 link1
rm file-to-directory; echo -n 'a file again' > file-to-directory; touch -d @1000000000 file-to-directory
setfattr -n security.capability -v 0x0100000200200000000000000000000000000000 directory-to-file/fresh
`;
