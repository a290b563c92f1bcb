/**
 * The packages of npm that built modules import when they run, because the build left them outside: each with the
 * packages that it depends on itself.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** `from"x"`, `import"x"`, `import("x")` and `require("x")`, where `x` is no path: with its name alone. */
const IMPORT = /\b(?:from|import|require)\s*\(?\s*["'`]((?:@[\w.-]+\/)?[a-z][\w.-]*)(?:\/[\w./-]*)?["'`]/g;

/**
 * @param directory of the built modules
 * @param names the names in it that count: files, and folders with files
 * @param modules the folder `node_modules`
 * @returns paths as `node_modules/x`, sorted
 */
export function packagesImportedBy(directory: string, names: RegExp, modules: string): readonly string[] {
  const found = new Set<string>();
  const add = (name: string): void => {
    const manifest = join(modules, name, 'package.json');
    if (found.has(name) || !existsSync(manifest)) return;
    found.add(name);
    const { dependencies = {} } = JSON.parse(readFileSync(manifest, 'utf8')) as {
      readonly dependencies?: Readonly<Record<string, string>>;
    };
    for (const needed of Object.keys(dependencies)) add(needed);
  };
  for (const path of readdirSync(directory, { recursive: true, encoding: 'utf8' })) {
    if (!names.test(path) || !/\.[cm]?js$/.test(path)) continue;
    for (const [, name = ''] of readFileSync(join(directory, path), 'utf8').matchAll(IMPORT)) add(name);
  }
  return [...found].toSorted().map((name) => `node_modules/${name}`);
}
