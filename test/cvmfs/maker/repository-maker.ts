/**
 * Makes signed CVMFS repositories, as plain files for any static web server. The format is CERN's (schema 2.5); what it is made of
 * can be changed to anything, also to what CERN's tools would never write.
 */

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import type { ByteString } from '../../../src/core/tree.js';
import { Catalogs } from './catalogs.js';
import { FileObjects } from './file-objects.js';
import type { StorageOptions } from './file-objects.js';
import { hashOf, hashText } from './hash.js';
import type { HashAlgorithm } from './hash.js';
import { historyDatabase } from './history.js';
import type { Tag } from './history.js';
import { newKeys } from './keys.js';
import type { RepositoryKeys } from './keys.js';
import { certificateSigner, letter, masterSigner } from './letter.js';
import { ObjectStore } from './objects.js';
import type { CatalogReference, SourceNode, SourceTree } from './source-tree.js';

export interface RepositoryOptions extends StorageOptions {
  readonly keys: RepositoryKeys;
  readonly ttlSeconds: number;
  readonly maxEntriesInCatalog: number | null;
  readonly whitelistExpires: Date;
}

const MIB = 1 << 20;

export const DEFAULTS: Omit<RepositoryOptions, 'keys'> = {
  algorithm: 'sha1',
  compressed: true,
  chunkBytes: 8 * MIB,
  legacyBulkChunks: false,
  ttlSeconds: 240,
  maxEntriesInCatalog: null,
  whitelistExpires: new Date('2096-12-31T23:59:59Z'),
};

export interface PublishOptions extends Partial<StorageOptions> {
  /** Default: one more than the last. */
  readonly revision?: number;
  /** Seconds since 1970; default: 1,700,000,000 and the revision, so that it grows. */
  readonly timestamp?: number;
  /** Name for this revision in the history; `trunk` always names the newest. */
  readonly tag?: string;
}

export interface Revision extends CatalogReference {
  readonly revision: number;
  readonly timestamp: number;
  /** Catalogs below the root's, by path. */
  readonly nested: ReadonlyMap<ByteString, CatalogReference>;
}

/** Lines of a manifest by their letters. */
export type ManifestFields = Readonly<Record<string, string>>;

/** MD5 of the path of the root, which is empty. */
const ROOT_PATH = 'd41d8cd98f00b204e9800998ecf8427e';

export class RepositoryMaker {
  readonly directory: string;
  readonly fqrn: string;
  readonly options: RepositoryOptions;
  readonly objects: ObjectStore;
  private readonly files: FileObjects;
  private readonly catalogs: Catalogs;
  private readonly tags: Tag[] = [];
  private fields: ManifestFields = {};
  private latest: Revision | null = null;
  /** Of the newest root catalog, which may differ from the repository's. */
  private algorithm: HashAlgorithm;

  /** `directory` is what a server has to show as the repository's URL. It is made if it does not exist. */
  constructor(directory: string, fqrn: string, options: Partial<RepositoryOptions> = {}) {
    mkdirSync(directory, { recursive: true });
    this.directory = directory;
    this.fqrn = fqrn;
    this.options = { ...DEFAULTS, ...options, keys: options.keys ?? newKeys(fqrn) };
    this.algorithm = this.options.algorithm;
    this.objects = new ObjectStore(directory);
    this.files = new FileObjects(this.objects);
    this.catalogs = new Catalogs(this.objects, this.files);
    this.writeWhitelist();
  }

  /** The manifest as last published. */
  get manifest(): ManifestFields {
    return this.fields;
  }

  /** Writes a revision of this tree, and a manifest that names it. Objects of former revisions stay. */
  publish(tree: SourceTree, options: PublishOptions = {}): Revision {
    const storage: StorageOptions = { ...this.options, ...options };
    const revision = options.revision ?? (this.latest?.revision ?? 0) + 1;
    const timestamp = options.timestamp ?? 1_700_000_000 + revision;
    const catalog = this.catalogs.write(tree.root, {
      ...storage,
      maxEntries: this.options.maxEntriesInCatalog,
      rootProperties: this.rootProperties(),
      revision,
      lastModified: timestamp,
    });
    const { hash, size, nested } = catalog;
    this.latest = { hash, size, nested, revision, timestamp };
    this.algorithm = storage.algorithm;
    this.fields = this.fieldsFor(this.latest, options.tag ?? null);
    this.writeManifest();
    return this.latest;
  }

  /** Writes a manifest with these lines in place of the published ones, signed by any key. undefined leaves a line out. */
  writeManifest(
    changes: Readonly<Record<string, string | undefined>> = {},
    certificate = this.options.keys.certificate,
    algorithm = this.algorithm,
  ): void {
    const lines = Object.entries({ ...this.fields, ...changes }).flatMap(([k, v]) =>
      v === undefined ? [] : [k + v],
    );
    this.write('.cvmfspublished', letter(lines, algorithm, certificateSigner(certificate.key)));
  }

  writeWhitelist(changes: WhitelistChanges = {}): void {
    const fingerprints = changes.fingerprints ?? [this.fingerprint(this.options.keys.certificate.der)];
    const lines = [
      stamp(changes.issued ?? new Date('2024-01-01T00:00:00Z')),
      `E${stamp(changes.expires ?? this.options.whitelistExpires)}`,
      `N${changes.fqrn ?? this.fqrn}`,
      ...fingerprints,
    ];
    const signer = masterSigner(changes.master ?? this.options.keys.master);
    this.write('.cvmfswhitelist', letter(lines, this.options.algorithm, signer));
  }

  /** As whitelists have it: `75:C8:…`, and the algorithm behind it. */
  fingerprint(der: Buffer, algorithm = this.options.algorithm): string {
    const [digits = '', ...tail] = hashText(hashOf(algorithm, der)).toUpperCase().split('-');
    return [digits.match(/../g)?.join(':'), ...tail].join('-');
  }

  /** The files on the server that hold a catalog of this hash, or the content of a file of the tree. */
  catalogFile({ hash }: CatalogReference): string {
    return this.objects.pathOf(hash, 'C');
  }

  contentFiles({ entry }: SourceNode): string[] {
    const { algorithm, hash, chunks } = this.files.store(entry, this.options);
    const whole = hash ? [this.objects.path({ algorithm, bytes: hash }, '')] : [];
    return [...whole, ...chunks.map((chunk) => this.objects.path({ algorithm, bytes: chunk.hash }, 'P'))];
  }

  storeCertificate(pem: string): string {
    return hashText(this.objects.put(Buffer.from(pem), 'X', this.algorithm));
  }

  write(name: string, content: Uint8Array): void {
    writeFileSync(join(this.directory, name), content);
  }

  private rootProperties() {
    const previous = this.latest && { previous_revision: this.latest.hash };
    return { TTL: this.options.ttlSeconds, ...previous };
  }

  private fieldsFor(latest: Revision, tag: string | null): ManifestFields {
    const put = (content: Buffer, kind: 'X' | 'H' | 'M') =>
      hashText(this.objects.put(content, kind, this.algorithm));
    if (tag !== null) this.tags.push({ name: tag, ...latest });
    const history = historyDatabase(this.fqrn, [...this.tags, { name: 'trunk', ...latest }]);
    return {
      C: latest.hash,
      B: String(latest.size),
      R: ROOT_PATH,
      D: String(this.options.ttlSeconds),
      S: String(latest.revision),
      G: 'no',
      A: 'no',
      N: this.fqrn,
      X: put(Buffer.from(this.options.keys.certificate.pem), 'X'),
      H: put(history, 'H'),
      T: String(latest.timestamp),
      M: put(Buffer.from(JSON.stringify({ description: 'made for a test' })), 'M'),
    };
  }
}

export interface WhitelistChanges {
  readonly issued?: Date;
  readonly expires?: Date;
  readonly fqrn?: string;
  readonly fingerprints?: readonly string[];
  /** Signs it. */
  readonly master?: RepositoryKeys['master'];
}

/** `20241231235959`. */
function stamp(date: Date): string {
  return date.toISOString().replaceAll(/[-:T]|\.\d+Z/g, '');
}
