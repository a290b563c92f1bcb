import { connect, type Socket } from 'node:net';
import { expect } from 'chai';
import { type RunningService, runningServices, ServiceHome } from '../support/running-service.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';
import { Ledger } from './support/ledger.ts';
import { needs } from './support/needs.ts';
import { until } from './support/until.ts';

const DESCRIPTORS = 64;
const CONNECTIONS = 300;

describe(`given ${DESCRIPTORS} descriptors and ${CONNECTIONS} connections`, () => {
  const start = runningServices();
  const directory = temporaryDirectories();
  needs('prlimit');

  for (const [what, env] of [
    ['the log', {}],
    ['a log that is sealed all the time', { AUDIT_SEGMENT_BYTES: '4096' }],
  ] as const) {
    it(`then ${what} and all that is acknowledged are unaffected`, async () => {
      const home = new ServiceHome(directory());
      const service = await start(home, { env, under: ['prlimit', `--nofile=${DESCRIPTORS}`] });
      const ledger = new Ledger();
      // Those who report have their connections before the flood comes, and keep them.
      await ledger.load(service, () => ledger.accounts.length < 50);
      const { id } = ledger.accounts[0]!.incident!;

      const flood = Array.from({ length: CONNECTIONS }, () => idle(service));
      await until(async () => flood.filter(({ destroyed }) => destroyed).length > CONNECTIONS - DESCRIPTORS);
      await ledger.load(service, () => ledger.accounts.length < 150);
      expect((await service.get('/health')).status).to.equal(200);
      expect((await service.get(`/api/v1/incidents/get?id=${id}`)).status).to.equal(200);
      // The history is in the log's files, for which there is no descriptor now: that is no damage.
      await service.get(`/api/v1/incidents/history?id=${id}`);
      expect(service.output.join('\n')).to.not.include('does not hold');
      expect(ledger.counts).to.include({ refused: 0, unanswered: 0 });

      for (const socket of flood) socket.destroy();
      await until(async () => (await service.get(`/api/v1/incidents/history?id=${id}`)).status === 200);
      await ledger.check(service);
      expect(await service.end()).to.equal(0);
      await ledger.expectNothingLost(home);
    });
  }
});

/** A connection on which nothing is sent. */
function idle({ port }: RunningService): Socket {
  return connect(port, '127.0.0.1')
    .on('error', () => {})
    .resume();
}
