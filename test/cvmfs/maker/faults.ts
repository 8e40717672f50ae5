/** Deliberate faults in a published repository: what servers, disks, proxies and attackers may do to it. */

import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { newCertificate, newKey } from './keys.js';
import type { RepositoryMaker } from './repository-maker.js';

/** All of them make the repository one that a client has to refuse when it mounts. */
export const REFUSED: Readonly<Record<string, (maker: RepositoryMaker) => void>> = {
  'the manifest was changed': (maker) =>
    edit(maker, '.cvmfspublished', (text) => text.replace(/^S\d+/m, 'S99')),
  'the signature of the manifest is damaged': (maker) =>
    damage(join(maker.directory, '.cvmfspublished'), 'flip-last'),
  'the manifest is not signed': (maker) =>
    edit(maker, '.cvmfspublished', (text) => text.replace(/--\n[^]*/, '')),
  'the manifest is of another repository': (maker) => maker.writeManifest({ N: 'other.example.org' }),
  'the manifest names another root path': (maker) => maker.writeManifest({ R: '0'.repeat(32) }),
  'the manifest has no certificate': (maker) => maker.writeManifest({ X: undefined }),
  'the manifest has no root catalog': (maker) => maker.writeManifest({ C: undefined }),
  'the certificate is not on the whitelist': (maker) => {
    const stranger = newCertificate(maker.fqrn);
    maker.writeManifest({ X: maker.storeCertificate(stranger.pem) }, stranger);
  },
  'the manifest is signed by another key than its certificate': (maker) =>
    maker.writeManifest({}, newCertificate(maker.fqrn)),
  'the certificate is missing': (maker) => damage(certificateFile(maker), 'delete'),
  'the certificate is damaged': (maker) => damage(certificateFile(maker), 'flip'),
  'the whitelist has expired': (maker) => maker.writeWhitelist({ expires: new Date('2024-01-01T00:00:00Z') }),
  'the whitelist is signed by another master key': (maker) => maker.writeWhitelist({ master: newKey() }),
  'the whitelist is of another repository': (maker) => maker.writeWhitelist({ fqrn: 'other.example.org' }),
  'the whitelist is empty': (maker) => maker.writeWhitelist({ fingerprints: [] }),
  'the whitelist was changed': (maker) =>
    edit(maker, '.cvmfswhitelist', (text) => text.replace(/^E\d{4}/m, 'E2097')),
  'the root catalog is missing': (maker) => damage(rootCatalogFile(maker), 'delete'),
  'the root catalog is damaged': (maker) => damage(rootCatalogFile(maker), 'flip'),
  'the root catalog is cut off': (maker) => damage(rootCatalogFile(maker), 'truncate'),
};

export type Damage = 'flip' | 'flip-last' | 'truncate' | 'append' | 'delete';

export function damage(file: string, how: Damage): void {
  if (how === 'delete') return rmSync(file);
  writeFileSync(file, damaged(readFileSync(file), how));
}

function damaged(content: Buffer, how: Exclude<Damage, 'delete'>): Buffer {
  if (how === 'append') return Buffer.concat([content, Buffer.from('more')]);
  if (how === 'truncate') return content.subarray(0, content.length >> 1);
  const at = how === 'flip' ? content.length >> 1 : content.length - 1;
  content[at] = (content[at] ?? 0) ^ 1;
  return content;
}

function certificateFile(maker: RepositoryMaker): string {
  return maker.objects.pathOf(maker.manifest['X'] ?? '', 'X');
}

function rootCatalogFile(maker: RepositoryMaker): string {
  return maker.objects.pathOf(maker.manifest['C'] ?? '', 'C');
}

function edit(maker: RepositoryMaker, name: string, change: (text: string) => string): void {
  const before = readFileSync(join(maker.directory, name), 'latin1');
  const after = change(before);
  if (after === before) throw new Error(`${name} has nothing to change`);
  maker.write(name, Buffer.from(after, 'latin1'));
}
