/** What the store needs of a logger; a pino logger fits. */

type Write = (fields: Readonly<Record<string, unknown>>, message: string) => void;

export interface StoreLog {
  readonly info: Write;
  readonly warn: Write;
  readonly error: Write;
}
