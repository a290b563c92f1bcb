/**
 * Whoever has the token may report as much as fits a body, on as many connections as there are. What does not fit memory
 * must be refused, and must not end the service.
 */
import { connect } from 'node:net';
import { join } from 'node:path';
import { expect } from 'chai';
import { HARDENED_NODE } from '../../src/build/hardened-node.ts';
import { putLoad, requestBytes } from '../bench/load.ts';
import { ROOT, runningServices, ServiceHome, TOKEN } from '../support/running-service.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';
import { MOST_MEBIBYTES, mostOwned } from './support/memory.ts';

/** Of a large body as it usually is, and nearly the longest that there may be. */
const USUAL = 64_000;
const LONGEST = 260_000;
const DURATION = 3000;
const MOST_ROUNDS = 8;

/** As many as fit. */
const filledWith = (item: string, bytes: number): string =>
  `[${Array<string>(Math.floor(bytes / (item.length + 1)))
    .fill(item)
    .join()}]`;

describe('given reporters that report as much as they can', () => {
  const start = runningServices();
  const directory = temporaryDirectories();

  for (const [what, sizes, evidenceOf] of [
    ['text', [USUAL, LONGEST], (bytes: number) => `"${'x'.repeat(bytes)}"`],
    ['text that takes two bytes a character', [LONGEST], (bytes: number) => `"${'ж'.repeat(bytes / 2)}"`],
    ['objects with nothing in them', [USUAL, LONGEST], (bytes: number) => filledWith('{}', bytes)],
    ['numbers', [LONGEST], (bytes: number) => filledWith('0.5', bytes)],
    ['numbers that are longer in the log', [LONGEST], (bytes: number) => filledWith('9e15', bytes)],
  ] as const) {
    for (const bytes of sizes) {
      it(`then bodies of ${bytes} bytes full of ${what} on many connections leave it as it is`, async () => {
        const home = new ServiceHome(directory());
        const { env, flags } = HARDENED_NODE;
        const service = await start(home, { env, command: [...flags, join(ROOT, 'dist/service.cjs')] });
        const body = `{"class":"prompt_injection","source":"flood","description":"much","evidence":{"much":${evidenceOf(bytes)}}}`;
        const headers = { Authorization: `Bearer ${TOKEN}`, 'Content-Type': 'application/json' };
        const load = {
          port: service.port,
          requests: [requestBytes('POST', '/api/v1/incidents/report', headers, body)],
          // As many bytes on their way, whatever the size.
          connections: bytes === USUAL ? 256 : 64,
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
        await home.expectSound();
      });
    }
  }

  it('then large bodies that never end, on all connections, leave room for others', async () => {
    const home = new ServiceHome(directory());
    const { env, flags } = HARDENED_NODE;
    const service = await start(home, { env, command: [...flags, join(ROOT, 'dist/service.cjs')] });
    const headers = { Authorization: `Bearer ${TOKEN}`, 'Content-Type': 'application/json' };
    const whole = requestBytes('POST', '/api/v1/incidents/report', headers, 'x'.repeat(262_144));
    const usual = requestBytes('POST', '/api/v1/incidents/report', headers, 'x'.repeat(65_536));
    const sockets = Array.from({ length: 250 }, (_, number) => {
      const socket = connect(service.port, '127.0.0.1').on('error', () => {});
      // Nearly all of it.
      socket.write((number % 2 === 0 ? whole : usual).subarray(0, -10));
      socket.resume();
      return socket;
    });
    for (let count = 0; count < 20; count++) expect((await service.report()).status).to.equal(201);
    expect(mostOwned(service)).to.be.at.most(MOST_MEBIBYTES);
    for (const socket of sockets) socket.destroy();
    expect(await service.end()).to.equal(0);
  });
});
