/** Docker's graph-driver protocol on a unix socket (moby's docs: plugins_graphdriver). */

import type { IncomingMessage, ServerResponse } from 'node:http';

import { asThinlayerError, ThinlayerError } from '../../core/errors.js';
import { AnsweringServer } from './answering-server.js';
import { CALLS, WITHOUT_FIELDS } from './calls.js';
import type { CallContext } from './calls.js';
import { applyDiff, diff } from './streams.js';
import { CONTENT_TYPE, parseBody, STATUS } from './wire.js';

/** The largest call that dockerd makes has a few hundred bytes. */
const MAX_BODY = 1024 * 1024;

export interface ServerOptions extends CallContext {
  /** One line a call, after its end. */
  readonly log: (call: { method: string; ms: number; status: number; error?: ThinlayerError }) => void;
}

/** Not listening yet. dockerd sets no time limits and keeps its connections for ever, so none are set here. */
export function createGraphDriverServer(options: ServerOptions): AnsweringServer {
  const server = new AnsweringServer(
    { keepAliveTimeout: 0, requestTimeout: 0, headersTimeout: 0 },
    (request, response) => {
      void serve(options, request, response);
    },
  );
  server.timeout = 0;
  return server;
}

/** Never rejects: every failure is an answer, or a cut connection. */
async function serve(
  options: ServerOptions,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const start = performance.now();
  const method = (request.url ?? '').slice(1).split('?', 1)[0] ?? '';
  const caller = new Caller(response);
  let error: ThinlayerError | undefined;
  try {
    await answer(options, method, request, response, caller);
  } catch (failure) {
    error = asThinlayerError(failure, { op: method });
    answerError(response, error);
  }
  // What is left of a body has to be read, or the connection cannot carry the next call.
  request.resume();
  options.log({
    method,
    ms: performance.now() - start,
    status: response.statusCode,
    ...(error && { error }),
  });
}

async function answer(
  options: ServerOptions,
  method: string,
  request: IncomingMessage,
  response: ServerResponse,
  caller: Caller,
): Promise<void> {
  if (request.method !== 'POST') throw unknownCall(`${request.method ?? ''} ${method}`);
  if (method === 'GraphDriver.ApplyDiff') {
    const query = new URLSearchParams((request.url ?? '').split('?')[1] ?? '');
    return answerJson(response, 200, await applyDiff(options.service, query, request, caller));
  }
  const call = Object.hasOwn(CALLS, method) ? CALLS[method] : undefined;
  if (!call && method !== 'GraphDriver.Diff') throw unknownCall(method);
  const body = await readBody(request);
  const fields = WITHOUT_FIELDS.has(method) ? {} : parseBody(body);
  if (!call) return diff(options.service, fields, response, caller);
  answerJson(response, 200, await call(options, fields, caller));
}

/** Whether the caller still waits. The signal is made when somebody asks for it: most calls are over in less time than that takes. */
class Caller {
  #gone = false;
  #controller: AbortController | undefined;

  constructor(response: ServerResponse) {
    response.once('close', () => {
      if (response.writableFinished) return;
      this.#gone = true;
      this.#controller?.abort();
    });
  }

  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    if (this.#gone) this.#controller.abort();
    return this.#controller.signal;
  }
}

/** By events: an async iterator would cost a small call a fifth of its time. */
function readBody(request: IncomingMessage): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let length = 0;
    request.on('data', (chunk: Buffer) => {
      length += chunk.length;
      if (length > MAX_BODY) reject(tooLarge());
      else chunks.push(chunk);
    });
    request.on('end', () => resolve(Buffer.concat(chunks)));
    request.on('error', (cause) => reject(cutOff(cause)));
  });
}

function answerJson(response: ServerResponse, status: number, value: object): void {
  const body = `${JSON.stringify(value)}\n`;
  response.writeHead(status, { 'Content-Type': CONTENT_TYPE, 'Content-Length': Buffer.byteLength(body) });
  response.end(body);
}

function answerError(response: ServerResponse, error: ThinlayerError): void {
  if (response.headersSent || response.destroyed) response.destroy();
  else answerJson(response, STATUS[error.code], { Err: error.message });
}

function unknownCall(method: string): ThinlayerError {
  const shown = method.length > 80 ? `${method.slice(0, 80)}…` : method;
  return new ThinlayerError(
    'not_found',
    `unknown call ${JSON.stringify(shown)}; this is a graph driver for Docker`,
  );
}

function cutOff(cause: Error): ThinlayerError {
  return new ThinlayerError('aborted', 'the connection ended in the middle of the request', { cause });
}

function tooLarge(): ThinlayerError {
  return new ThinlayerError('invalid_argument', `the request is larger than ${MAX_BODY} bytes`);
}
