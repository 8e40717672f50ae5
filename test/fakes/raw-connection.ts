/**
 * A connection on which a test writes bytes as dockerd does, broken ones too, and reads answers as dockerd does: a body is
 * whole only with its announced length or its closing chunk.
 */

import { once } from 'node:events';
import { connect } from 'node:net';
import type { Socket } from 'node:net';

export interface RawAnswer {
  readonly status: number;
  readonly body: string;
  /** False: the connection was cut in the middle. */
  readonly whole: boolean;
}

export class RawConnection {
  readonly socket: Socket;
  #received = Buffer.alloc(0);
  #ended = false;
  #more: (() => void) | undefined;

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (data) => {
      this.#received = Buffer.concat([this.#received, data]);
      this.#more?.();
    });
    // A cut connection may show as ECONNRESET: 'close' follows and tells the same.
    socket.on('error', () => this.#more?.());
    socket.on('close', () => {
      this.#ended = true;
      this.#more?.();
    });
  }

  static async open(path: string): Promise<RawConnection> {
    const socket = connect(path);
    await once(socket, 'connect');
    return new RawConnection(socket);
  }

  send(...parts: (string | Uint8Array)[]): void {
    for (const part of parts) this.socket.write(part);
  }

  /** A call with the bytes of dockerd. */
  call(method: string, json: unknown): void {
    this.send(dockerRequest(method, json === undefined ? '' : `${JSON.stringify(json)}\n`));
  }

  async answer(): Promise<RawAnswer> {
    while (!this.#received.includes('\r\n\r\n')) {
      if (!(await this.#readMore())) return { status: 0, body: '', whole: false };
    }
    const end = this.#received.indexOf('\r\n\r\n');
    const head = this.#received.subarray(0, end).toString('latin1');
    this.#received = this.#received.subarray(end + 4);
    const status = Number(head.split(' ', 2)[1]);
    const length = /content-length: (\d+)/i.exec(head)?.[1];
    const body = length === undefined ? await this.#chunks() : await this.#take(Number(length));
    return { status, ...body };
  }

  close(): void {
    this.socket.destroy();
  }

  async #chunks(): Promise<{ body: string; whole: boolean }> {
    let body = '';
    for (;;) {
      while (!this.#received.includes('\r\n')) if (!(await this.#readMore())) return { body, whole: false };
      const end = this.#received.indexOf('\r\n');
      const length = Number.parseInt(this.#received.subarray(0, end).toString('latin1'), 16);
      this.#received = this.#received.subarray(end + 2);
      const chunk = await this.#take(length + 2);
      body += chunk.body.slice(0, length);
      if (length === 0 || !chunk.whole) return { body, whole: chunk.whole };
    }
  }

  async #take(length: number): Promise<{ body: string; whole: boolean }> {
    while (this.#received.length < length && (await this.#readMore()));
    const taken = this.#received.subarray(0, length);
    this.#received = this.#received.subarray(length);
    return { body: taken.toString('utf8'), whole: taken.length === length };
  }

  /** False at the end of the connection. */
  async #readMore(): Promise<boolean> {
    if (this.#ended) return false;
    await new Promise<void>((resolve) => (this.#more = resolve));
    return true;
  }
}

/** As dockerd 20.10 sends it, to the byte: the Host is empty. */
export function dockerRequest(method: string, body: string): string {
  return [
    `POST /${method} HTTP/1.1`,
    'Host: ',
    'User-Agent: Go-http-client/1.1',
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Accept: application/vnd.docker.plugins.v1.2+json',
    '',
    body,
  ].join('\r\n');
}

/** The head of an ApplyDiff; its body follows in `chunk`s. */
export function dockerApply(query: string): string {
  return [
    `POST /GraphDriver.ApplyDiff?${query} HTTP/1.1`,
    'Host: ',
    'User-Agent: Go-http-client/1.1',
    'Transfer-Encoding: chunked',
    'Accept: application/vnd.docker.plugins.v1.2+json',
    '',
    '',
  ].join('\r\n');
}

/** Of nothing: the closing chunk. */
export function chunk(text: string): string {
  return `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`;
}
