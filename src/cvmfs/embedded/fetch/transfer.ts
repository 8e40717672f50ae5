/** One attempt: one question to one server, through one proxy, and its answer. */

import { ThinlayerError } from '../../../core/errors.js';
import { refusal } from '../refusal.js';
import type { Body } from './body.js';
import type { Connections } from './connections.js';
import type { HostCounts } from './counters.js';
import type { Answer } from './exchange.js';
import { networkFailure, statusFailure, suspect } from './failure.js';
import { rangeFault } from './range.js';
import type { ByteRange } from './range.js';
import type { Route } from './routes.js';
import { Watch } from './watch.js';
import type { SpeedLimits } from './watch.js';

/** Chunks as they arrive; throws a TransferFailure when they stop to, a refusal when there are too many. */
export type Arriving = AsyncGenerator<Buffer, void, undefined>;

export interface Attempt {
  readonly route: Route;
  readonly path: string;
  readonly noCache: boolean;
  /** Asked for in place of the whole. */
  readonly range?: ByteRange | undefined;
  /** More bytes than that are refused. */
  readonly bound: number;
  readonly limits: SpeedLimits;
  readonly counts: HostCounts;
  readonly signal: AbortSignal | undefined;
}

/** An answer's text that is read and thrown away for the sake of its connection. */
const SMALL_BODY = 8 * 1024;

/** Rejects with a TransferFailure, with `aborted` if the caller gave up, or with what `receive` threw. */
export async function transfer<T>(
  connections: Connections,
  attempt: Attempt,
  receive: (body: Arriving) => Promise<T>,
): Promise<T> {
  const { route, signal } = attempt;
  const watch = new Watch(attempt.limits, suspect(route), signal);
  try {
    const response = await ask(connections, attempt, watch);
    await checkAnswer(response, attempt);
    watch.pause();
    return await receiveFrom(response, attempt, watch, receive);
  } catch (error) {
    if (!signal?.aborted) throw error;
    throw new ThinlayerError('aborted', 'the fetch was cancelled by its caller', {
      op: 'fetch',
      cause: error,
    });
  } finally {
    watch.stop();
  }
}

async function ask(connections: Connections, attempt: Attempt, watch: Watch): Promise<Answer> {
  const { path, noCache, range } = attempt;
  const exchange = connections.ask(attempt.route, { path, noCache, range });
  watch.onEnd((reason) => exchange.abort(reason));
  try {
    return await exchange.answer;
  } catch (error) {
    throw networkFailure(error, attempt.route);
  }
}

/** A receiver that fails may not have begun to read, for want of room, say: the rest must not wait for it for ever. */
async function receiveFrom<T>(
  response: Answer,
  attempt: Attempt,
  watch: Watch,
  receive: (body: Arriving) => Promise<T>,
): Promise<T> {
  try {
    return await receive(arriving(response, attempt, watch));
  } finally {
    response.body.destroy();
  }
}

async function checkAnswer(response: Answer, attempt: Attempt): Promise<void> {
  const fault = answerFault(response, attempt);
  if (!fault) return;
  const length = Number(response.headers['content-length'] ?? Infinity);
  if (length <= SMALL_BODY) await readToEnd(response.body);
  else response.body.destroy();
  throw fault;
}

function answerFault(response: Answer, attempt: Attempt): Error | null {
  const { path, range, route } = attempt;
  const isPart = range !== undefined && response.statusCode === 206;
  const failure = isPart ? null : statusFailure(response, route);
  const wrongPart = range && !failure ? rangeFault(response, path, range) : null;
  return failure ?? wrongPart ?? headerFault(response, attempt);
}

/** What it says, or why it ends, is of no interest: the answer is refused already. */
async function readToEnd(body: Body): Promise<void> {
  try {
    while (await body.next()) continue;
  } catch {
    body.destroy();
  }
}

function headerFault({ headers }: Answer, { path, bound }: Attempt): ThinlayerError | null {
  const encoding = headers['content-encoding'];
  if (encoding !== undefined && encoding !== 'identity') {
    return refusal(`${path} comes with an encoding that was not asked for: ${String(encoding).slice(0, 80)}`);
  }
  const length = Number(headers['content-length'] ?? 0);
  return length > bound ? refusal(`${path} has ${length} bytes, more than the ${bound} it may have`) : null;
}

async function* arriving(
  { body, readOn }: Answer,
  { route, path, bound, counts }: Attempt,
  watch: Watch,
): Arriving {
  let total = 0;
  for (;;) {
    watch.resume();
    const chunk = await read(body, route);
    if (chunk === null) return;
    readOn();
    total += chunk.length;
    counts.bytes += chunk.length;
    watch.arrived(chunk.length);
    if (total > bound) throw refusal(`${path} has more than the ${bound} bytes it may have`);
    watch.pause();
    yield chunk;
  }
}

async function read(body: Body, route: Route): Promise<Buffer | null> {
  try {
    return await body.next();
  } catch (error) {
    throw networkFailure(error, route);
  }
}
