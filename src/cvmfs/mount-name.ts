/** What is named after a mountpoint, in a directory that several homes share: two homes may mount the same repository. */

import { createHash } from 'node:crypto';

export function mountName(mountpoint: string): string {
  return createHash('sha256').update(mountpoint).digest('hex').slice(0, 24);
}
