/** One piece of work for all who ask for the same at the same time. It ends early only when all of them gave up. */

import { ThinlayerError } from '../../core/errors.js';

interface Flight<T> {
  readonly result: Promise<T>;
  readonly abort: AbortController;
  waiting: number;
  over: boolean;
}

export class Flights<T> {
  readonly #flights = new Map<string, Flight<T>>();

  /** `work` is that of the first who asks. A caller who gives up gets `aborted`; the others go on waiting. */
  async join(
    key: string,
    signal: AbortSignal | undefined,
    work: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const flight = this.#flights.get(key) ?? this.#start(key, work);
    flight.waiting += 1;
    try {
      return await (signal ? unlessGivenUp(flight.result, signal) : flight.result);
    } finally {
      flight.waiting -= 1;
      if (flight.waiting === 0) this.#end(key, flight);
    }
  }

  #start(key: string, work: (signal: AbortSignal) => Promise<T>): Flight<T> {
    const abort = new AbortController();
    const over = () => void (flight.over = true);
    const flight = { result: work(abort.signal), abort, waiting: 0, over: false };
    flight.result.then(over, over);
    this.#flights.set(key, flight);
    return flight;
  }

  /** A failure was told to those who waited; those who gave up do not want to know. */
  #end(key: string, flight: Flight<T>): void {
    if (this.#flights.get(key) === flight) this.#flights.delete(key);
    if (!flight.over) flight.abort.abort();
  }
}

/** Rejects when `signal` says so. */
function unlessGivenUp<T>(result: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const leave = () =>
      reject(new ThinlayerError('aborted', 'the fetch was cancelled by its caller', { op: 'fetch' }));
    if (signal.aborted) leave();
    signal.addEventListener('abort', leave, { once: true });
    const stay = () => signal.removeEventListener('abort', leave);
    result.then(resolve, reject).finally(stay);
  });
}
