/**
 * Counts the instructions of a report: `node test/bench/instructions.ts [--write] [--service FILE]`.
 *
 * `--write` renews the figure that the test holds. `--service` counts another build.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { ROOT } from '../support/running-service.ts';
import { countInstructions } from './count-instructions.ts';
import { KEPT, keptInstructions } from './kept-instructions.ts';

const { values } = parseArgs({
  options: {
    write: { type: 'boolean', default: false },
    service: { type: 'string', default: join(ROOT, 'dist/service.cjs') },
  },
});

const counted = await countInstructions(values.service);
const thousands = (count: number): string => `${Math.round(count / 1000)}k`;
process.stdout.write(
  `a report takes ${thousands(counted.service)} instructions, in the Koa floor ${thousands(counted.koaFloor)}: ` +
    `${counted.share.toFixed(4)} (kept: ${keptInstructions().share})\n`,
);
if (values.write) {
  const kept = {
    ...(JSON.parse(readFileSync(KEPT, 'utf8')) as object),
    share: Number(counted.share.toFixed(4)),
    service: Math.round(counted.service),
    koaFloor: Math.round(counted.koaFloor),
  };
  writeFileSync(KEPT, `${JSON.stringify(kept, undefined, 2)}\n`);
}
