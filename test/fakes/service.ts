/** A LayerService whose methods a test gives; it keeps what it was asked. */

import { ThinlayerError } from '../../src/core/errors.js';
import type { LayerService } from '../../src/core/service.js';

export interface FakeService extends LayerService {
  /** Method and arguments of each call, without streams and signals. */
  readonly calls: unknown[][];
}

export function fakeService(methods: Partial<LayerService> = {}): FakeService {
  const calls: unknown[][] = [];
  const named = (name: string) => {
    const method = (methods as Record<string, ((...args: unknown[]) => unknown) | undefined>)[name];
    // Its home is open, unless a test says otherwise.
    if (name === 'settled' && !method) return () => Promise.resolve();
    return (...args: unknown[]): unknown => {
      calls.push([name, ...args.filter(isValue)]);
      if (method) return method(...args);
      throw new ThinlayerError('unimplemented', `${name} is not expected in this test`);
    };
  };
  return new Proxy({ calls } as FakeService, {
    get: (_, name) => (name === 'calls' ? calls : named(String(name))),
  });
}

/** Streams, and the objects that carry a signal, are no values. */
function isValue(argument: unknown): boolean {
  if (typeof argument !== 'object' || argument === null) return true;
  return !(Symbol.asyncIterator in argument) && !('signal' in argument);
}
