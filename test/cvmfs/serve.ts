/**
 * `node serve.js PORT DIRECTORY…`: a web server of repositories, for a jail that has a network of its own. One line a
 * request: its path, status, and bytes of the body.
 */

import { createReadStream, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { join, normalize } from 'node:path';

const [port, ...directories] = process.argv.slice(2);

/** The first directory that has the file wins. */
function find(url: string): string | undefined {
  const path = normalize(decodeURIComponent(url));
  return directories
    .map((directory) => join(directory, path))
    .find((file) => statSync(file, { throwIfNoEntry: false })?.isFile());
}

createServer((request, response) => {
  const file = find(request.url ?? '/');
  if (file === undefined) {
    console.log(`${request.url} 404 0`);
    return void response.writeHead(404).end();
  }
  const { size } = statSync(file);
  console.log(`${request.url} 200 ${size}`);
  response.writeHead(200, { 'Content-Length': size });
  createReadStream(file).pipe(response);
}).listen(Number(port), process.env['SERVE_ADDRESS'] ?? '127.0.0.1');
