/** One piece of work for all who ask for the same at the same time. It ends early only when all of them gave up. */

import { ThinlayerError } from '../../core/errors.js';

interface Flight<T> {
  readonly result: Promise<T>;
  readonly abort: AbortController;
  waiting: number;
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
    const gone = new AbortController();
    try {
      return await Promise.race([flight.result, givenUp(signal, gone.signal)]);
    } finally {
      gone.abort();
      flight.waiting -= 1;
      if (flight.waiting === 0) this.#end(key, flight);
    }
  }

  #start(key: string, work: (signal: AbortSignal) => Promise<T>): Flight<T> {
    const abort = new AbortController();
    const flight = { result: work(abort.signal), abort, waiting: 0 };
    this.#flights.set(key, flight);
    return flight;
  }

  #end(key: string, flight: Flight<T>): void {
    if (this.#flights.get(key) === flight) this.#flights.delete(key);
    flight.abort.abort();
    flight.result.catch(() => {
      // Told to those who waited; those who gave up do not want to know.
    });
  }
}

/** Rejects when `signal` says so; settles never otherwise, and forgets its caller at `gone`. */
function givenUp(signal: AbortSignal | undefined, gone: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    const leave = () =>
      reject(new ThinlayerError('aborted', 'the fetch was cancelled by its caller', { op: 'fetch' }));
    if (signal?.aborted) leave();
    signal?.addEventListener('abort', leave, { once: true });
    gone.addEventListener('abort', () => signal?.removeEventListener('abort', leave), { once: true });
  });
}
