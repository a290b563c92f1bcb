/**
 * What tests run as processes: the bundles in `dist/`, which start in a third of the time and are what is shipped. While
 * coverage is measured, or when a source is newer than the last build, it is the sources.
 */
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';

export const ROOT = resolve(import.meta.dirname, '../..');

/** The build writes it last. */
const LAST_BUILT = join(ROOT, 'dist/bundle.cjs.cache');

const isNewest = (path: string): boolean => {
  if (!existsSync(path)) return false;
  const { mtimeMs } = statSync(path);
  return ['src', 'machines'].every((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' }).every(
      (name) => statSync(join(ROOT, folder, name)).mtimeMs <= mtimeMs,
    ),
  );
};

const RUNS_BUNDLES = process.env.NODE_V8_COVERAGE === undefined && isNewest(LAST_BUILT);

export const SERVICE = join(ROOT, RUNS_BUNDLES ? 'dist/service.cjs' : 'src/main.ts');
export const COMMAND_LINE = join(ROOT, RUNS_BUNDLES ? 'dist/cli.js' : 'src/cli/main.ts');
export const FLEET = join(ROOT, RUNS_BUNDLES ? 'dist/fleet.js' : 'src/fleet/main.ts');
