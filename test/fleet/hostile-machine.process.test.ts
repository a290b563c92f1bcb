/** One machine that sends what it likes: the others, and those who look at them, are not harmed. */
import { expect } from 'chai';
import { STATES } from '../../machines/vocabulary.ts';
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

  it('keeps nobody from what has changed, and from exports', async () => {
    const good = await reportedOn('good-1');
    const log = new MachineLog('h');
    const id = log.report();
    const { report, rule } = JSON.parse(log.lines[1]!).data;
    const { version } = JSON.parse(log.lines.at(-1)!).data;
    const state = '\u001b[2J';
    const odd = [
      { event: 'incident.acknowledged', data: { incident: id, version: version + 1, state, by: 7, note: { a: 1 } } },
      {
        event: 'incident.acknowledged',
        data: { incident: id, version: version + 2, state: null, by: null, note: null },
      },
      { event: 'incident.noted', data: { incident: { a: 1 }, version: 'x', state: 7, note: ['x'] } },
      { event: 'incident.reported', data: { incident: 'INC-Y', version: 1, state, severity: 'dire', rule: null } },
      { event: 'incident.reported', data: { incident: 'INC-Z', version: 1, state: 'open', report: null, rule } },
      { event: 'incident.repeated', data: { incident: id, version: version + 3, count: 'x', report } },
      { event: 'silence.added', data: { silence: null, class: { a: 1 }, q: 7 } },
      { event: 'log.anchored', data: { anchor: 7 } },
      { event: 'something', data: {} },
    ];
    for (const draft of odd) log.append(draft as never);
    await fleet.take('hostile', log.lines);
    const since = 'since=2020-01-01T00:00:00Z';
    const { json: all, status } = await fleet.send('GET', `/api/v1/incidents/changes?${since}`);
    expect(status, JSON.stringify(all)).to.equal(200);
    expect(all.changes.map((one: { id: string }) => one.id)).to.include.members([good]);
    for (let after = 1; after <= log.through; after += 1) {
      const { json, text, ...answer } = await fleet.send(
        'GET',
        `/api/v1/incidents/changes?machine=hostile&after=${after}`,
      );
      expect(answer.status, text).to.equal(200);
      for (const { was = 'open' } of json.changes) expect(STATES).to.include(was);
    }
    for (const path of [`incidents/bundle?machine=hostile&id=${id}`, 'forensic/export?machine=hostile']) {
      const { status: got, text } = await fleet.send('GET', `/api/v1/${path}`);
      expect(got, `${path} ${text.slice(0, 500)}`).to.equal(200);
    }
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

  it('has no number taken that no program can write again, wherever it is', async () => {
    const log = new MachineLog('h');
    log.report();
    const [first, line] = log.lines as [string, string];
    const huge = [
      '1e400',
      '-1E+0400',
      `9${'0'.repeat(400)}`,
      '1.5e309',
      `1${'0'.repeat(10)}e301`,
      `1${'0'.repeat(220)}e99`,
    ];
    for (const number of huge) {
      for (const evidence of [`{"a":${number}}`, `{"a":[[ ${number}]]}`, `{"a":[1, {"b": ${number}}]}`]) {
        const forged = line.replace('{"process":"bash"}', evidence);
        expect(forged).not.to.equal(line);
        const error = await fleet.take('hostile', [first, forged]).catch((caught: unknown) => caught);
        expect(error, evidence).to.deep.include({ code: 'conflict' });
        expect((error as { fields: object }).fields).to.deep.include({ code: 'broken_chain' });
      }
    }
    // What only looks like one is.
    const fine = line.replace('{"process":"bash"}', '{"a":[1e300,"1e400", 1e-400]}');
    await fleet.take('hostile', [first, fine]);
  });

  it('breaks neither its own batches nor any read, with values that no recorder writes', async () => {
    const good = await reportedOn('good-1');
    const log = new MachineLog('h');
    const ids: string[] = [];
    const sample = new MachineLog('s');
    const first = sample.report();
    sample.command(first, 'acknowledge');
    sample.command(first, 'resolve');
    const [reported, ...later] = sample.lines.slice(1).map((line) => JSON.parse(line));
    const odd = [null, 7, -1e300, 'x', '', [], {}, true, 'a\0b', '\ud800', 'y'.repeat(5000), { id: { a: [] } }, [null]];
    const more = {
      'incident.noted': { by: 'ada', note: 'n' },
      'incident.assigned': { by: 'ada', to: 'grace' },
      'incident.snoozed': { by: 'ada', until: '2999-01-01T00:00:00.000Z' },
      'containment.confirmed': { action: 'freeze_agent', directive: 'engage', by: 's' },
      'containment.attempted': {
        action: 'freeze_agent',
        directive: 'engage',
        attempt: 1,
        outcome: 'failed',
        error: 'x',
      },
      'containment.overdue': { action: 'freeze_agent', directive: 'engage' },
      'incident.recurred': { report: reported.data.report, occurrences: 2 },
      'recovery.acknowledged': { operator: 'ada' },
    };
    const withoutSeq = (data: object): Record<string, unknown> =>
      Object.fromEntries(Object.entries(data).filter(([name]) => name !== 'seq'));
    const plain = withoutSeq(reported.data);
    let count = 0;
    const entriesOf = (data: object): void => {
      count += 1;
      const id = `INC-20261101-f${String(count).padStart(11, '0')}`;
      ids.push(id);
      log.append({ event: 'incident.reported', data: { ...data, incident: id } } as never);
    };
    const mutated = (value: Record<string, unknown>): Record<string, unknown>[] =>
      Object.keys(value).flatMap((key) => {
        const inner = value[key];
        const isObject = typeof inner === 'object' && inner !== null && !Array.isArray(inner);
        return [
          ...odd.map((one) => ({ ...value, [key]: one })),
          ...(isObject ? mutated(inner as Record<string, unknown>).map((one) => ({ ...value, [key]: one })) : []),
        ];
      });
    for (const data of mutated(reported.data)) {
      if (data.seq !== reported.data.seq) continue;
      entriesOf(withoutSeq(data));
    }
    const events = [...later.map(({ event, data }) => [event, data]), ...Object.entries(more)] as [string, object][];
    for (const [event, data] of events) {
      for (const changed of mutated({ ...data, version: 2, state: 'open' })) {
        entriesOf(plain);
        log.append({ event, data: { ...withoutSeq(changed), incident: ids.at(-1) } } as never);
      }
    }
    for (const [event, data] of [
      ['silence.added', { silence: 'SIL-1', class: [], source: [], severity: [], from: 'x', until: 'x', reason: 'x' }],
      ['guard.heard', { source: 's' }],
      ['log.anchored', { anchored_seq: 1, at: 'x', root: 'x', fleet: 'f', hash: 'h', time: 'x' }],
      ['containment.heard', { action: 'freeze_agent' }],
      [
        'log.archived',
        { first_seq: 1, last_seq: 2, incidents: 1, entered: {}, posture: {}, posture_seq: 1, notified: {} },
      ],
      ['log.damage_found', { finding: 'x', detail: 'y' }],
    ] as const)
      for (const changed of mutated(data)) log.append({ event, data: changed });
    await fleet.take('hostile', log.lines);
    const refused: string[] = [];
    const read = async (path: string): Promise<void> => {
      const { status, text } = await fleet.send('GET', `/api/v1/${path}`);
      if (status >= 500) refused.push(`${path}: ${status} ${text}`);
    };
    for (const path of [
      'incidents?limit=1000',
      'incidents?q=bash&limit=1000',
      'incidents?collapse=source&limit=500',
      'incidents?attention=true&limit=1000',
      'incidents?silenced=true',
      'incidents?sort=-updated&limit=1000',
      'incidents?fields=summary&limit=1000',
      'incidents/groups?by=class,source',
      'incidents/groups?by=machine,assignee',
      `incidents/similar?machine=good-1&id=${good}`,
      'stats',
      'stats/hours',
      'stats/groups?by=source',
      'stats/compare',
      'silences',
      'containment',
      'containment/freeze_agent',
      'containment?machine=hostile',
      'containment/freeze_agent?machine=hostile',
      'machines',
      'machines/hostile',
      'machines/hostile/policy',
      'campaigns',
      'fleet/incidents',
      'commands',
    ])
      await read(path);
    for (const id of ids.filter((_, place) => place % 7 === 0))
      for (const path of ['get', 'history', 'transitions', 'statechart', 'similar'])
        await read(`incidents/${path}?machine=hostile&id=${id}`);
    expect(refused).to.deep.equal([]);
    expect((await fleet.send('GET', '/api/v1/incidents?machine=good-1')).json).to.have.length(1);
  }).timeout(240_000);

  it('sends nothing that nests deeper than the stack', async () => {
    const log = new MachineLog('h');
    log.report({ process: 'deep' });
    const nested = '['.repeat(100_000) + ']'.repeat(100_000);
    const lines = log.lines.map((line) => line.replace('"deep"', nested));
    const error = await fleet.take('hostile', lines).catch((caught: unknown) => caught);
    expect(error).to.deep.include({ code: 'conflict' });
  });

  it('makes the list of machines neither long nor of another shape', async () => {
    const long = 'x'.repeat(10_000);
    for (const health of [
      { status: long, reasons: Array.from({ length: 100 }, () => long), warnings: [7, null, long, {}] },
      { status: { a: 1 }, reasons: { a: 1 }, warnings: 'none' },
    ]) {
      await fleet.db
        .updateTable('machines')
        .set({ health: JSON.stringify(health) })
        .where('machine', '=', 'hostile')
        .execute();
      const { json, text } = await fleet.send('GET', '/api/v1/machines');
      expect(text.length).to.be.below(20_000);
      const [{ health: shown }] = json.filter(({ machine }: { machine: string }) => machine === 'hostile');
      const { json: whole } = await fleet.send('GET', '/api/v1/machines/hostile');
      for (const { status } of [shown, whole.health])
        expect(status === null || typeof status === 'string').to.equal(true);
      for (const list of [shown.reasons, shown.warnings, whole.health.reasons, whole.health.warnings])
        expect(list.every((one: unknown) => typeof one === 'string')).to.equal(true);
    }
  });

  it('does not say what the policy of the others is, nor what is engaged by it', async () => {
    await fleet.enrol('a-liar', { site: 'berlin' });
    await fleet.enrol('other', { site: 'berlin' });
    const set = (machine: string, policy_digest: string, policy_text: string) =>
      fleet.db.updateTable('machines').set({ policy_digest, policy_text }).where('machine', '=', machine).execute();
    for (const machine of ['good-1', 'good-2', 'hostile']) await set(machine, 'usual', 'version: 1\n# ours\n');
    await set('a-liar', 'usual', 'version: 1\n# a lie\n');
    await set('other', 'its-own', 'version: 1\n# its own\n');
    const { json } = await fleet.send('GET', '/api/v1/machines/other/policy');
    expect(json.diff).to.include('-# ours').and.not.include('a lie');
    await reportedOn('good-1');
    for (const odd of ['[freeze_agent, 7, {a: 1}]', 'freeze_agent', '{}', '[[freeze_agent]]']) {
      await set(
        'good-1',
        'odd',
        `version: 9\nrules: { tool_call_burst: { actions: ${odd}, recovery: 5, new: 1 }, x: null }\n`,
      );
      const { status, text } = await fleet.send('GET', '/api/v1/containment/by-label?action=freeze_agent&site=berlin');
      expect(status, text).to.equal(200);
      expect(text).not.to.include('"a":1');
    }
  });
});
