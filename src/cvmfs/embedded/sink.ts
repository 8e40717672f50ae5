/** Where verified content goes. What is written counts only when the whole object turned out right. */

/** As long as an object is no larger than that, a sink may keep the memory of its chunks. */
export const KEPT_BYTES = 128 * 1024;

export interface Sink {
  /** When it resolves, a chunk of more than KEPT_BYTES is its owner's again. */
  write(chunk: Buffer): Promise<void>;
}
