/** A web server of a sample repository, which can misbehave; a proxy as well, for any server's name. */

import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join, resolve } from 'node:path';
import { gzipSync } from 'node:zlib';

import { FIXTURES } from '../../pure/cvmfs/fixtures.js';

export type Fault =
  | 'hang'
  | 'hang in body'
  | 'truncate'
  | 'flip a bit'
  | 'append'
  | 'redirect'
  | 'redirect loop'
  | 'slow'
  | 'huge length'
  | 'endless'
  | 'gzip'
  | 'reset'
  | { readonly status: number; readonly headers?: Record<string, string> }
  | { readonly instead: Buffer }
  /** Answered as usual, as soon as that resolves. */
  | { readonly until: Promise<void> };

export interface Request {
  readonly path: string;
  /** Asked for as a proxy is: by the whole URL. */
  readonly proxied: boolean;
  readonly noCache: boolean;
  /** The part that was asked for. */
  readonly range?: string;
}

export class RepositoryServer {
  readonly requests: Request[] = [];
  /** Folders of test/fixtures/cvmfs, or of elsewhere by an absolute path; the first that has a file wins. */
  layers: string[];
  readonly deleted = new Set<string>();
  /** Further files. */
  readonly files = new Map<string, Buffer>();
  /** Without, it sends the whole whatever part is asked for. */
  knowsRanges = true;
  misbehave: (request: Request) => Fault | null = () => null;
  readonly #server = createServer((request, response) => this.#answer(request, response));

  #port = 0;

  private constructor(layers: string[]) {
    this.layers = layers;
  }

  static async start(...layers: string[]): Promise<RepositoryServer> {
    const server = new RepositoryServer(layers);
    server.#server.listen(0, '127.0.0.1');
    await once(server.#server, 'listening');
    server.#port = (server.#server.address() as AddressInfo).port;
    return server;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** How often that path was asked for. */
  count(path: string): number {
    return this.requests.filter((request) => request.path === path).length;
  }

  /** Connections are refused from now on. */
  async stop(): Promise<void> {
    if (!this.#server.listening) return;
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, 'close');
  }

  /** At the same URL. */
  async restart(): Promise<void> {
    this.#server.listen(this.#port, '127.0.0.1');
    await once(this.#server, 'listening');
  }

  /** Nobody listens there any more. */
  static async deadUrl(): Promise<string> {
    const server = await RepositoryServer.start();
    const { url } = server;
    await server.stop();
    return url;
  }

  #answer(incoming: IncomingMessage, response: ServerResponse): void {
    const proxied = incoming.url?.startsWith('http://') ?? false;
    const { pathname } = new URL(incoming.url ?? '/', 'http://x');
    const noCache = incoming.headers['cache-control'] === 'no-cache';
    const { range } = incoming.headers;
    const request = {
      path: pathname.slice(1),
      proxied,
      noCache,
      ...(range !== undefined && this.knowsRanges && { range }),
    };
    this.requests.push(request);
    const body = this.#read(request.path);
    const fault = this.misbehave(request);
    if (fault !== null) misbehave(response, fault, body ?? Buffer.alloc(0), incoming.url ?? '/');
    else if (body === null) response.writeHead(404).end('not here');
    else if (request.range !== undefined) sendPart(response, request.range, body);
    else response.writeHead(200, { 'content-length': body.length }).end(body);
  }

  #read(path: string): Buffer | null {
    if (this.deleted.has(path)) return null;
    const further = this.files.get(path);
    if (further) return further;
    for (const layer of this.layers) {
      try {
        return readFileSync(join(resolve(FIXTURES, layer), path));
      } catch (error) {
        if (!['ENOENT', 'EISDIR'].includes(String((error as NodeJS.ErrnoException).code))) throw error;
      }
    }
    return null;
  }
}

function sendPart(response: ServerResponse, range: string, body: Buffer): void {
  const [, first = NaN, last = NaN] = (/^bytes=(\d+)-(\d+)$/.exec(range) ?? []).map(Number);
  const part = body.subarray(first, last + 1);
  if (!(part.length > 0)) return void response.writeHead(416).end();
  const told = `bytes ${first}-${first + part.length - 1}/${body.length}`;
  response.writeHead(206, { 'content-length': part.length, 'content-range': told }).end(part);
}

function misbehave(response: ServerResponse, fault: Fault, body: Buffer, url: string): void {
  if (typeof fault === 'object') {
    if ('instead' in fault) response.end(fault.instead);
    else if ('until' in fault) void fault.until.then(() => response.end(body));
    else response.writeHead(fault.status, fault.headers).end('a fault');
    return;
  }
  const half = body.subarray(0, body.length >> 1);
  switch (fault) {
    case 'hang':
      return;
    case 'hang in body':
      response.writeHead(200, { 'content-length': body.length }).write(half);
      return;
    case 'truncate':
      response.writeHead(200, { 'content-length': body.length });
      response.write(half, () => response.destroy());
      return;
    case 'reset':
      response.socket?.resetAndDestroy();
      return;
    case 'flip a bit': {
      const flipped = Buffer.from(body);
      flipped[half.length] = (flipped[half.length] ?? 0) ^ 1;
      response.end(flipped);
      return;
    }
    case 'append':
      response.end(Buffer.concat([body, Buffer.from('more')]));
      return;
    case 'redirect':
      response.writeHead(302, { location: '/elsewhere' }).end();
      return;
    case 'redirect loop':
      response.writeHead(302, { location: url }).end();
      return;
    case 'slow':
      drip(response.writeHead(200, { 'content-length': body.length }), body);
      return;
    case 'huge length':
      response.writeHead(200, { 'content-length': 2 ** 50 }).write(half);
      return;
    case 'endless': {
      const more = () => void (response.destroyed || response.write(Buffer.alloc(65536, 'x'), more));
      more();
      return;
    }
    case 'gzip':
      response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync(body));
  }
}

/** 1000 bytes a second. */
function drip(response: ServerResponse, body: Buffer): void {
  let at = 0;
  const timer = setInterval(() => response.write(body.subarray(at, (at += 100))), 100);
  response.on('close', () => clearInterval(timer));
}
