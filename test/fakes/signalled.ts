/** A promise and what resolves it: how a test waits for a moment inside a fake, or holds a fake there. */
export function signalled<T = void>(): { promise: Promise<T>; signal: (value: T) => void } {
  let signal: (value: T) => void = () => undefined;
  const promise = new Promise<T>((resolve) => (signal = resolve));
  return { promise, signal };
}
