/** The database of a catalog. */

import type { ByteString } from '../../../src/core/tree.js';
import { text } from './catalog-rows.js';
import type { CatalogReference } from './source-tree.js';
import { newDatabase } from './sqlite.js';

const SCHEMA = [
  'CREATE TABLE properties (key TEXT, value TEXT, CONSTRAINT pk_properties PRIMARY KEY (key))',
  `CREATE TABLE catalog (md5path_1 INTEGER, md5path_2 INTEGER, parent_1 INTEGER, parent_2 INTEGER, hardlinks INTEGER, hash BLOB,
    size INTEGER, mode INTEGER, mtime INTEGER, mtimens INTEGER, flags INTEGER, name TEXT, symlink TEXT, uid INTEGER, gid INTEGER,
    xattr BLOB, CONSTRAINT pk_catalog PRIMARY KEY (md5path_1, md5path_2))`,
  'CREATE INDEX idx_catalog_parent ON catalog (parent_1, parent_2)',
  `CREATE TABLE chunks (md5path_1 INTEGER, md5path_2 INTEGER, offset INTEGER, size INTEGER, hash BLOB,
    CONSTRAINT pk_chunks PRIMARY KEY (md5path_1, md5path_2, offset, size))`,
  'CREATE TABLE nested_catalogs (path TEXT, sha1 TEXT, size INTEGER, CONSTRAINT pk_nested_catalogs PRIMARY KEY (path))',
  'CREATE TABLE bind_mountpoints (path TEXT, sha1 TEXT, size INTEGER, CONSTRAINT pk_bind_mountpoints PRIMARY KEY (path))',
  'CREATE TABLE statistics (counter TEXT, value INTEGER, CONSTRAINT pk_statistics PRIMARY KEY (counter))',
];

/** What a catalog holds, each row as the values of an INSERT. */
export interface CatalogContents {
  readonly entries: string[];
  readonly chunks: string[];
  readonly nested: string[];
  readonly binds: string[];
  readonly statistics: string[];
}

export type Properties = Readonly<Record<string, string | number>>;

/** Rows of one INSERT: SQLite parses few long statements faster than many short ones. */
const ROWS_A_STATEMENT = 200;

export function emptyContents(): CatalogContents {
  return { entries: [], chunks: [], nested: [], binds: [], statistics: [] };
}

export function referenceValues(path: ByteString, { hash, size }: CatalogReference): string {
  return `${text(path)},${text(hash)},${size}`;
}

export function catalogDatabase(contents: CatalogContents, properties: Properties): Buffer {
  const pairs = Object.entries(properties).map(([key, value]) => `${text(key)},${text(String(value))}`);
  return newDatabase([
    ...SCHEMA,
    ...inserts('properties', pairs),
    ...inserts('catalog', contents.entries),
    ...inserts('chunks', contents.chunks),
    ...inserts('nested_catalogs', contents.nested),
    ...inserts('bind_mountpoints', contents.binds),
    ...inserts('statistics', contents.statistics),
  ]);
}

function inserts(table: string, rows: readonly string[]): string[] {
  const statements: string[] = [];
  for (let at = 0; at < rows.length; at += ROWS_A_STATEMENT) {
    statements.push(`INSERT INTO ${table} VALUES (${rows.slice(at, at + ROWS_A_STATEMENT).join('),(')})`);
  }
  return statements;
}
