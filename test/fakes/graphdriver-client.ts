/** The graph-driver protocol from dockerd's side: typed calls over a unix socket, errors as ThinlayerError. */

import { once } from 'node:events';
import { Agent, request } from 'node:http';
import type { ClientRequest, IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';

import { ThinlayerError } from '../../src/core/errors.js';
import type { ErrorCode } from '../../src/core/errors.js';
import type { Change, ChangeKind, LayerId } from '../../src/core/model.js';
import type { ByteStream, Cancel } from '../../src/core/service.js';
import { STATUS } from '../../src/frontends/graphdriver/wire.js';
import type { TestedService } from '../conformance/service.js';

export class GraphDriverClient implements TestedService {
  readonly #agent = new Agent({ keepAlive: true });
  readonly #socketPath: string;

  constructor(socketPath: string) {
    this.#socketPath = socketPath;
  }

  /** One call with fields and answer as JSON. */
  async call<T>(method: string, fields: object = {}, { signal }: Cancel = {}): Promise<T> {
    const response = await this.#post(
      `/${method}`,
      (post) => post.end(`${JSON.stringify(fields)}\n`),
      signal,
    );
    return (await json(response)) as T;
  }

  async create(...[id, parent, kind, options]: Parameters<TestedService['create']>): Promise<void> {
    await this.call(kind === 'image' ? 'GraphDriver.Create' : 'GraphDriver.CreateReadWrite', {
      ID: id,
      ...(parent !== null && { Parent: parent }),
      ...(options.mountLabel !== undefined && { MountLabel: options.mountLabel }),
      ...(options.storageOptions && { StorageOpt: options.storageOptions }),
    });
  }

  async attach(id: LayerId, label: string | null, cancel: Cancel = {}): Promise<string> {
    const fields = { ID: id, ...(label !== null && { MountLabel: label }) };
    return (await this.call<{ Dir: string }>('GraphDriver.Get', fields, cancel)).Dir;
  }

  async detach(id: LayerId): Promise<void> {
    await this.call('GraphDriver.Put', { ID: id });
  }

  async remove(id: LayerId): Promise<void> {
    await this.call('GraphDriver.Remove', { ID: id });
  }

  async exists(id: LayerId): Promise<boolean> {
    return (await this.call<{ Exists: boolean }>('GraphDriver.Exists', { ID: id })).Exists;
  }

  async applyDiff(
    id: LayerId,
    parent: LayerId | null,
    tar: ByteStream,
    { signal }: Cancel = {},
  ): Promise<number> {
    const path = `/GraphDriver.ApplyDiff?id=${id}&parent=${parent ?? ''}`;
    const response = await this.#post(path, (post) => void Readable.from(tar).pipe(post), signal);
    return ((await json(response)) as { Size: number }).Size;
  }

  async diff(id: LayerId, parent: LayerId | null, { signal }: Cancel = {}): Promise<ByteStream> {
    const body = JSON.stringify(comparison(id, parent));
    const response = await this.#post('/GraphDriver.Diff', (post) => post.end(body), signal);
    if (response.statusCode !== 200) await json(response);
    return response;
  }

  async changes(id: LayerId, parent: LayerId | null): Promise<Change[]> {
    const kinds: ChangeKind[] = ['modified', 'added', 'deleted'];
    const answer = await this.call<{ Changes: { Path: string; Kind: number }[] }>(
      'GraphDriver.Changes',
      comparison(id, parent),
    );
    return answer.Changes.map(({ Path, Kind }) => ({ path: Path, kind: kinds[Kind] ?? 'modified' }));
  }

  async size(id: LayerId, parent: LayerId | null): Promise<number> {
    return (await this.call<{ Size: number }>('GraphDriver.DiffSize', comparison(id, parent))).Size;
  }

  close(): void {
    this.#agent.destroy();
  }

  async #post(
    path: string,
    write: (post: ClientRequest) => unknown,
    signal: AbortSignal | undefined,
  ): Promise<IncomingMessage> {
    const options = { socketPath: this.#socketPath, method: 'POST', path, agent: this.#agent };
    const post = request({ ...options, ...(signal && { signal }) });
    write(post);
    const [response] = (await once(post, 'response')) as [IncomingMessage];
    return response;
  }
}

function comparison(id: LayerId, parent: LayerId | null): object {
  return { ID: id, ...(parent !== null && { Parent: parent }) };
}

/** Rejects with the error that the answer holds. */
async function json(response: IncomingMessage): Promise<unknown> {
  const parts: Buffer[] = [];
  for await (const part of response) parts.push(part as Buffer);
  const answer = JSON.parse(Buffer.concat(parts).toString('utf8')) as { Err?: string };
  if (response.statusCode === 200 && answer.Err === undefined) return answer;
  throw new ThinlayerError(codeOf(response.statusCode), answer.Err ?? '');
}

function codeOf(status: number | undefined): ErrorCode {
  const codes = Object.entries(STATUS) as [ErrorCode, number][];
  return codes.find(([, s]) => s === status)?.[0] ?? 'internal';
}
