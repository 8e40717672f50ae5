import { ThinlayerError } from '../core/errors.js';
import type { ByteString } from '../core/tree.js';

/**
 * The path of an entry below the root: `/` in front, `.`, `..` and empty components are resolved as Go's
 * filepath.Clean does, which Docker uses. `.` is the root. Names that climb out (`../x`) are `invalid_argument`;
 * an absolute one cannot, since `/..` is `/`.
 */
export function entryPath(name: ByteString): ByteString {
  const isAbsolute = name.startsWith('/');
  const components: string[] = [];
  for (const component of name.split('/')) {
    if (component === '' || component === '.') continue;
    if (component !== '..') components.push(component);
    else if (components.pop() === undefined && !isAbsolute) throw climbsOut(name);
  }
  return components.length === 0 ? '.' : components.join('/');
}

function climbsOut(name: ByteString): ThinlayerError {
  return new ThinlayerError(
    'invalid_argument',
    `the archive names ${JSON.stringify(name)}, which is outside of the layer`,
    {
      op: 'apply',
      path: name,
    },
  );
}
