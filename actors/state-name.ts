/** The name of a machine's state, for people: of states within a state the outermost. */
export function stateName(value: unknown): string {
  return typeof value === 'object' && value !== null ? (Object.keys(value)[0] ?? '') : String(value);
}
