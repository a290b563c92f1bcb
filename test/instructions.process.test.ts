import { join } from 'node:path';
import { expect } from 'chai';
import { countInstructions } from './bench/count-instructions.ts';
import { keptInstructions } from './bench/kept-instructions.ts';
import { needs } from './faults/support/needs.ts';
import { ROOT } from './support/running-service.ts';

/** Ten times what the counts of the same build vary by. */
const TOLERANCE = 0.03;

describe('the instructions of a report', function () {
  this.timeout('15m');
  needs('valgrind', 'libfaketime', 'x64');

  it('are at most 3 % more, beside those of the Koa floor, than the repository says', async () => {
    const kept = keptInstructions();
    const counted = await countInstructions(join(ROOT, 'dist/service.cjs'));
    const figures = `the floor's share is ${counted.share.toFixed(4)}, in test/bench/instructions.json ${kept.share}`;
    console.log(`      ${figures}`);
    const help = 'find what costs more, or renew the figure: node test/bench/instructions.ts --write';
    expect(counted.share, `${figures}; ${help}`).to.be.at.least(kept.share * (1 - TOLERANCE));
  });
});
