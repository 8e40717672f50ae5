/** From a server's answer to a root catalog that can be trusted, in the cache. */

import type { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';

import { fromErrno } from '../../core/errno.js';
import { checkCertificate, checkManifestSignature, checkRevision } from './trust.js';
import { MAX_CERTIFICATE_BYTES, openManifest, openWhitelist, parseCertificate } from './trust.js';
import type { MasterKey } from './trust.js';
import type { Blacklist } from './blacklist.js';
import type { Breadcrumb } from './cache/breadcrumb.js';
import type { Clock } from './clock.js';
import type { Fetcher } from './fetch/fetcher.js';
import { collect } from './fetch/receive.js';
import type { Letter } from './letter.js';
import { MAX_MANIFEST_BYTES } from './manifest.js';
import type { Manifest } from './manifest.js';
import { objectPath } from './object-id.js';
import type { ObjectId } from './object-id.js';
import type { Objects } from './objects.js';
import { refusal } from './refusal.js';
import { MAX_WHITELIST_BYTES } from './whitelist.js';
import type { Whitelist } from './whitelist.js';

export interface Trusted {
  readonly manifest: Manifest;
  /** As the whitelist has it. */
  readonly certificateFingerprint: string;
  readonly whitelistExpires: Date;
}

export interface LoadContext {
  readonly fqrn: string;
  readonly keys: readonly MasterKey[];
  /** As it is now: who adds to it expects that of clients which have run for months. */
  readonly blacklist: () => Blacklist;
  readonly fetcher: Fetcher;
  readonly objects: Objects;
  readonly clock: Clock;
  readonly signal?: AbortSignal | undefined;
}

/** Of a root catalog whose size the manifest does not tell. */
const MAX_CATALOG_BYTES = 1024 ** 3;

/**
 * `known`: the newest revision seen; an older one is refused. `inUse`: the root catalog that is being served; a manifest
 * that names the same changes nothing, and is `null`, whoever signed it: so an expired whitelist disturbs nobody until
 * there is something new. A server whose chain is broken anywhere is left for the next one, as long as there is one.
 */
export async function loadTrusted(
  context: LoadContext,
  known: Breadcrumb | null,
  inUse: ObjectId | null,
): Promise<Trusted | null> {
  const { fqrn, fetcher, signal } = context;
  return await fetcher.get({
    path: '.cvmfspublished',
    subject: `manifest of ${fqrn}, or what it names,`,
    bound: MAX_MANIFEST_BYTES,
    signal,
    receive: async (body) => openManifest(await collect(body), fqrn),
    accept: async ({ letter, manifest }) => {
      const blacklist = context.blacklist();
      // Also of the one in use: who bars it is told that it is shown still.
      checkRevision(manifest.revision, blacklist, fqrn);
      if (inUse && objectPath(inUse) === objectPath(manifest.root)) return null;
      if (known) checkNotOlder(manifest, known);
      const trusted = await verify(context, letter, manifest, blacklist);
      await fetchRoot(context, manifest);
      return trusted;
    },
  });
}

function checkNotOlder({ fqrn, revision, published, root }: Manifest, known: Breadcrumb): void {
  const older = revision < known.revision || published < known.published;
  const other = revision === known.revision && objectPath(root) !== objectPath(known.root);
  if (!older && !other) return;
  const seen = `revision ${known.revision}, published ${date(known.published)}, was seen here before`;
  const what = older ? 'is outdated' : 'is another one of the same number';
  throw refusal(
    `manifest of ${fqrn}, revision ${revision}, published ${date(published)}, ${what}: ${seen}; the server may lag behind`,
  );
}

function date(seconds: number): string {
  // Larger numbers than a Date holds may be in a manifest.
  return new Date(Math.min(seconds * 1000, 8.64e15)).toISOString();
}

/** Certificate and whitelist come at the same time, and are believed one after the other. */
async function verify(
  context: LoadContext,
  letter: Letter,
  manifest: Manifest,
  blacklist: Blacklist,
): Promise<Trusted> {
  const { fqrn } = context;
  const [read, listed] = [readCertificate(context, manifest), fetchWhitelist(context)] as const;
  await Promise.allSettled([read, listed]);
  const certificate = await read;
  checkManifestSignature(letter, certificate, fqrn);
  const whitelist = await listed;
  const certificateFingerprint = checkCertificate(certificate, whitelist, blacklist, fqrn);
  return { manifest, certificateFingerprint, whitelistExpires: whitelist.expires };
}

async function readCertificate(
  { fqrn, objects, signal }: LoadContext,
  manifest: Manifest,
): Promise<X509Certificate> {
  const how = {
    compressed: true,
    size: MAX_CERTIFICATE_BYTES,
    alternative: manifest.alternativePaths,
    signal,
  };
  return await objects.read(manifest.certificate, how, async (path) =>
    parseCertificate(await readWhole(path), fqrn),
  );
}

async function readWhole(path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (error) {
    throw fromErrno(error, { op: 'read', path });
  }
}

async function fetchWhitelist({ fqrn, keys, fetcher, clock, signal }: LoadContext): Promise<Whitelist> {
  return await fetcher.get({
    path: '.cvmfswhitelist',
    bound: MAX_WHITELIST_BYTES,
    signal,
    receive: async (body) => openWhitelist(await collect(body), fqrn, keys, clock.now()),
    accept: (whitelist) => Promise.resolve(whitelist),
  });
}

export async function fetchRoot(
  { objects, signal }: Pick<LoadContext, 'objects' | 'signal'>,
  manifest: Manifest,
): Promise<void> {
  await objects.fetch(manifest.root, {
    compressed: true,
    size: manifest.rootSize ?? MAX_CATALOG_BYTES,
    sizeUnknown: manifest.rootSize === null,
    alternative: manifest.alternativePaths,
    signal,
  });
}
