/** Acts by label whose process ended between storing them and giving their commands. */
import { expect } from 'chai';
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
