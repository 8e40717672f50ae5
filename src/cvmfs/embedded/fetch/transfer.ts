/** One attempt: one question to one server, through one proxy, and its answer. */

import { ThinlayerError } from '../../../core/errors.js';
import { refusal } from '../refusal.js';
import type { Answer } from './connection.js';
import type { Connections } from './connections.js';
import type { HostCounts } from './counters.js';
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
    const response = await ask(connections, attempt, watch.signal);
    await checkAnswer(response, attempt);
    watch.pause();
    return await receive(arriving(response, attempt, watch));
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

async function ask(connections: Connections, attempt: Attempt, signal: AbortSignal) {
  const { path, noCache, range } = attempt;
  try {
    return await connections.ask(attempt.route, { path, noCache, range, signal });
  } catch (error) {
    throw networkFailure(error, attempt.route);
  }
}

async function checkAnswer(response: Answer, attempt: Attempt): Promise<void> {
  const fault = answerFault(response, attempt);
  if (!fault) return;
  const length = Number(response.headers['content-length'] ?? Infinity);
  if (length <= SMALL_BODY) await response.body.dump({ limit: SMALL_BODY });
  else response.body.on('error', ignoreOwnEnd).destroy();
  throw fault;
}

function answerFault(response: Answer, attempt: Attempt): Error | null {
  const { path, range, route } = attempt;
  const isPart = range !== undefined && response.statusCode === 206;
  const failure = isPart ? null : statusFailure(response, route);
  const wrongPart = range && !failure ? rangeFault(response, path, range) : null;
  return failure ?? wrongPart ?? headerFault(response, attempt);
}

/** A body destroyed before its end says so, to whoever destroyed it. */
function ignoreOwnEnd(): void {}

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
  const chunks = (body as AsyncIterable<Buffer>)[Symbol.asyncIterator]();
  try {
    for (;;) {
      watch.resume();
      const next = await read(chunks, route);
      if (next.done) return;
      readOn();
      total += next.value.length;
      counts.bytes += next.value.length;
      watch.arrived(next.value.length);
      if (total > bound) throw refusal(`${path} has more than the ${bound} bytes it may have`);
      watch.pause();
      yield next.value;
    }
  } finally {
    body.on('error', ignoreOwnEnd).destroy();
  }
}

async function read(chunks: AsyncIterator<Buffer>, route: Route): Promise<IteratorResult<Buffer>> {
  try {
    return await chunks.next();
  } catch (error) {
    throw networkFailure(error, route);
  }
}
