/** SQLite databases by Debian's sqlite3: Node 20 has none of its own. */

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** The bytes of a new database in which these statements were run, in one transaction. */
export function newDatabase(statements: readonly string[]): Buffer {
  const directory = mkdtempSync(join(tmpdir(), 'thinlayer-maker-'));
  try {
    const path = join(directory, 'db');
    const sql = ['PRAGMA journal_mode=OFF', 'PRAGMA synchronous=OFF', 'BEGIN', ...statements, 'COMMIT'];
    run(['-bail', path], `${sql.join(';\n')};\n`);
    return readFileSync(path);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** The rows of a query, whose columns must not hold tabs or newlines: ask for `hex(…)` of what may. */
export function query(database: Uint8Array, sql: string): string[][] {
  const directory = mkdtempSync(join(tmpdir(), 'thinlayer-maker-'));
  try {
    const path = join(directory, 'db');
    writeFileSync(path, database);
    const output = run(['-readonly', '-bail', '-noheader', '-separator', '\t', path], `${sql};\n`);
    return output
      .split('\n')
      .slice(0, -1)
      .map((line) => line.split('\t'));
  } finally {
    rmSync(directory, { recursive: true });
  }
}

function run(args: readonly string[], input: string): string {
  const result = spawnSync('sqlite3', args, { input, encoding: 'utf8', maxBuffer: 1 << 30 });
  if (result.error) throw result.error;
  if (result.status !== 0) throw new Error(`sqlite3 ended with ${result.status}: ${result.stderr}`);
  return result.stdout;
}
