/** One machine that sends what it likes: the others, and those who look at them, are not harmed. */
import { expect } from 'chai';
import { systemClock } from '../../src/clock.ts';
import { Campaigns } from '../../src/fleet/campaigns.ts';
import { readFleetPolicy } from '../../src/fleet/fleet-policy.ts';
import { FleetReads } from './api/support/fleet-reads.ts';
import { MachineLog } from './support/machine-log.ts';

describe('a hostile machine', () => {
  let fleet: FleetReads;

  beforeEach(async () => {
    fleet = await FleetReads.start({ folder: undefined });
    for (const name of ['good-1', 'good-2', 'hostile']) await fleet.enrol(name, { site: 'berlin' });
  });

  afterEach(() => fleet.stop());

  const reportedOn = async (name: string): Promise<string> => {
    const log = new MachineLog(name);
    const id = log.report({ model_hash: 'c0ffee' });
    await fleet.take(name, log.lines);
    return id;
  };

  it('keeps no list of the others from its readers, with silences and incidents that are none', async () => {
    await reportedOn('good-1');
    const log = new MachineLog('h');
    const id = log.report();
    const silence = { class: [], source: [], severity: [], from: '2026-11-01T00:00:00.000Z', reason: 'x' };
    const until = '2999-01-01T00:00:00.000Z';
    log.append({ event: 'silence.added', data: { silence: 'SIL-1', until: 'x' } } as never);
    log.append({ event: 'silence.added', data: { silence: 'SIL-2', ...silence, until, class: null } } as never);
    log.append({ event: 'silence.added', data: { silence: 'SIL-3', ...silence, until, q: '--' } } as never);
    log.append({ event: 'silence.added', data: { silence: 'SIL-4', ...silence, until, q: 7 } } as never);
    const { rule } = JSON.parse(log.lines[1]!).data;
    const report = { class: 'prompt_injection', source: 's', description: 'd', severity: 'dire' };
    log.append({
      event: 'incident.reported',
      data: { incident: 'INC-X', version: 1, state: 'open', severity: 'dire', report, rule, intents: [] },
    } as never);
    await fleet.take('hostile', log.lines);
    for (const query of ['?attention=true', '?silenced=true', '?collapse=source', '', '?sort=severity']) {
      const { status, json, text } = await fleet.send('GET', `/api/v1/incidents${query}`);
      expect(status, `${query} ${text}`).to.equal(200);
      if (query === '?attention=true') expect(json).to.have.length(2);
    }
    for (const path of ['silences', 'stats', 'incidents/groups', 'machines', 'stats/compare']) {
      const { status, text } = await fleet.send('GET', `/api/v1/${path}`);
      expect(status, `${path} ${text}`).to.equal(200);
    }
    expect((await fleet.send('GET', `/api/v1/incidents/get?id=${id}`)).status).to.equal(200);
  });

  it('keeps the fleet from no campaign of the others', async () => {
    const log = new MachineLog('h');
    const other = new MachineLog('x');
    other.report();
    const { rule } = JSON.parse(other.lines[1]!).data;
    for (const incident of ['a\0b', undefined, { a: 1 }, '', 'x'.repeat(3000)]) {
      const report = { class: 'prompt_injection', source: 's', description: 'd', evidence: { model_hash: 'c0ffee' } };
      log.append({
        event: 'incident.reported',
        data: { incident, version: 1, state: 'open', severity: 'high', report, rule, intents: [] },
      } as never);
    }
    await fleet.take('hostile', log.lines);
    await reportedOn('good-1');
    await reportedOn('good-2');
    const said: string[] = [];
    const campaigns = new Campaigns({
      db: fleet.db,
      clock: systemClock,
      policy: () => readFleetPolicy(undefined),
      log: { warn: (_, message) => void said.push(message) },
    });
    await campaigns.look();
    const { json } = await fleet.send('GET', '/api/v1/campaigns');
    expect(json.map(({ machines }: { machines: number }) => machines)).to.deep.equal([2]);
    expect(said).to.deep.equal(['THE SAME IS HAPPENING ON SEVERAL MACHINES']);
  });

  it('breaks no stream: a line is an object from its first character on, without a carriage return', async () => {
    const log = new MachineLog('h');
    for (const line of [` ${log.lines[0]!}`, log.lines[0]!.replace(',', ',\r')]) {
      const error = await fleet.take('hostile', [line]).catch((caught: unknown) => caught);
      expect(error).to.deep.include({ code: 'conflict' });
    }
  });
});
