/**
 * dist/bin/thinlayer-cvmfs.js: the modules of the client in one file, since a container waits while it starts. Eighty of them
 * take Node 35 ms to load, and far longer from a cold disk or a network file system.
 */

import { dirname, relative } from 'node:path';

const FILE = 'dist/bin/thinlayer-cvmfs.js';

/** A module finds the addon from where it was compiled to. */
const ownUrl = {
  name: 'own-url',
  resolveImportMeta(property, { moduleId }) {
    if (property !== 'url') return null;
    return `new URL(${JSON.stringify(relative(dirname(FILE), moduleId))}, import.meta.url).href`;
  },
};

export default {
  input: 'dist/src/cvmfs-main.js',
  external: (id) => !id.startsWith('.') && !id.startsWith('/'),
  plugins: [ownUrl],
  output: {
    file: FILE,
    format: 'es',
    banner: '#!/usr/bin/env node',
    sourcemap: true,
    inlineDynamicImports: true,
  },
};
