// Import direction is a lint error: each folder lists what of ours it may import (ARCHITECTURE.md, "Folders").
import tseslint from 'typescript-eslint';

const FOLDERS = {
  'src/core': [],
  actors: ['src/core'],
  'src/store': ['src/core'],
  'src/archive': ['src/core'],
  'src/cvmfs': ['src/core'],
  'src/publish': ['src/core'],
  'src/host': ['src/core'],
  'src/frontends/graphdriver': ['src/core'],
  'src/frontends/inspector': ['src/core'],
  'src/cli': ['src/core'],
};

/** A pattern for the relative imports of a file in `folder` that leave it for a folder that is not allowed. */
function forbidden(folder, allowed) {
  const foreign = ['src/(?!core/)', 'actors/', 'test/', 'native/'].join('|');
  const others = Object.keys(FOLDERS).filter((f) => f !== folder && !allowed.includes(f));
  const names = others.map((f) => f.replace(/^src\//, '')).join('|');
  return [
    {
      regex: `^\\.\\./(.*/)?(${names})/`,
      message: `${folder} may import only: ${[...allowed, 'itself'].join(', ')}`,
    },
    { regex: `^\\.\\./(.*/)?(test|native|main)(/|\\.)`, message: `${folder} may not import ${foreign}` },
  ];
}

const XSTATE = { name: 'xstate', message: 'xstate is imported in actors/ only' };
const EFFECTS = ['node:fs', 'node:fs/promises', 'node:net', 'node:http', 'node:child_process'].map(
  (name) => ({
    name,
    message: 'src/core is pure',
  }),
);

export default tseslint.config(
  { ignores: ['dist/**', 'native/build*/**', 'node_modules/**', 'test/fixtures/**'] },
  ...tseslint.configs.recommended.map((c) => ({ ...c, files: ['**/*.ts'] })),
  {
    files: ['**/*.ts'],
    languageOptions: { parserOptions: { project: './tsconfig.json' } },
    rules: {
      '@typescript-eslint/no-floating-promises': [
        'error',
        {
          allowForKnownSafeCalls: [
            {
              from: 'package',
              package: 'node:test',
              name: ['test', 'it', 'describe', 'suite', 'before', 'after'],
            },
          ],
        },
      ],
      '@typescript-eslint/no-misused-promises': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': 'error',
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'separate-type-imports' }],
      'no-empty': ['error', { allowEmptyCatch: false }],
      'max-lines': ['error', { max: 400, skipComments: true }],
      'max-lines-per-function': ['error', { max: 60, skipComments: true }],
    },
  },
  { files: ['test/**/*.ts', 'actors/*.machine.ts'], rules: { 'max-lines-per-function': 'off' } },
  ...Object.entries(FOLDERS).map(([folder, allowed]) => ({
    files: [`${folder}/**/*.ts`],
    rules: {
      'no-restricted-imports': [
        'error',
        {
          paths: [...(folder === 'actors' ? [] : [XSTATE]), ...(folder === 'src/core' ? EFFECTS : [])],
          patterns: forbidden(folder, allowed),
        },
      ],
    },
  })),
);
