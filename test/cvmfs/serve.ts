/**
 * `node serve.js [--address ADDRESS] [--delay MS] [--after FIFO] PORT DIRECTORY…`: a web server of repositories, for a jail that
 * has a network of its own; it answers so many milliseconds late, and nothing before somebody has opened the pipe to write. One
 * line a request: its path, status, and bytes of the body.
 */

import { createReadStream, readFileSync, statSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { join, normalize } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';

const { values, positionals } = parseArgs({
  options: {
    address: { type: 'string', default: '127.0.0.1' },
    delay: { type: 'string', default: '0' },
    after: { type: 'string' },
  },
  allowPositionals: true,
});
const SMALL_BYTES = 1024 * 1024;
const [port, ...directories] = positionals;
const begin = values.after === undefined ? Promise.resolve() : readFile(values.after);

/** The first directory that has the file wins. */
function find(url: string): string | undefined {
  const path = normalize(decodeURIComponent(url));
  return directories
    .map((directory) => join(directory, path))
    .find((file) => statSync(file, { throwIfNoEntry: false })?.isFile());
}

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  await begin;
  const file = find(request.url ?? '/');
  if (file === undefined) {
    console.log(`${request.url} 404 0`);
    return void response.writeHead(404).end();
  }
  const { size } = statSync(file);
  if (values.delay !== '0') await delay(Number(values.delay));
  console.log(`${request.url} 200 ${size}`);
  response.writeHead(200, { 'Content-Length': size });
  // A stream costs a small object more than all the rest.
  if (size <= SMALL_BYTES) response.end(readFileSync(file));
  else createReadStream(file).pipe(response);
}

createServer((request, response) => void answer(request, response)).listen(Number(port), values.address);
