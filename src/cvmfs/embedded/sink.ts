/** Where verified content goes. What is written counts only when the whole object turned out right. */

/** Of smaller chunks a sink may keep the memory until the object is whole. */
export const KEPT_BYTES = 128 * 1024;

export interface Sink {
  write(chunk: Buffer): Promise<void>;
}
