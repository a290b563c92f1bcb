/** The raw lines of a log that grows while they are read. */
import { once } from 'node:events';
import { get, type IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';
import { expect } from 'chai';
import { TOKEN } from '../../support/service-client.ts';
import { MachineLog } from '../support/machine-log.ts';
import { FleetReads } from './support/fleet-reads.ts';

/** Long enough that no socket takes all of it while nobody reads. */
const [REPORTS, EVIDENCE] = [60, 200_000];

describe('the raw lines of a log', function () {
  this.timeout(60_000);
  let fleet: FleetReads;
  const log = new MachineLog('oven-1');

  before(async () => {
    fleet = await FleetReads.start({ folder: undefined });
    await fleet.enrol('oven-1');
    for (let count = 0; count < REPORTS; count++) log.report({ process: 'x'.repeat(EVIDENCE) });
    for (let at = 0; at < log.lines.length; at += 10) await fleet.take('oven-1', log.lines.slice(at, at + 10), at + 1);
  });
  after(() => fleet.stop());

  it('are as many as were announced, also when the log grows meanwhile', async () => {
    const path = '/api/v1/log?machine=oven-1&from=2';
    const request = get({ port: fleet.port, path, headers: { authorization: `Bearer ${TOKEN}` } });
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    const announced = Number(response.headers['log-entries']);
    expect(announced).to.equal(log.through);
    const known = log.through;
    log.report();
    await fleet.take('oven-1', log.lines.slice(known), known + 1);
    const lines = (await text(response)).trimEnd().split('\n');
    expect(lines).to.have.length(announced - 1);
    expect(lines.at(-1) === log.lines[known - 1]).to.equal(true);
  });
});
