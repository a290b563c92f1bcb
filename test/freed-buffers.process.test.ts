import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { expect } from 'chai';
import { HARDENED_NODE } from '../src/build/hardened-node.ts';
import { ROOT } from './support/running-service.ts';

const MEBIBYTE = 1024 * 1024;

/** The most memory that buffers had outside of the heap, in MiB, while 256 MiB of them came and went. */
function mostWaiting(counted: boolean): number {
  const script = `
    import { FreedBuffers } from ${JSON.stringify(join(ROOT, 'src/freed-buffers.ts'))};
    const freed = new FreedBuffers();
    let most = 0;
    for (let n = 0; n < 4096; n++) {
      const { length } = Buffer.allocUnsafe(65536);
      ${counted ? 'freed.count(length);' : ''}
      if (n % 16 === 0) most = Math.max(most, process.memoryUsage().arrayBuffers);
    }
    console.log(most);`;
  // Without --jitless, which can't strip types.
  const flags = HARDENED_NODE.flags.filter((flag) => flag !== '--jitless');
  const args = [...flags, '--input-type=module', '--eval', script];
  return Number(execFileSync(process.execPath, args, { encoding: 'utf8' })) / MEBIBYTE;
}

describe('given many bytes that come and go', () => {
  it('then what waits to be freed is a few MiB where they are counted, and tens of MiB where not', () => {
    expect(mostWaiting(true)).to.be.below(16);
    expect(mostWaiting(false)).to.be.above(20);
  });
});
