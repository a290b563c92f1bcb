/**
 * What the linter holds: likely mistakes, promises that are looked after, and the architecture.
 *
 * A file of `src` imports from its own layer and from lower ones, and only projections speak SQL. The rules of an
 * override replace those before it, so the forbidden imports of each layer are put together whole.
 */

import { defineConfig, type OxlintOverride } from 'oxlint';

/** Lowest first. Those that share a line do not know each other. What isn't named stands beside the lowest. */
const LAYERS: readonly (readonly string[])[] = [
  ['json', 'statecharts'],
  ['policy', 'audit'],
  ['projections'],
  ['incidents'],
  ['containment'],
  ['health.ts', 'config.ts', 'client'],
  ['metrics'],
  ['api', 'cli', 'console'],
  ['service.ts', 'local-use.ts', 'main.ts'],
  ['inspect'],
];

const isFile = (name: string): boolean => name.endsWith('.ts');

interface ForbiddenImports {
  readonly group: string[];
  readonly message: string;
}

const NODE: ForbiddenImports = { group: ['node:*'], message: 'The console runs in a browser.' };

const SQLITE: ForbiddenImports = { group: ['node:sqlite'], message: 'SQL lives in src/projections.' };

/** It would bring zod-openapi and all examples into the service. */
const DESCRIPTION: ForbiddenImports = {
  group: ['**/*.openapi.ts', '**/openapi/*.ts'],
  message: 'The description of the API is made by the build; the service serves the file.',
};

const forbid = (...patterns: ForbiddenImports[]): NonNullable<OxlintOverride['rules']> => ({
  'no-restricted-imports': ['error', { patterns }],
});

const notBelow = (name: string, rank: number): ForbiddenImports => ({
  group: [
    ...LAYERS.slice(rank)
      .flat()
      .filter((other) => other !== name)
      .map((other) => (isFile(other) ? `**/${other}` : `**/${other}/**`)),
    // The API has a folder of its own for the routes of the console.
    ...(name === 'api' ? ['!./console/**'] : []),
  ],
  message: 'Imports run downward only, by the layers in .ci/oxlint.config.ts.',
});

const layers = LAYERS.flatMap((names, rank) =>
  names
    .filter((name) => !isFile(name))
    .map((name) => ({
      files: [`**/src/${name}/**`],
      rules: forbid(
        notBelow(name, rank),
        DESCRIPTION,
        ...(name === 'projections' ? [] : [SQLITE]),
        ...(name === 'console' ? [NODE] : []),
      ),
    })),
);

const description = {
  files: ['**/src/api/openapi/**', '**/src/api/**/*.openapi.ts'],
  rules: forbid(
    notBelow(
      'api',
      LAYERS.findIndex((names) => names.includes('api')),
    ),
    SQLITE,
  ),
};

const base = {
  files: ['clock', 'entry-events', 'errors', 'loopback', 'secret-file', 'version'].map((name) => `**/src/${name}.ts`),
  rules: forbid(notBelow('', 0), SQLITE),
};

/** The client is installed elsewhere, alone: of the rest it takes types at most, and none that need a package. */
const client = {
  files: ['**/src/client/**'],
  rules: forbid({
    group: ['*', '!node:*', '!node:*/*', '!./*', '!../../machines/vocabulary.ts'],
    message: 'The client needs Node and nothing else.',
  }),
};

const machines = {
  files: ['**/machines/**'],
  rules: forbid({
    group: ['*', '!xstate', '!./*'],
    message: 'Machines are pure: they import xstate and each other.',
  }),
};

export default defineConfig({
  options: { typeAware: true, denyWarnings: true, reportUnusedDisableDirectives: 'error' },
  plugins: ['eslint', 'typescript', 'unicorn', 'oxc', 'import', 'node'],
  categories: { correctness: 'error', suspicious: 'error' },
  rules: {
    'import/no-cycle': ['error', { ignoreTypes: false }],
    'no-console': 'error',
    'node/no-process-env': 'error',
    eqeqeq: 'error',
    'no-empty': 'error',
    'no-var': 'error',
    'typescript/no-explicit-any': 'error',
    'typescript/no-misused-promises': 'error',
    'typescript/only-throw-error': 'error',
    'typescript/require-await': 'error',
    'typescript/return-await': 'error',
    'typescript/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
    'no-unused-vars': ['error', { argsIgnorePattern: '^_' }],
    // The compiler's noImplicitReturns says the same, and knows of undefined.
    'typescript/consistent-return': 'off',
    // [...text] is how to take a string by code points.
    'typescript/no-misused-spread': 'off',
    // It takes `unknown` for an object even after the objects have been told apart.
    'typescript/no-base-to-string': 'off',
    // What has just been checked against a schema is asserted to have its type.
    'typescript/no-unsafe-type-assertion': 'off',
    // The names of zod/mini end so: `z._default`.
    'no-underscore-dangle': 'off',
    // A small function may stand beside its only use.
    'unicorn/consistent-function-scoping': 'off',
    // `import fc from 'fast-check'` and `import pino from 'pino'` are those packages' own way.
    'import/no-named-as-default': 'off',
    'import/no-named-as-default-member': 'off',
    ...forbid(SQLITE, DESCRIPTION),
  },
  overrides: [
    base,
    ...layers,
    description,
    machines,
    client,
    {
      files: ['**/src/config.ts', '**/src/main.ts', '**/src/inspect/main.ts', '**/src/cli/**'],
      rules: { 'node/no-process-env': 'off' },
    },
    {
      files: ['**/src/main.ts', '**/src/cli/**', '**/src/build/**'],
      rules: { 'no-console': 'off' },
    },
    {
      files: ['**/src/build/**'],
      rules: forbid(SQLITE),
    },
    {
      files: ['**/test/**'],
      rules: {
        'no-restricted-imports': 'off',
        'no-console': 'off',
        'node/no-process-env': 'off',
        'typescript/require-await': 'off',
      },
    },
  ],
});
