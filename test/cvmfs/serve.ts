/** `node serve.js PORT DIRECTORY…`: a web server of repositories, for a jail that has a network of its own. One line a request. */

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
  console.log(`${request.url} ${file === undefined ? 404 : 200}`);
  if (file === undefined) return void response.writeHead(404).end();
  response.writeHead(200, { 'Content-Length': statSync(file).size });
  createReadStream(file).pipe(response);
}).listen(Number(port), '127.0.0.1');
