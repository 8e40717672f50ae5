/** The database of named revisions. */

import { text } from './catalog-rows.js';
import { newDatabase } from './sqlite.js';

export interface Tag {
  readonly name: string;
  readonly hash: string;
  readonly size: number;
  readonly revision: number;
  readonly timestamp: number;
}

export function historyDatabase(fqrn: string, tags: readonly Tag[]): Buffer {
  const properties = { schema: '1.0', schema_revision: '3', fqrn, previous_revision: '0'.repeat(40) };
  return newDatabase([
    'CREATE TABLE properties (key TEXT, value TEXT, CONSTRAINT pk_properties PRIMARY KEY (key))',
    'CREATE TABLE branches (branch TEXT, parent TEXT, initial_revision INTEGER, CONSTRAINT pk_branch PRIMARY KEY (branch))',
    `CREATE TABLE tags (name TEXT, hash TEXT, revision INTEGER, timestamp INTEGER, channel INTEGER, description TEXT,
      size INTEGER, branch TEXT, CONSTRAINT pk_tags PRIMARY KEY (name))`,
    'CREATE TABLE recycle_bin (hash TEXT, flags INTEGER, CONSTRAINT pk_hash PRIMARY KEY (hash))',
    `INSERT INTO branches VALUES ('', NULL, 0)`,
    ...Object.entries(properties).map(([k, v]) => `INSERT INTO properties VALUES (${text(k)}, ${text(v)})`),
    ...tags.map(
      ({ name, hash, revision, timestamp, size }) =>
        `INSERT INTO tags VALUES (${text(name)}, ${text(hash)}, ${revision}, ${timestamp}, 0, '', ${size}, '')`,
    ),
  ]);
}
