/** How a parser may end. */

import assert from 'node:assert/strict';

import { ThinlayerError } from '../../src/core/errors.js';

/** False if it was refused; nothing but a refusal may be thrown. */
export function taken(work: () => unknown): boolean {
  try {
    work();
    return true;
  } catch (error) {
    assert.ok(error instanceof ThinlayerError, `threw ${String(error)}`);
    assert.notEqual(error.code, 'internal');
    return false;
  }
}
