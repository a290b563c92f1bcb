/**
 * Whoever has the token may report as much as fits a body, on as many connections as there are. What does not fit memory
 * must be refused, and must not end the service.
 */
import { join } from 'node:path';
import { expect } from 'chai';
import { HARDENED_NODE } from '../../src/build/hardened-node.ts';
import { putLoad, requestBytes } from '../bench/load.ts';
import { ROOT, runningServices, ServiceHome, TOKEN } from '../support/running-service.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';
import { MOST_MEBIBYTES, mostOwned } from './support/memory.ts';

const BODY_BYTES = 64_000;
const DURATION = 3000;
const MOST_ROUNDS = 8;

/** As many as fit. */
const filledWith = (item: string): string =>
  `[${Array<string>(Math.floor(BODY_BYTES / (item.length + 1)))
    .fill(item)
    .join()}]`;

describe('given reporters that report as much as they can', () => {
  const start = runningServices();
  const directory = temporaryDirectories();

  for (const [what, evidence] of [
    ['text', `"${'x'.repeat(BODY_BYTES)}"`],
    ['text that takes two bytes a character', `"${'ж'.repeat(BODY_BYTES / 2)}"`],
    ['objects with nothing in them', filledWith('{}')],
    ['numbers', filledWith('0.5')],
  ] as const) {
    it(`then bodies full of ${what} on all connections leave it as it is`, async () => {
      const home = new ServiceHome(directory());
      const { env, flags } = HARDENED_NODE;
      const service = await start(home, { env, command: [...flags, join(ROOT, 'dist/service.cjs')] });
      const body = `{"class":"prompt_injection","source":"flood","description":"much","evidence":{"much":${evidence}}}`;
      const headers = { Authorization: `Bearer ${TOKEN}`, 'Content-Type': 'application/json' };
      const load = {
        port: service.port,
        requests: [requestBytes('POST', '/api/v1/incidents/report', headers, body)],
        connections: 256,
        duration: DURATION,
      };
      let recorded = 0;
      let refused = 0;
      // On a busy machine the bodies may come so slowly that all of them fit.
      for (let round = 0; round < MOST_ROUNDS && (recorded === 0 || refused === 0); round++) {
        const seen = await putLoad(load);
        recorded += seen.answers - seen.refused;
        refused += seen.refused;
      }
      expect(recorded).to.be.above(0);
      expect(refused).to.be.above(0);
      expect(mostOwned(service)).to.be.at.most(MOST_MEBIBYTES);
      expect((await service.get('/health')).json).to.include({ status: 'ok', total_incidents: recorded });
      expect((await service.report()).status).to.equal(201);
      expect(await service.end()).to.equal(0);
      expect(await home.verify()).to.not.have.property('damage');
    });
  }
});
