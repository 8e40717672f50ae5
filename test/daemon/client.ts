/** A graph-driver client as dockerd is one: HTTP over a unix socket, connections kept alive, no time limits. */

import { Agent, request } from 'node:http';
import { buffer, json } from 'node:stream/consumers';
import type { ClientRequest, IncomingMessage } from 'node:http';
import type { Readable } from 'node:stream';

type Fields = Record<string, unknown>;

/** What a call carries: a stream or bytes go as they are, in chunks; fields as JSON with a length. */
export type Body = Fields | Uint8Array | Readable;

/** An answer that is an error, as dockerd would show it. */
export class CallError extends Error {
  override readonly name = 'CallError';
  readonly status: number;

  constructor(method: string, status: number, message: string) {
    super(`${method}: ${message}`);
    this.status = status;
  }
}

export interface CreateFields {
  readonly MountLabel?: string;
  readonly StorageOpt?: Readonly<Record<string, string>>;
}

/** Paths that come back are the daemon's: see `Daemon.inside`. A `signal` that aborts hangs up. */
export class GraphDriverClient {
  private readonly agent = new Agent({ keepAlive: true, maxFreeSockets: 256 });
  private readonly socketPath: string;

  constructor(socketPath: string) {
    this.socketPath = socketPath;
  }

  async create(id: string, parent = '', more: CreateFields = {}): Promise<void> {
    await this.call('Create', { ID: id, ...parentOf(parent), ...more });
  }

  async createReadWrite(id: string, parent = '', more: CreateFields = {}): Promise<void> {
    await this.call('CreateReadWrite', { ID: id, ...parentOf(parent), ...more });
  }

  async get(id: string, signal?: AbortSignal): Promise<string> {
    return (await this.call('Get', { ID: id }, signal))['Dir'] as string;
  }

  async put(id: string): Promise<void> {
    await this.call('Put', { ID: id });
  }

  async remove(id: string): Promise<void> {
    await this.call('Remove', { ID: id });
  }

  async exists(id: string): Promise<boolean> {
    return (await this.call('Exists', { ID: id }))['Exists'] as boolean;
  }

  async metadata(id: string): Promise<Record<string, string>> {
    return (await this.call('GetMetadata', { ID: id }))['Metadata'] as Record<string, string>;
  }

  async status(): Promise<Record<string, string>> {
    return Object.fromEntries((await this.call('Status', {}))['Status'] as [string, string][]);
  }

  async cleanup(): Promise<void> {
    await this.call('Cleanup', {});
  }

  async init(home: string, options: readonly string[] = []): Promise<void> {
    await this.call('Init', { Home: home, Opts: options, UIDMaps: null, GIDMaps: null });
  }

  /** The size that the daemon answers. */
  async applyDiff(
    id: string,
    parent: string,
    archive: Uint8Array | Readable,
    signal?: AbortSignal,
  ): Promise<number> {
    const answer = await this.call(`ApplyDiff?id=${id}&parent=${parent}`, archive, signal);
    return answer['Size'] as number;
  }

  async diff(id: string, parent = ''): Promise<Buffer> {
    return buffer(await this.diffStream(id, parent));
  }

  /** The archive as it comes; it breaks off if the daemon fails. */
  async diffStream(id: string, parent = '', signal?: AbortSignal): Promise<IncomingMessage> {
    const response = await this.raw('Diff', { ID: id, ...parentOf(parent) }, signal);
    if (response.statusCode !== 200) await read('Diff', response);
    return response;
  }

  async changes(id: string, parent = ''): Promise<{ Path: string; Kind: number }[]> {
    const answer = await this.call('Changes', { ID: id, ...parentOf(parent) });
    return answer['Changes'] as { Path: string; Kind: number }[];
  }

  async diffSize(id: string, parent = ''): Promise<number> {
    return (await this.call('DiffSize', { ID: id, ...parentOf(parent) }))['Size'] as number;
  }

  /** Any method of GraphDriver; `Plugin.Activate` with its full name. Rejects with a CallError if the answer is an error. */
  async call(method: string, body: Body, signal?: AbortSignal): Promise<Fields> {
    return read(method, await this.raw(method, body, signal));
  }

  /** The answer before it is looked at. */
  raw(method: string, body: Body, signal?: AbortSignal): Promise<IncomingMessage> {
    const path = method.startsWith('Plugin.') ? `/${method}` : `/GraphDriver.${method}`;
    const isStream = 'pipe' in body;
    const bytes = isStream || body instanceof Uint8Array ? null : Buffer.from(`${JSON.stringify(body)}\n`);
    const headers = bytes === null ? { 'Transfer-Encoding': 'chunked' } : { 'Content-Length': bytes.length };
    return new Promise((resolve, reject) => {
      const options = { socketPath: this.socketPath, agent: this.agent, method: 'POST', path, headers };
      const sent = request({ ...options, ...(signal && { signal }) }, resolve);
      // Also heard after the answer: a daemon that refuses an archive need not read the rest of it.
      sent.on('error', reject);
      if (isStream) send(body as Readable, sent);
      else sent.end(bytes ?? body);
    });
  }

  close(): void {
    this.agent.destroy();
  }
}

function send(source: Readable, sent: ClientRequest): void {
  source.on('error', (error) => sent.destroy(error));
  source.pipe(sent);
}

async function read(method: string, response: IncomingMessage): Promise<Fields> {
  const answer = (await json(response)) as Fields;
  const error = answer['Err'];
  if (response.statusCode === 200 && (error === undefined || error === '')) return answer;
  throw new CallError(method, response.statusCode ?? 0, String(error));
}

function parentOf(parent: string): Fields {
  return parent === '' ? {} : { Parent: parent };
}
