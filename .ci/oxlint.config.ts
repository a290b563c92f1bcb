/**
 * The rules of the linter: likely mistakes, promises that nobody awaits, and the architecture.
 *
 * Architecture: a file of `src` imports from its own layer and from lower layers. The domain and the machines are pure,
 * only the projections import `node:sqlite`, and the client needs Node only. Circles are forbidden.
 *
 * An override replaces the rules of the overrides before it, so each layer gets all of its forbidden imports at once.
 */

import { readdirSync } from 'node:fs';
import { defineConfig, type OxlintOverride } from 'oxlint';

/** Files below all layers. They import each other only. */
const BASE = [
  'anchor',
  'async-files',
  'backoff',
  'challenge',
  'clock',
  'duration',
  'durable-file',
  'errors',
  'freed-buffers',
  'loopback',
  'path-trust',
  'private-group',
  'process-mark',
  'proof',
  'refusal-log',
  'secret-file',
  'signed-note',
  'signed-request',
  'standard-stream',
  'version',
  'when-used',
];

/** The folders and files of `src`, lowest first. Those in one line may not import each other. */
const LAYERS: readonly (readonly string[])[] = [
  ['json', 'statecharts'],
  ['domain'],
  ['policy', 'audit', 'search'],
  ['query'],
  ['access'],
  ['projections'],
  ['incidents'],
  ['containment', 'forensic'],
  ['bundle'],
  ['client', 'config.ts', 'health.ts', 'process-log.ts', 'process-output.ts'],
  ['metrics', 'local-use.ts'],
  ['ship'],
  ['api', 'cli', 'console'],
  ['compose', 'fleet'],
  ['main.ts', 'inspect', 'build'],
];

const isFile = (name: string): boolean => name.endsWith('.ts');

const PLACED = new Set([...LAYERS.flat(), ...BASE.map((name) => `${name}.ts`)]);
const unplaced = readdirSync(new URL('../src', import.meta.url), { withFileTypes: true })
  .filter((entry) => entry.isDirectory() || isFile(entry.name))
  .filter(({ name }) => !PLACED.has(name));
if (unplaced.length > 0) {
  throw new Error(
    `LAYERS in .ci/oxlint.config.ts does not name src/${unplaced.map(({ name }) => name).join(', src/')}`,
  );
}

interface ForbiddenImports {
  readonly group: string[];
  readonly message: string;
}

const NODE: ForbiddenImports = { group: ['node:*'], message: 'The console runs in a browser.' };

const SQLITE: ForbiddenImports = { group: ['node:sqlite'], message: 'SQL lives in src/projections.' };

/** It would load zod-openapi and all examples into the service. */
const DESCRIPTION: ForbiddenImports = {
  group: ['**/*.openapi.ts', '**/openapi/*.ts'],
  message: 'The description of the API is made by the build; the service serves the file.',
};

const forbid = (...patterns: ForbiddenImports[]): NonNullable<OxlintOverride['rules']> => ({
  'no-restricted-imports': ['error', { patterns }],
});

/** Imports that look upward and are allowed. */
const EXCEPTIONS: Partial<Record<string, readonly string[]>> = {
  // Folders of the API itself: the routes that serve the console's files, and those for the fleet.
  api: ['./console/**', './fleet/**', '../fleet/fleet.openapi.ts'],
  // The main file of the command line, not of the service.
  build: ['../cli/main.ts'],
};

/** Forbids what is in the same layer or above. */
const notBelow = (name: string, rank: number): ForbiddenImports => ({
  group: [
    ...LAYERS.slice(rank)
      .flat()
      .filter((other) => other !== name)
      .map((other) => (isFile(other) ? `**/${other}` : `**/${other}/**`)),
    ...(EXCEPTIONS[name] ?? []).map((path) => `!${path}`),
  ],
  message: 'Imports run downward only, by LAYERS in .ci/oxlint.config.ts.',
});

const layers = LAYERS.flatMap((names, rank) =>
  names.map((name) => ({
    files: [isFile(name) ? `**/src/${name}` : `**/src/${name}/**`],
    rules: forbid(
      notBelow(name, rank),
      ...(name === 'build' ? [] : [DESCRIPTION]),
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
  files: BASE.map((name) => `**/src/${name}.ts`),
  rules: forbid(notBelow('', 0), SQLITE),
};

/** The domain is pure: no clock, no I/O, no packages. */
const domain = {
  files: ['**/src/domain/**'],
  rules: forbid({
    group: ['*', '!./*', '!../../machines/*', '!../json/*'],
    message: 'The domain is pure: it imports machines, json and itself.',
  }),
};

/** Everything except Node, and SQLite. */
const NOT_NODE = ['*', '!node:*', '!node:*/*', 'node:sqlite'];

/** The files of `BASE` that the client ships with. */
const SHIPPED = ['backoff', 'challenge', 'clock', 'durable-file', 'private-group', 'process-mark', 'proof'];

const shipped = {
  files: SHIPPED.map((name) => `**/src/${name}.ts`),
  rules: forbid({
    group: [...NOT_NODE, ...SHIPPED.map((name) => `!./${name}.ts`)],
    message: 'The client ships with this file: it needs Node and nothing else.',
  }),
};

/** The client is installed alone. From outside its folder it imports types, and base files that need Node only. */
const client = {
  files: ['**/src/client/**'],
  rules: forbid({
    group: [...NOT_NODE, '!./*', '!../../machines/vocabulary.ts', ...SHIPPED.map((name) => `!../${name}.ts`)],
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
    // The compiler's noImplicitReturns checks the same, and it understands undefined.
    'typescript/consistent-return': 'off',
    // [...text] splits a string into code points.
    'typescript/no-misused-spread': 'off',
    // It takes `unknown` for an object even after a check has excluded objects.
    'typescript/no-base-to-string': 'off',
    // A value that was just checked against a schema is asserted to have its type.
    'typescript/no-unsafe-type-assertion': 'off',
    // zod/mini has such names: `z._default`.
    'no-underscore-dangle': 'off',
    // A small function may be next to its only use.
    'unicorn/consistent-function-scoping': 'off',
    // `import fc from 'fast-check'` and `import pino from 'pino'` are what those packages recommend.
    'import/no-named-as-default': 'off',
    'import/no-named-as-default-member': 'off',
    ...forbid(SQLITE, DESCRIPTION),
  },
  overrides: [
    base,
    shipped,
    ...layers,
    description,
    domain,
    machines,
    client,
    {
      files: [
        '**/src/config.ts',
        '**/src/main.ts',
        '**/src/inspect/main.ts',
        '**/src/fleet/{main,local-fleet}.ts',
        '**/src/cli/**',
      ],
      rules: { 'node/no-process-env': 'off' },
    },
    {
      files: ['**/src/main.ts', '**/src/cli/**', '**/src/build/**'],
      rules: { 'no-console': 'off' },
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
