/**
 * `dist/client`: the client as plain modules with their types, for services that import it. It is not bundled: who steps
 * into it reads what stands in `src/client`.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync, mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';

/** What the client takes from elsewhere, which is types alone. */
const ELSEWHERE = ['machines/vocabulary.d.ts'];

/** Builds the client of the checkout at `root` into its `dist/client`. Throws what the compiler says against it. */
export function buildClient(root: string): void {
  const emitted = mkdtempSync(join(tmpdir(), 'incident-recorder-client-'));
  try {
    const compiler = join(root, 'node_modules/typescript/bin/tsc');
    const project = join(root, 'src/client/tsconfig.json');
    execFileSync(process.execPath, [compiler, '-p', project, '--outDir', emitted], { stdio: 'inherit' });
    const own = readdirSync(join(emitted, 'src/client')).map((name) => join('src/client', name));
    const target = join(root, 'dist/client');
    mkdirSync(target, { recursive: true });
    for (const path of [...own, ...ELSEWHERE]) {
      const text = readFileSync(join(emitted, path), 'utf8');
      if (!isNothing(text)) writeFileSync(join(target, basename(path)), sideBySide(text));
    }
  } finally {
    rmSync(emitted, { recursive: true });
  }
}

/** What is left of a module of types: it is imported by declarations only. */
const isNothing = (text: string): boolean => text.replace(/\/\*.*?\*\//gs, '').trim() === 'export {};';

/** Lets the files find each other in one directory, by the names that Node knows. */
const sideBySide = (text: string): string => text.replace(/(from )'\.[^']*?([\w-]+)\.(?:ts|js)'/g, "$1'./$2.js'");
