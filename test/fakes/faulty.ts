/**
 * Faults for a port, written as terms: `1*off->1*error(EBUSY)->hang` lets the first call through, fails the second,
 * and holds every later one until `release`. After the last counted term a method works again.
 */

import { ThinlayerError } from '../../src/core/errors.js';
import type { ErrorCode } from '../../src/core/errors.js';
import { signalled } from './signalled.js';

type Method = (...args: unknown[]) => Promise<unknown>;

interface Term {
  left: number;
  readonly action: 'off' | 'error' | 'hang';
  readonly error: string;
}

export interface Faulty<T> {
  readonly port: T;
  /** Resolves when the first call hangs. */
  readonly hanging: Promise<void>;
  /** Lets go on what hangs; nothing hangs from now on. */
  release(): void;
}

/** Only for methods that answer a promise. */
export function faulty<T extends object>(
  port: T,
  terms: Partial<Record<keyof T & string, string>>,
): Faulty<T> {
  const reached = signalled();
  const released = signalled();
  const plans = new Map(Object.entries<string | undefined>(terms).map(([k, v]) => [k, parse(v ?? 'off')]));
  const wrap = (name: string, method: Method): Method => {
    return async (...args) => {
      const { action, error } = next(plans.get(name) ?? []);
      if (action === 'error') throw injected(name, error);
      if (action === 'hang') {
        reached.signal();
        await released.promise;
      }
      return method.apply(port, args);
    };
  };
  const wrapped = new Proxy(port, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== 'function') return value;
      return plans.has(String(name)) ? wrap(String(name), value as Method) : value.bind(target);
    },
  });
  return { port: wrapped, hanging: reached.promise, release: released.signal };
}

function parse(text: string): Term[] {
  return text.split('->').map((term) => {
    const match = /^(?:(\d+)\*)?(off|hang|error)(?:\(([A-Za-z_]+)\))?$/.exec(term.trim());
    if (!match) throw new Error(`not a fault: ${term}`);
    const [, count, action, error] = match;
    return {
      left: count === undefined ? Infinity : Number(count),
      action: action as Term['action'],
      error: error ?? 'EIO',
    };
  });
}

function next(plan: Term[]): Term {
  const term = plan.find((t) => t.left > 0);
  if (!term) return { left: 0, action: 'off', error: '' };
  term.left -= 1;
  return term;
}

/** `error(unavailable)` is that code; the name of an errno comes as `internal`, as an adapter would tell it. */
function injected(method: string, name: string): ThinlayerError {
  const code = /^[a-z]/.test(name) ? (name as ErrorCode) : 'internal';
  return new ThinlayerError(code, `${method}: ${name} (injected)`);
}
