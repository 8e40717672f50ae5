/** Descriptors that whoever started this process left open for it. */

import { fstatSync } from 'node:fs';

import { ThinlayerError } from '../core/errors.js';

/** Throws if it is not open. `option` is where it was named, for the message. */
export function checkDescriptor(option: string, fd: number): void {
  try {
    fstatSync(fd);
  } catch (cause) {
    throw new ThinlayerError(
      'invalid_argument',
      `${option}: descriptor ${fd} is not open in this process; open it for whoever waits (${fd}>FILE in a shell), or leave the option out`,
      { op: 'options', cause },
    );
  }
}
