/** How a call of the addon is stopped while it runs: by a byte that its thread looks at between its steps (native/cancel.h). */

import type { Cancel } from '../core/service.js';

/** Runs `call` with a flag that is set once the signal aborts; the call then rejects with ECANCELED. */
export async function withCancelFlag<T>(
  { signal }: Cancel,
  call: (flag: Uint8Array) => Promise<T>,
): Promise<T> {
  const flag = new Uint8Array(1);
  // Atomically: the thread reads it meanwhile.
  const set = () => void Atomics.store(flag, 0, 1);
  if (signal?.aborted) set();
  signal?.addEventListener('abort', set, { once: true });
  try {
    return await call(flag);
  } finally {
    signal?.removeEventListener('abort', set);
  }
}
