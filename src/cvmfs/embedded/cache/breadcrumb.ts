/**
 * `cvmfschecksum.<fqrn>`: the newest revision of a repository that was verified here, as CERN's client writes it
 * (`<hash>T<timestamp>R<revision>`). An older one is not taken from a server afterwards, and when no server answers, a
 * mount begins with this one.
 */

import { randomBytes } from 'node:crypto';
import { open, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';

import { isErrno } from '../../../core/errno.js';
import { hashText, readHash } from '../object-id.js';
import type { ObjectId } from '../object-id.js';
import { cacheError } from './cache-error.js';
import { transactionsPath } from './layout.js';

export interface Breadcrumb {
  readonly root: ObjectId;
  /** Unix seconds. */
  readonly published: number;
  readonly revision: number;
}

/** Null if there is none, or none that can be read: then the repository is as good as new here. */
export async function readBreadcrumb(directory: string, fqrn: string): Promise<Breadcrumb | null> {
  const path = breadcrumbPath(directory, fqrn);
  try {
    return parseBreadcrumb(await readFile(path, 'latin1'));
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return null;
    throw cacheError(error, 'read', path);
  }
}

export function parseBreadcrumb(text: string): Breadcrumb | null {
  const match = /^([0-9a-z-]{40,49})T(\d{1,15})R(\d{1,15})\n?$/.exec(text);
  const root = match && readHash(match[1] ?? '', 'C');
  return root ? { root, published: Number(match[2]), revision: Number(match[3]) } : null;
}

/** Synced: a forgotten one would let a server go back. Never replaces one of a later revision. */
export async function writeBreadcrumb(
  directory: string,
  fqrn: string,
  breadcrumb: Breadcrumb,
): Promise<void> {
  const path = breadcrumbPath(directory, fqrn);
  const before = await readBreadcrumb(directory, fqrn);
  if (before && before.revision > breadcrumb.revision) return;
  const { root, published, revision } = breadcrumb;
  const draft = join(transactionsPath(directory), `${fqrn}.${randomBytes(8).toString('hex')}`);
  try {
    await writeSynced(draft, `${hashText(root)}T${published}R${revision}`);
    await rename(draft, path);
  } catch (error) {
    await rm(draft, { force: true });
    throw cacheError(error, 'write', path);
  }
}

function breadcrumbPath(directory: string, fqrn: string): string {
  return join(directory, `cvmfschecksum.${fqrn}`);
}

async function writeSynced(path: string, text: string): Promise<void> {
  const file = await open(path, 'wx', 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
}
