/**
 * Builds `dist/client`: the client as plain modules with their types, for services that import it. It is not bundled,
 * so that a debugger shows the code of `src/client`.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync, mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';

/** What the client imports from outside `src/client`: types of the vocabulary, and modules that need Node only. */
const SHARED = [
  'machines/vocabulary.d.ts',
  ...['backoff', 'challenge', 'clock', 'durable-file', 'private-group', 'process-mark', 'proof'].flatMap((name) => [
    `src/${name}.js`,
    `src/${name}.d.ts`,
  ]),
];

/** Builds the client of the checkout at `root` into its `dist/client`. Throws when the compiler finds an error. */
export function buildClient(root: string): void {
  const emitted = mkdtempSync(join(tmpdir(), 'incident-recorder-client-'));
  try {
    const compiler = join(root, 'node_modules/typescript/bin/tsc');
    const project = join(root, 'src/client/tsconfig.json');
    execFileSync(process.execPath, [compiler, '-p', project, '--outDir', emitted], { stdio: 'inherit' });
    const own = readdirSync(join(emitted, 'src/client')).map((name) => join('src/client', name));
    const target = join(root, 'dist/client');
    mkdirSync(target, { recursive: true });
    for (const path of [...own, ...SHARED]) {
      const text = readFileSync(join(emitted, path), 'utf8');
      if (!isEmpty(text)) writeFileSync(join(target, basename(path)), inOneDirectory(text));
    }
  } finally {
    rmSync(emitted, { recursive: true });
  }
}

/** Whether nothing is left of a module: it held only types, and only declarations import it. */
const isEmpty = (text: string): boolean => text.replace(/\/\*.*?\*\//gs, '').trim() === 'export {};';

/** Rewrites the imports so that the files find each other in one directory, by the names that Node knows. */
const inOneDirectory = (text: string): string => text.replace(/(from )'\.[^']*?([\w-]+)\.(?:ts|js)'/g, "$1'./$2.js'");
