/** A failed system call, as the addon and node:fs reject with. */
export function systemError(code: string, message = `call: ${code}`, path?: string): Error {
  return Object.assign(new Error(message), { code, ...(path === undefined ? {} : { path }) });
}
