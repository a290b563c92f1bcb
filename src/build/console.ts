/**
 * Bundles the web console, `src/console`, into `dist/console/`: files that the service sends unchanged.
 *
 * Every file except the pages has a hash of its content in its name, so that browsers can cache it for ever. Next to
 * each file are its compressed forms (`.br`, `.gz`): the host has no time to compress.
 */

import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join, parse } from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';
import { build } from 'rolldown';

/** The URL path of the files. */
const BASE = '/console/';

/** The page of each service: the same scripts, which read from the page whose it is. */
const PAGES = { 'index.html': 'recorder', 'fleet.html': 'fleet' } as const;

/** Builds the console of the checkout at `root`. */
export const buildConsole = async (root: string): Promise<void> => {
  const from = join(root, 'src/console');
  const to = join(root, 'dist/console');
  await mkdir(to, { recursive: true });
  const { output } = await build({
    cwd: root,
    input: { main: join(from, 'main.tsx') },
    platform: 'browser',
    transform: { target: 'es2023' },
    output: {
      dir: to,
      format: 'esm',
      entryFileNames: '[name]-[hash].js',
      chunkFileNames: '[name]-[hash].js',
      minify: true,
    },
  });
  const script = output.find((file) => file.type === 'chunk' && file.isEntry)!.fileName;

  const save = async (name: string, content: string): Promise<string> => {
    const { name: stem, ext } = parse(name);
    const hash = createHash('sha256').update(content).digest('base64url').slice(0, 8);
    const named = `${stem}-${hash}${ext}`;
    await writeFile(join(to, named), content);
    return named;
  };
  const names = new Map([
    ['main.js', script],
    ['console.css', await save('console.css', await styles(from))],
    ['icon.svg', await save('icon.svg', await readFile(join(from, 'icon.svg'), 'utf8'))],
  ]);
  const page = await readFile(join(from, 'index.html'), 'utf8');
  for (const [name, service] of Object.entries(PAGES)) {
    await writeFile(
      join(to, name),
      page
        .replace('{{service}}', service)
        .replace('{{title}}', service)
        .replaceAll(/\{\{(.+?)\}\}/g, (_, file: string) => BASE + names.get(file)!),
    );
  }
  await compressAll(to);
};

/** One style sheet of all in the order of their names, without comments and indentation. */
const styles = async (from: string): Promise<string> => {
  const sheets = (await readdir(join(from, 'styles'))).toSorted().map((name) => join(from, 'styles', name));
  const text = (await Promise.all(sheets.map((path) => readFile(path, 'utf8')))).join('\n');
  return text.replaceAll(/\/\*.*?\*\//gs, '').replaceAll(/\s*\n\s*/g, '\n');
};

const compressAll = async (directory: string): Promise<void> => {
  const names = await readdir(directory);
  await Promise.all(
    names.map(async (name) => {
      const content = await readFile(join(directory, name));
      const quality = { [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY };
      await writeFile(join(directory, `${name}.br`), brotliCompressSync(content, { params: quality }));
      await writeFile(join(directory, `${name}.gz`), gzipSync(content, { level: constants.Z_BEST_COMPRESSION }));
    }),
  );
};
