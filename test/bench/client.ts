/** A graph-driver client as dockerd is one: HTTP over a unix socket, connections kept alive. */

import { Agent, request } from 'node:http';
import { text } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import type { ClientRequest, IncomingMessage } from 'node:http';
import type { Readable } from 'node:stream';

export class PluginClient {
  private readonly agent = new Agent({ keepAlive: true, maxSockets: 256, maxFreeSockets: 256 });
  private readonly socketPath: string;

  constructor(socketPath: string) {
    this.socketPath = socketPath;
  }

  /** Calls a method with a JSON body and gives the JSON answer; an answer that holds an error is thrown. */
  async call(method: string, body: object = {}): Promise<Record<string, unknown>> {
    const bytes = `${JSON.stringify(body)}\n`;
    return answer(method, await this.post(method, (request) => request.end(bytes), Buffer.byteLength(bytes)));
  }

  async applyDiff(id: string, parent: string, archive: Readable): Promise<void> {
    const path = `ApplyDiff?id=${id}&parent=${parent}`;
    await answer('ApplyDiff', await this.post(path, (request) => void archive.pipe(request)));
  }

  /** Reads a Diff to its end and gives its length in bytes. */
  async diff(id: string, parent: string): Promise<number> {
    const bytes = JSON.stringify({ ID: id, ...(parent === '' ? {} : { Parent: parent }) });
    const response = await this.post('Diff', (request) => request.end(bytes), Buffer.byteLength(bytes));
    if (response.statusCode !== 200) await answer('Diff', response);
    let length = 0;
    await pipeline(response, async (source: AsyncIterable<Buffer>) => {
      for await (const chunk of source) length += chunk.length;
    });
    return length;
  }

  close(): void {
    this.agent.destroy();
  }

  private post(
    path: string,
    send: (request: ClientRequest) => void,
    length?: number,
  ): Promise<IncomingMessage> {
    const headers = length === undefined ? {} : { 'Content-Length': length };
    const options = { socketPath: this.socketPath, agent: this.agent, method: 'POST', headers };
    return new Promise((resolve, reject) => {
      const sent = request({ ...options, path: `/GraphDriver.${path}` }, resolve);
      sent.on('error', reject);
      send(sent);
    });
  }
}

async function answer(method: string, response: IncomingMessage): Promise<Record<string, unknown>> {
  const body = await text(response);
  if (response.statusCode !== 200) throw new Error(`${method}: ${response.statusCode} ${body}`);
  const value = JSON.parse(body) as Record<string, unknown>;
  if (typeof value['Err'] === 'string' && value['Err'] !== '') throw new Error(`${method}: ${value['Err']}`);
  return value;
}
