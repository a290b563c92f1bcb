/** What people do at the fleet, through real shippers, on real recorders. */
import { expect } from 'chai';
import { temporaryDirectories } from '../support/temporary-directory.ts';
import type { LocalService } from '../support/local-service.ts';
import { TOKEN } from '../support/service-client.ts';
import { SmallFleet, tokenOf } from './support/small-fleet.ts';

const POLICY = `version: 1
rules: { tool_call_burst: { auto_contain: false, actions: [freeze_agent, disable_airlock] } }
`;
/** Nobody listens there. */
const UNHEARD = `version: 1
targets: { freeze_agent: { engage: { url: "http://127.0.0.1:9/freeze", action: freeze } } }
`;
const PEOPLE = {
  ada: { roles: ['operator'], machines: { site: 'berlin' } },
  grace: { roles: ['reader'], machines: 'any' },
} as const;

describe('acting from the fleet', () => {
  const directory = temporaryDirectories();
  let fleet: SmallFleet;

  beforeEach(async () => {
    fleet = await SmallFleet.start(directory(), { people: PEOPLE });
  });
  afterEach(() => fleet.stop());

  const reported = async (recorder: LocalService, report: object = {}): Promise<string> =>
    (await recorder.report({ class: 'tool_call_burst', ...report })).json.id;
  const ask = (path: string, body: object, headers: Record<string, string> = {}, token = tokenOf('ada')) =>
    fleet.post(`/api/v1/${path}`, { expires_in: 60, ...body }, { headers, token });
  const settled = (id: string) =>
    fleet.until(
      () => fleet.read(`/api/v1/commands/${id}?wait=10`),
      ({ status }) => status !== 'pending',
    );

  it('is carried out by the machine, and the fleet shows what came of it', async () => {
    const { recorder } = await fleet.add('oven-1', { labels: { site: 'berlin' }, policy: POLICY });
    const id = await reported(recorder);
    await fleet.holds('oven-1', id);
    const asked = await ask('incidents/acknowledge', { machine: 'oven-1', id, note: 'seen from afar' });
    expect(asked.status, asked.text).to.equal(202);
    expect(asked.json).to.include({
      machine: 'oven-1',
      command: 'acknowledge',
      incident: id,
      by: 'ada',
      status: 'pending',
    });
    const done = await settled(asked.json.id);
    expect(done).to.deep.include({ status: 'done', reason: null });
    expect(done.answer).to.have.property('status', 200);
    expect(done.answer.body).to.include({ id, state: 'acknowledged', acknowledged_by: 'fleet:ada' });
    const own = await recorder.get(`/api/v1/incidents/get?id=${id}`);
    expect(own.json).to.include({ state: 'acknowledged', acknowledged_by: 'fleet:ada' });

    for (const [path, body] of [
      ['incidents/note', { id, note: 'a note' }],
      ['incidents/assign', { id, to: 'grace' }],
      ['incidents/contain', { id }],
      ['containment/release', { id, action: 'disable_airlock', reason: 'a test' }],
      ['containment/retry', { action: 'freeze_agent', machine: 'oven-1' }],
      ['incidents/resolve', { id, resolution: 'benign' }],
    ] as const) {
      const answer = await ask(path, body, { Prefer: 'wait=30' });
      expect(answer.status, `${path} ${answer.text}`).to.equal(200);
      expect(answer.json, path).to.include({ status: 'done', reason: null });
    }
    const list = await fleet.read(`/api/v1/commands?incident=${id}&status=done`);
    expect(list.map(({ command }: { command: string }) => command)).to.deep.equal([
      'resolve',
      'release',
      'contain',
      'assign',
      'note',
      'acknowledge',
    ]);
  });

  it('is refused with the machine’s reason, expires, and is given once under one key', async () => {
    const machine = await fleet.add('oven-1', {
      labels: { site: 'berlin' },
      grant: { roles: ['operator'] },
      policy: POLICY,
    });
    const { recorder } = machine;
    const id = await reported(recorder);
    await fleet.holds('oven-1', id);
    const stale = await ask('incidents/acknowledge', { id }, { 'If-Match': '"7"', Prefer: 'wait=30' });
    expect(stale.json).to.include({ status: 'refused' });
    expect(stale.json.answer.status).to.equal(412);
    expect(stale.json.reason).to.be.a('string').and.not.equal('');
    // The fleet has not this role there.
    const waived = await ask(
      'recovery/waive',
      { incident_id: id, reason: 'x', machine: 'oven-1' },
      { Prefer: 'wait=30' },
      TOKEN,
    );
    expect(waived.json).to.include({ status: 'refused' });
    expect(waived.json.reason).to.include('role admin');

    const key = { 'Idempotency-Key': 'once', Prefer: 'wait=30' };
    const first = await ask('incidents/note', { id, note: 'one' }, key);
    const again = await ask('incidents/note', { id, note: 'one' }, key);
    expect(again.json).to.deep.equal(first.json);
    expect(again.headers['idempotent-replayed']).to.equal('true');
    const other = await ask('incidents/note', { id, note: 'two' }, key);
    expect(other.status).to.equal(422);
    // A version that is expected, or another time, is another command, too.
    expect((await ask('incidents/note', { id, note: 'one' }, { ...key, 'If-Match': '"1"' })).status).to.equal(422);
    expect((await ask('incidents/note', { id, note: 'one', expires_in: 61 }, key)).status).to.equal(422);
    expect((await ask('incidents/note', { id, note: 'one', on_behalf_of: 'grace' }, key)).status).to.be.within(
      400,
      422,
    );
    expect((await ask('incidents/acknowledge', { id, note: 'one' }, key)).status).to.equal(422);
    expect((await recorder.get(`/api/v1/incidents/get?id=${id}`)).json.notes).to.have.length(1);

    await machine.silence();
    const late = await ask('incidents/note', { id, note: 'late', expires_in: 1 });
    expect(late.status).to.equal(202);
    const expired = await settled(late.json.id);
    expect(expired).to.include({ status: 'expired', reason: 'the machine has not fetched it in time' });
    machine.ship();
    const now = await ask('incidents/note', { id, note: 'now' }, { Prefer: 'wait=30' });
    expect(now.json.status).to.equal('done');
    expect((await settled(late.json.id)).status).to.equal('expired');
    expect((await recorder.get(`/api/v1/incidents/get?id=${id}`)).json.notes).to.have.length(2);
  });

  it('asks for the role and the machines of the person here, too', async () => {
    const { recorder } = await fleet.add('oven-1', { labels: { site: 'berlin' } });
    const { recorder: other } = await fleet.add('oven-2', { labels: { site: 'paris' } });
    const [id, foreign] = [await reported(recorder), await reported(other)];
    await fleet.holds('oven-1', id);
    await fleet.holds('oven-2', foreign);
    const asked = async (body: object, token?: string) => (await ask('incidents/acknowledge', body, {}, token)).status;
    expect(await asked({ id: foreign, machine: 'oven-2' })).to.equal(404);
    expect(await asked({ id: foreign })).to.equal(404);
    expect(await asked({ id }, tokenOf('grace'))).to.equal(403);
    expect(await asked({ id }, 'nobody')).to.equal(403);
    expect(await asked({ id: 'INC-20260101-000000000000', machine: 'oven-1' })).to.equal(404);
    expect(await asked({ id, machine: 'oven-1', more: 1 })).to.equal(400);
    expect((await ask('containment/retry', { action: 'freeze_agent', machine: 'oven-2' })).status).to.equal(404);
    expect((await ask('containment/retry', { action: 'freeze_agent' })).status).to.equal(400);
    expect(await fleet.read('/api/v1/commands')).to.deep.equal([]);
  });

  it('freezes the agents of all machines with a label, counted and confirmed', async () => {
    const berlin = [
      await fleet.add('oven-1', { labels: { site: 'berlin' }, policy: UNHEARD }),
      await fleet.add('oven-2', { labels: { site: 'berlin' }, policy: POLICY }),
    ];
    await fleet.add('oven-3', { labels: { site: 'paris' } });
    const denied = await fleet.add('oven-4', { labels: { site: 'berlin' }, grant: { actions: ['disable_airlock'] } });
    const path = '/api/v1/containment/by-label';
    const preview = await fleet.until(
      () => fleet.read(`${path}?action=freeze_agent&class=tool_call_burst&site=berlin`, tokenOf('ada')),
      ({ count }) => count === 3,
    );
    expect(preview).to.deep.include({ action: 'freeze_agent', labels: { site: 'berlin' }, count: 3 });
    expect(
      preview.machines.map((one: Record<string, unknown>) => [one.machine, one.class, one.actions, one.in_force]),
    ).to.deep.equal([
      ['oven-1', 'tool_call_burst', ['freeze_agent'], false],
      ['oven-2', 'tool_call_burst', ['freeze_agent', 'disable_airlock'], false],
      ['oven-4', 'tool_call_burst', ['freeze_agent'], false],
    ]);
    const body = {
      action: 'freeze_agent',
      class: 'tool_call_burst',
      labels: { site: 'berlin' },
      reason: 'a worm in Berlin',
    };
    const give = (more: object, token = tokenOf('ada')) => fleet.post(path, { ...body, ...more }, { token });
    expect((await give({ dry_run: true })).json).to.deep.include({ count: 3 });
    for (const confirm of [undefined, 2, 4]) {
      const refused = await give(confirm === undefined ? {} : { confirm });
      expect(refused.status).to.equal(409);
      expect(refused.json).to.include({ count: 3, code: 'confirmation_required' });
    }
    expect((await give({ confirm: 3 }, tokenOf('grace'))).status).to.equal(403);
    // As many machines, but other ones.
    const { machines_digest } = preview;
    expect(machines_digest).to.match(/^[0-9a-f]{64}$/);
    const swap = (from: string, to: string) =>
      fleet.fleet.db
        .updateTable('machines')
        .set({ labels: JSON.stringify({ site: to }) })
        .where('machine', '=', from)
        .execute();
    await swap('oven-1', 'paris');
    await swap('oven-3', 'berlin');
    await fleet.until(
      () => give({ dry_run: true }),
      ({ json }) => json.count === 3,
    );
    const swapped = await give({ confirm: 3, machines_digest });
    expect(swapped.status).to.equal(409);
    expect(swapped.json).to.include({ count: 3, code: 'confirmation_required' });
    expect(swapped.json.machines_digest)
      .to.match(/^[0-9a-f]{64}$/)
      .and.not.equal(machines_digest);
    await swap('oven-1', 'berlin');
    await swap('oven-3', 'paris');
    expect(await fleet.read('/api/v1/acts')).to.deep.equal([]);

    const begun = await give({ confirm: 3, machines_digest, idempotency_key: 'freeze' });
    expect(begun.status, begun.text).to.equal(202);
    const again = await give({ confirm: 3, machines_digest, idempotency_key: 'freeze' });
    expect(again.json.act).to.equal(begun.json.act);
    for (const other of [
      { class: 'prompt_injection' },
      { reason: 'another' },
      { labels: { site: 'paris' } },
      { expires_in: 7 },
    ])
      expect((await give({ confirm: 3, idempotency_key: 'freeze', ...other })).status).to.equal(422);
    expect((await give({ dry_run: true, idempotency_key: 'freeze' })).json).to.deep.include({ count: 3 });
    const act = await fleet.until(
      () => fleet.read(`${path}/${begun.json.act}`, tokenOf('ada')),
      ({ pending, machines }) =>
        pending === 0 && machines.filter((one: { in_force: boolean }) => one.in_force).length === 2,
    );
    expect(act).to.include({ count: 3, done: 2, refused: 1, expired: 0, by: 'ada', reason: body.reason });
    const [one, two, four] = act.machines;
    expect(four).to.include({ machine: 'oven-4', status: 'refused', in_force: false });
    expect(four.reason).to.include('freeze_agent');
    for (const [place, { recorder }] of berlin.entries()) {
      const { incident } = [one, two][place];
      const own = (await recorder.get(`/api/v1/incidents/get?id=${incident}`)).json;
      expect(own).to.include({ source: 'fleet:fleet.example', description: body.reason, state: 'contained' });
      expect(own.evidence).to.include({ fleet_act: act.act, by: 'ada' });
      expect((await recorder.get('/api/v1/containment')).json.freeze_agent.engaged).to.equal(true);
    }
    expect((await denied.recorder.get('/api/v1/containment')).json.freeze_agent.engaged).to.equal(false);
    const all = await fleet.read('/api/v1/containment');
    expect(all.freeze_agent).to.include({ in_force: true, machines: 2, holders: 2 });
    expect(all.freeze_agent.since).to.be.a('string');
    // One can't be sent, and nobody has fetched the other.
    expect(all.freeze_agent.unconfirmed).to.deep.equal({ machines: 2, deliveries: 2 });
    expect(all.disable_airlock).to.include({ in_force: true, machines: 1 });
    expect(all.quarantine_model).to.include({ in_force: false, machines: 0, since: null });
    const frozen = await fleet.read('/api/v1/containment/freeze_agent');
    expect(frozen.by_machine.map(({ machine }: { machine: string }) => machine)).to.deep.equal(['oven-1', 'oven-2']);
    expect(await fleet.read('/api/v1/containment/freeze_agent?machine=oven-3')).to.include({ engaged: false });
    // Every machine has the same incident now, which the fleet itself has caused.
    await fleet.fleet.look();
    expect(await fleet.read('/api/v1/campaigns')).to.deep.equal([]);
    expect(await fleet.read('/api/v1/acts')).to.have.length(1);
    // Over again: it is resolved like any other incident.
    const resolved = await ask('incidents/resolve', { id: one.incident, resolution: 'benign' }, { Prefer: 'wait=30' });
    expect(resolved.json.status, resolved.text).to.equal('done');
  });
});
