/** Evidence bundles of the largest incidents fit into what the hardened host leaves the service. */
import { join } from 'node:path';
import { expect } from 'chai';
import { chainHash } from '../../src/audit/chain-hash.ts';
import { readKey } from '../../src/audit/key.ts';
import { HARDENED_NODE } from '../../src/build/hardened-node.ts';
import { verifyBundle } from '../../src/bundle/verify-bundle.ts';
import { ROOT, runningServices, ServiceHome } from '../support/running-service.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';
import { MOST_MEBIBYTES, mostOwned } from './support/memory.ts';

const LARGE = 240 * 1024;

describe('given 50 incidents with as much evidence as fits', function () {
  this.timeout(300_000);
  const start = runningServices();
  const directory = temporaryDirectories();

  for (const [what, evidenceOf] of Object.entries<(n: number) => object>({
    'one long text': (n) => ({ text: `${n}`.padEnd(LARGE, '<é>').slice(0, LARGE / 2) }),
    'many keys': () => Object.fromEntries(Array.from({ length: 17_000 }, (_, n) => [`k${n}`, n % 10])),
    'many texts': () => Object.fromEntries(Array.from({ length: 250 }, (_, n) => [`k${n}`, 'x'.repeat(900)])),
  })) {
    it(`a bundle of all of them takes no more memory than there is: ${what}`, async () => {
      const home = new ServiceHome(directory());
      const service = await start(home, {
        env: HARDENED_NODE.env,
        command: [...HARDENED_NODE.flags, join(ROOT, 'dist/service.cjs')],
      });
      const ids: string[] = [];
      for (let n = 0; n < 50; n++) {
        const { status, json } = await service.report({ source: `source-${n}`, evidence: evidenceOf(n) });
        expect(status).to.equal(201);
        ids.push(json.id);
      }
      const { status, text } = await service.send('GET', `/api/v1/incidents/bundle?id=${ids.join('&id=')}`);
      expect(status).to.equal(200);
      expect(verifyBundle(Buffer.from(text), { hash: chainHash(readKey(home.key)) }).faults).to.deep.equal([]);
      expect(mostOwned(service)).to.be.at.most(MOST_MEBIBYTES);
    });
  }
});
