/** Acts by label whose process ended between storing them and giving their commands. */
import { expect } from 'chai';
import { sql } from 'kysely';
import { MachineLog } from '../support/machine-log.ts';
import { FleetReads } from './support/fleet-reads.ts';

const MINUTE = 60_000;
const LABELS = { site: 'berlin' };

describe('an act by label without its commands', () => {
  let fleet: FleetReads;
  let id: string;

  before(async () => {
    fleet = await FleetReads.start({ folder: undefined });
    await fleet.enrol('oven-1', LABELS);
    const log = new MachineLog('oven-1');
    id = log.report();
    await fleet.take('oven-1', log.lines);
  });
  after(() => fleet.stop());

  const act = async (name: string, what: string, age: number): Promise<string> => {
    const machine = 'oven-1';
    const common = { act: name, action: 'freeze_agent', labels: LABELS, reason: 'why', principal: 'ada', by: 'ada' };
    const own = {
      contain_by_label: { role: 'operator', machines: [{ machine, class: 'prompt_injection' }] },
      release_by_label: { incidents: 1, machines: [{ machine, incidents: [{ id, role: 'operator' }] }] },
      silence_by_label: { role: 'operator', kind: 'add', named: [], body: {}, asked: {}, targets: [{ machine }] },
    }[what];
    const detail = JSON.stringify({ ...common, good_for: MINUTE, ...own });
    const at = new Date(Date.now() - age);
    await fleet.db.insertInto('acts').values({ machine: '', id: name, at, who: 'ada', what, detail }).execute();
    return name;
  };

  for (const [what, path, list] of [
    ['contain_by_label', '/api/v1/containment/by-label', '/api/v1/acts'],
    ['release_by_label', '/api/v1/containment/by-label/release', '/api/v1/containment/by-label/release/acts'],
    ['silence_by_label', '/api/v1/silences/by-label', '/api/v1/silences/by-label/acts'],
  ] as const) {
    it(`waits for them as long as somebody adds them: ${what}`, async () => {
      const fresh = await act(`ACT-${what}-1`, what, MINUTE);
      const old = await act(`ACT-${what}-2`, what, 60 * MINUTE);
      const { json: listed } = await fleet.send('GET', list);
      const fateOf = async (name: string) => {
        const { json } = await fleet.send('GET', `${path}/${name}`);
        const one = listed.find((item: { act: string }) => item.act === name);
        for (const shown of [json, one]) expect(shown.pending + shown.expired).to.equal(1);
        expect(one.pending).to.equal(json.pending);
        return [json.pending, json.machines[0].status, json.machines[0].reason];
      };
      expect(await fateOf(fresh)).to.deep.equal([1, 'pending', null]);
      const [pending, status, reason] = await fateOf(old);
      expect([pending, status]).to.deep.equal([0, 'expired']);
      expect(reason).to.include('ask again');
    });
  }

  it('has come on a machine to the worst of what its commands there have, in lists as in whole', async () => {
    const machine = 'oven-1';
    const name = await act('ACT-ends', 'silence_by_label', MINUTE);
    const silences = ['SIL-1', 'SIL-2', 'SIL-3'];
    const targets = silences.map((silence) => ({ machine, silence }));
    await sql`
      UPDATE acts SET detail = detail || ${JSON.stringify({ kind: 'end', targets })}::jsonb WHERE id = ${name}`.execute(
      fleet.db,
    );
    const shown = async (): Promise<readonly number[]> => {
      const { json: whole } = await fleet.send('GET', `/api/v1/silences/by-label/${name}`);
      const { json: listed } = await fleet.send('GET', '/api/v1/silences/by-label/acts');
      const one = listed.find((item: { act: string }) => item.act === name);
      expect({ ...one, machines: whole.machines }).to.deep.equal(whole);
      return [one.pending, one.done, one.refused, one.expired];
    };
    const given = ['done', 'refused', 'done'];
    for (const [at, state] of given.entries()) {
      await sql`
        INSERT INTO commands (machine, id, log, command, body, signed, by, role, issued_at, expires_at, state, act)
        VALUES (${machine}, ${`CMD-${at}`}, 'l', 'end_silence', ${JSON.stringify({ id: silences[at] })}::jsonb, '', 'ada',
          'operator', clock_timestamp(), clock_timestamp() + interval '1 hour', ${state}, ${name})`.execute(fleet.db);
      expect(await shown()).to.deep.equal(at < 2 ? [1, 0, 0, 0] : [0, 0, 1, 0]);
    }
    await sql`UPDATE commands SET state = 'done' WHERE act = ${name}`.execute(fleet.db);
    expect(await shown()).to.deep.equal([0, 1, 0, 0]);
  });

  it('is one act for one key, also of two requests at once', async () => {
    const give = (reason: string) =>
      fleet.send('POST', '/api/v1/containment/by-label/release', {
        headers: { 'Idempotency-Key': 'at-once' },
        body: { action: 'freeze_agent', labels: LABELS, reason, confirm: 1 },
      });
    const answers = await Promise.all([give('one'), give('another')]);
    expect(answers.map(({ status }) => status)).to.have.members([202, 422]);
  });
});
