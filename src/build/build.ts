/**
 * `npm run build`: bundles the service, the command line and the web console into `dist/`.
 *
 * | in `dist/` | what it is |
 * | --- | --- |
 * | `bundle.cjs` | the service with every dependency, in one file |
 * | `bundle.cjs.cache` | what V8 has compiled of the bundle |
 * | `service.cjs` | runs the bundle |
 * | `warm-up.cjs` | compiles the bundle and writes its cache |
 * | `cli.js`, `cli/` | the command line, and one chunk for each subcommand |
 * | `fleet.js`, `fleet/` | the fleet, a program of its own; PGlite stays a package beside it |
 * | `openapi.json` | the description of the API |
 * | `client/` | the modules that reporting services import |
 * | `console/` | the web console |
 *
 * The hardened host can neither strip types, which needs WebAssembly, nor afford to load hundreds of files.
 */

import { chmod, rm, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { build, type BuildOptions } from 'rolldown';
import { openApiDocument } from '../api/openapi/document.ts';
import { buildClient } from './build-client.ts';
import { makeCachedData } from './cached-data.ts';
import { drawnCharts } from './drawn-charts.ts';
import { buildConsole } from './console.ts';
import { fewMediaTypes } from './few-media-types.ts';
import { fewMetricTypes } from './few-metric-types.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const standIn = (name: string): string => fileURLToPath(new URL(`./stand-ins/${name}.ts`, import.meta.url));

const common: BuildOptions = {
  cwd: root,
  platform: 'node',
  resolve: {
    alias: {
      assert: standIn('assert'),
      debug: standIn('debug'),
      destroy: standIn('destroy'),
      'iconv-lite': standIn('iconv-lite'),
      'node:assert': standIn('assert'),
      ...Object.fromEntries(
        ['any', 'form', 'json'].map((name) => [
          `${root}node_modules/co-body/lib/${name}.js`,
          standIn('co-body-format'),
        ]),
      ),
      [`${root}node_modules/pino/lib/transport.js`]: standIn('pino-transport'),
      'node:v8': standIn('v8'),
      worker_threads: standIn('worker-threads'),
      zlib: standIn('zlib'),
    },
  },
  plugins: [fewMediaTypes(), fewMetricTypes(), drawnCharts()],
  // http-assert's copy of depd wraps deprecated functions with eval, but nothing here uses that.
  checks: { eval: false },
};

const output: BuildOptions['output'] = {
  dir: 'dist',
  format: 'esm',
  entryFileNames: '[name].js',
  chunkFileNames: 'cli/[name].js',
  // Functions keep their names, so that a stack trace is readable without the source map: to read the map
  // (--enable-source-maps) nearly doubles the cost of a start.
  minify: { compress: true, mangle: { keepNames: true }, codegen: true },
  sourcemap: true,
};

const commonJs: BuildOptions['output'] = {
  ...output,
  format: 'cjs',
  entryFileNames: '[name].cjs',
  // With one letter beyond Latin-1, V8 would keep the whole source in two bytes a letter.
  charset: 'ascii',
  codeSplitting: false,
  // What is declared with const is checked to be declared at each use, which takes a hundredth of a report's time.
  topLevelVar: true,
};

await rm(`${root}dist`, { recursive: true, force: true });
// Separate builds: a single build would move what two of them use into shared chunks.
await build({ ...common, input: { bundle: 'src/main.ts' }, output: commonJs });
for (const [name, from] of Object.entries({ service: 'launch-service', 'warm-up': 'warm-up' })) {
  await build({
    ...common,
    input: { [name]: `src/build/${from}.ts` },
    output: { ...commonJs, sourcemap: false },
  });
}
await build({
  ...common,
  input: { cli: 'src/build/launch-cli.ts', 'cli/verify-worker': 'src/audit/verify-worker.ts' },
  output,
});
// PGlite reads files of WebAssembly beside its own; pg's native bindings are optional.
await build({
  ...common,
  input: { fleet: 'src/fleet/main.ts', 'fleet/pglite-worker': 'src/fleet/pglite/pglite-worker.ts' },
  external: [/^@electric-sql\/pglite/, 'pg-native', 'pg-cloudflare'],
  output: { ...output, chunkFileNames: 'fleet/[name].js' },
});
await writeFile(`${root}dist/openapi.json`, JSON.stringify(openApiDocument()));
await buildConsole(root);
await chmod(`${root}dist/cli.js`, 0o755);
buildClient(root);
makeCachedData(`${root}dist`);
