import { join } from 'node:path';
import { build } from 'rolldown';

/** Makes one JavaScript file of a script here and what it imports: without compilers Node can't strip types. */
export async function bundle(script: string, directory: string): Promise<string> {
  const file = join(directory, script.replace(/\.ts$/, '.mjs'));
  await build({
    input: join(import.meta.dirname, script),
    platform: 'node',
    logLevel: 'silent',
    output: { file, format: 'esm', codeSplitting: false },
  });
  return file;
}
