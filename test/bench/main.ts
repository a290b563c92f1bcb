/**
 * The benchmarks: `npm run bench`, or `node test/bench/main.ts [--only NAME,…] [--large] [--against DIST]…`.
 *
 * Each suite prints a table; all figures go to `var/bench.json`. `--large` adds a million incidents, which are generated
 * once (minutes, 7 GB) into the directory that BENCH_DATA names. BENCH_SERVICE names another build of the service, and
 * `--against` the `dist` folder of one that `floors` measures in turn with it, with its `policy` beside it. It may be
 * given several times. `--scale` says how large the fleet of `fleet-reads` is: 1 is a thousand machines.
 */
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { ROOT } from '../support/running-service.ts';
import { Bench } from './bench.ts';
import { fleetIngest } from './suites/fleet-ingest.ts';
import { fleetReads } from './suites/fleet-reads.ts';
import { floors } from './suites/floors.ts';
import { functions } from './suites/functions.ts';
import { growth } from './suites/growth.ts';
import { http } from './suites/http.ts';
import { reads } from './suites/reads.ts';
import { rebuild } from './suites/rebuild.ts';
import { start } from './suites/start.ts';

const SUITES = {
  floors,
  functions,
  http,
  start,
  reads,
  rebuild,
  growth,
  'fleet-ingest': fleetIngest,
  'fleet-reads': fleetReads,
};

const { values } = parseArgs({
  options: {
    only: { type: 'string', default: Object.keys(SUITES).join() },
    large: { type: 'boolean', default: false },
    against: { type: 'string', multiple: true, default: [] },
    scale: { type: 'string', default: '0.02' },
  },
});
const names = values.only.split(',');
const unknown = names.find((name) => !Object.hasOwn(SUITES, name));
if (unknown !== undefined) throw new Error(`no suite ${unknown}; there are ${Object.keys(SUITES).join(', ')}`);

const bench = new Bench({
  large: values.large,
  scale: Number(values.scale),
  against: values.against,
  service: process.env.BENCH_SERVICE ?? join(ROOT, 'dist/service.cjs'),
});
try {
  for (const name of names) await SUITES[name as keyof typeof SUITES](bench, process.env.BENCH_DATA);
} finally {
  await bench.end();
}
