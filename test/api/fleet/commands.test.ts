import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { chainHash } from '../../../src/audit/chain-hash.ts';
import { readKey } from '../../../src/audit/key.ts';
import { newSigner } from '../../../src/signed-note.ts';
import { openLog } from '../../support/audit-log.ts';
import { LocalService } from '../../support/local-service.ts';
import { accessInFleet, Notary } from '../../support/notary.ts';
import { ServiceHome } from '../../support/service-home.ts';
import { temporaryDirectories } from '../../support/temporary-directory.ts';

const PATH = '/api/v1/fleet/commands';
const POLICY = `version: 1
rules: { tool_call_burst: { auto_contain: false, actions: [freeze_agent, disable_airlock] } }
`;
const OPEN = { class: 'tool_call_burst' };

describe('commands of the fleet', () => {
  const directory = temporaryDirectories();
  let home: ServiceHome;
  let notary: Notary;
  let service: LocalService;
  let policy: string;

  const start = async (): Promise<void> => {
    service = await LocalService.start(home, { env: { CONTAINMENT_POLICY_PATH: policy } });
    await notary.fetch(home.log);
  };
  const access = (fleet: object = {}, more: object = {}): void =>
    writeFileSync(home.access, accessInFleet(notary, fleet, more), { mode: 0o600 });
  const hand = (note: string) => service.post(PATH, { command: note });
  const give = async (command: string, body: object, changes: object = {}) => {
    const answer = await hand(notary.command(command, body, changes));
    expect(answer.status, answer.text).to.equal(200);
    return answer.json as { id: string; status: number; body: Record<string, never> };
  };
  const reported = async (report: object = OPEN): Promise<string> => (await service.report(report as never)).json.id;
  const entries = () =>
    readFileSync(home.log, 'utf8')
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line));
  const entriesOf = (event: string) => entries().filter((entry) => entry.event === event);

  beforeEach(async () => {
    home = new ServiceHome(directory());
    policy = join(home.directory, 'policy.yaml');
    writeFileSync(policy, POLICY);
    notary = new Notary();
    access();
    await start();
  });
  afterEach(() => service.stop());

  it('are carried out as the person would have done it here, and the log says where they came from', async () => {
    const id = await reported();
    const { status, body } = await give('acknowledge', { id, note: 'seen in the fleet' });
    expect(status).to.equal(200);
    expect(body).to.include({ id, state: 'acknowledged', acknowledged_by: 'fleet:ada' });
    expect(body).to.deep.equal((await service.get(`/api/v1/incidents/get?id=${id}`)).json);
    const [entry] = entriesOf('incident.acknowledged');
    expect(entry.data).to.include({
      principal: 'fleet:ada',
      role: 'operator',
      by: 'fleet:ada',
      note: 'seen in the fleet',
      fleet_command: 'CMD-1',
      fleet_command_key: 'key-1',
    });
  });

  it('can be all that people do with incidents', async () => {
    const id = await reported();
    const until = new Date(Date.now() + 3_600_000).toISOString();
    for (const [command, body, expected, role = 'operator'] of [
      ['note', { id, note: 'a note' }, 200],
      ['assign', { id, to: 'grace' }, 200],
      ['contain', { id }, 200],
      ['release', { id, action: 'disable_airlock', reason: 'a test' }, 200],
      ['retry', { action: 'freeze_agent' }, 200],
      ['acknowledge', { id }, 200],
      ['snooze', { id, until }, 200],
      ['resolve', { id, resolution: 'false_positive' }, 200],
      ['reopen', { id }, 201],
      ['silence', { source: ['tool-firewall'], until, reason: 'a test' }, 201],
      ['end_silence', { id: 'SIL-20261122-000000000001' }, 404],
      ['waive_recovery', { incident_id: id, reason: 'a test' }, 403, 'admin'],
    ] as const) {
      const { status, body: answer } = await give(command, body, { role });
      expect(status, `${command}: ${JSON.stringify(answer)}`).to.equal(expected);
    }
    const incident = (await service.get(`/api/v1/incidents/get?id=${id}`)).json;
    expect(incident).to.include({ state: 'resolved', assignee: 'grace' });
  });

  it('can have an incident reported and contained, for an action that nothing here asks for yet', async () => {
    const body = { class: 'tool_call_burst', action: 'freeze_agent', description: 'a worm', dedup_key: 'ACT-1' };
    const { status, body: incident } = await give('report', { ...body, evidence: { fleet_act: 'ACT-1' } });
    expect(status).to.equal(201);
    expect(incident).to.include({ state: 'contained', source: 'fleet:fleet.example.org', description: 'a worm' });
    expect((await service.get('/api/v1/containment')).json.freeze_agent.engaged).to.equal(true);
    const [contained] = entriesOf('incident.contained');
    expect(contained.data).to.include({ by: 'fleet:ada', fleet_command: 'CMD-1' });
    // As after a crash, or from another fleet process: the same incident.
    const again = await give('report', { ...body, evidence: { fleet_act: 'ACT-1' } });
    expect(again).to.include({ status: 200 });
    expect(again.body).to.include({ id: incident.id });
    // Contained at once by its rule.
    const other = await give('report', { ...body, class: 'prompt_injection' });
    expect(other.body).to.include({ state: 'contained' });
    expect(await give('report', { ...body, action: 'quarantine_model' })).to.include({ status: 409 });
    expect(await give('report', { ...body, class: 'none' })).to.include({ status: 400 });
    await service.stop();
    access({ actions: ['disable_airlock'] });
    await start();
    const refused = await give('report', { ...body, dedup_key: 'ACT-2' });
    expect(refused).to.include({ status: 403 });
    expect((await service.send('POST', '/api/v1/fleet/report', { body })).status).to.equal(404);
  });

  it('are carried out once, however often they come, also over a restart', async () => {
    const id = await reported();
    const note = notary.command('note', { id, note: 'only once' });
    const first = await hand(note);
    expect((await hand(note)).json).to.deep.equal(first.json);
    const both = await Promise.all([hand(note), hand(note)]);
    expect(both.map(({ json }) => json)).to.deep.equal([first.json, first.json]);
    await service.stop();
    await start();
    expect((await hand(note)).json).to.deep.equal(first.json);
    expect(entriesOf('incident.noted')).to.have.length(1);
    expect(entriesOf('fleet.answered')).to.have.length(0);
    const { body } = await give('note', { id, note: 'only once' }, { id: 'CMD-other', idempotency_key: 'key-1' });
    expect(body).to.deep.equal(first.json.body);
    expect(entriesOf('incident.noted')).to.have.length(1);
  });

  it('are refused with the times of both clocks when one of these is far off', async () => {
    const id = await reported();
    const at = (seconds: number): string => new Date(Date.now() + 1000 * seconds).toISOString();
    const ahead = at(2 * 3600);
    const early = await hand(notary.command('note', { id, note: 'x' }, { issued: ahead, expires: at(3 * 3600) }));
    expect(early.status).to.equal(400);
    expect(early.json.error)
      .to.include(`issued at ${ahead}, and by the clock here it is 20`)
      .and.to.include('is wrong');
    const expires = at(-3600);
    const late = await hand(notary.command('note', { id, note: 'x' }, { issued: at(-7200), expires }));
    expect(late.status).to.equal(410);
    expect(late.json.error).to.include(`expired at ${expires}, and by the clock here it is 20`);
    // Clocks that differ a little are no matter.
    expect((await give('note', { id, note: 'y' }, { issued: at(1800), expires: at(5400) })).status).to.equal(200);
  });

  it('are not carried out twice when so many came since that the first is forgotten', async () => {
    const id = await reported();
    const at = (seconds: number): string => new Date(Date.now() + 1000 * seconds).toISOString();
    const old = notary.command('note', { id, note: 'only once' }, { issued: at(-60), expires: at(86_400) });
    const first = await hand(old);
    expect(first.json.status).to.equal(200);
    await service.stop();
    const { log } = await openLog(home.log, chainHash(readKey(home.key)));
    const timestamp = at(0);
    const origin = { fleet_command_issued: at(-30), command: 'retry', status: 200 };
    for (let n = 0; n < 20_001; n += 201) {
      const drafts = Array.from({ length: 201 }, (_, more) => ({
        timestamp,
        event: 'fleet.answered',
        data: { ...origin, fleet_command: `CMD-many-${n + more}` },
      }));
      await Promise.all(drafts.map((draft) => log.append([draft] as never)));
    }
    await log.close();
    await start();
    // While the entries are read, it is not known.
    let again = await hand(old);
    while (again.status === 503) again = await hand(old);
    expect(again.status, again.text).to.equal(410);
    expect(again.json.error).to.include('it is not known whether they were given');
    expect(entriesOf('incident.noted')).to.have.length(1);
    // New ones go on.
    expect(await give('note', { id, note: 'another' })).to.include({ status: 200 });
  }).timeout(60_000);

  it('that open an incident or add a silence name it again after a restart, and open and report no other', async () => {
    const report = { class: 'prompt_injection', action: 'freeze_agent', description: 'a worm', dedup_key: 'ACT-1' };
    const id = await reported();
    await give('resolve', { id });
    const until = new Date(Date.now() + 3_600_000).toISOString();
    const silence = { source: ['tool-firewall'], until, reason: 'a test' };
    const commands = { report, reopen: { id }, silence };
    const notes = Object.entries(commands).map(([command, body]) => notary.command(command, body));
    const first = [];
    for (const note of notes) first.push((await hand(note)).json);
    expect(first.map(({ status }) => status)).to.deep.equal([201, 201, 201]);
    expect(entriesOf('fleet.answered')).to.have.length(0);
    await service.stop();
    await start();
    for (const [index, note] of notes.entries()) {
      const { status, body } = (await hand(note)).json;
      expect([status, body.id]).to.deep.equal([201, first[index].body.id]);
    }
    expect(entriesOf('incident.recurred')).to.have.length(0);
  });

  it('stay refused when they were, also over a restart and when they would be possible now', async () => {
    const id = await reported();
    const note = notary.command('acknowledge', { id }, { expected_version: 7 });
    const first = await hand(note);
    expect(first.json).to.deep.include({ id: 'CMD-1', status: 412 });
    expect(first.json.body).to.include({ version: 1 });
    expect((await hand(note)).json).to.deep.equal(first.json);
    const [entry] = entriesOf('fleet.answered');
    expect(entry.data).to.deep.include({
      command: 'acknowledge',
      about: id,
      status: 412,
      answer: first.json.body,
      principal: 'fleet:ada',
    });
    for (let n = 2; n <= 7; n++) await service.post('/api/v1/incidents/note', { id, note: `note ${n}` });
    await service.stop();
    await start();
    expect((await hand(note)).json).to.deep.equal(first.json);
    expect(entriesOf('fleet.answered')).to.have.length(1);
    expect(entriesOf('incident.acknowledged')).to.have.length(0);
  });

  it('are recorded as well when there was nothing to do', async () => {
    const id = await reported();
    await give('acknowledge', { id });
    const { status } = await give('acknowledge', { id });
    expect(status).to.equal(200);
    expect(entriesOf('incident.acknowledged')).to.have.length(1);
    expect(entriesOf('fleet.answered').map(({ data }) => [data.status, data.about])).to.deep.equal([[200, id]]);
  });

  it('may expect a version', async () => {
    const id = await reported();
    expect((await give('acknowledge', { id }, { expected_version: 1 })).status).to.equal(200);
    expect((await give('resolve', { id }, { expected_version: 1 })).status).to.equal(412);
    expect((await give('resolve', { id }, { expected_version: 2 })).status).to.equal(200);
    const refused = await give('acknowledge', { id });
    expect([refused.status, (refused.body as { state?: string }).state]).to.deep.equal([409, 'resolved']);
    expect((await give('note', { id: 'INC-20261122-000000000000', note: 'x' })).status).to.equal(404);
    expect((await give('note', { id })).status).to.equal(400);
  });

  it('are none unless the fleet has signed them, for this machine and this log', async () => {
    const id = await reported();
    const refused = async (note: string): Promise<number> => (await hand(note)).status;
    const acknowledge = (changes: object, signer?: Notary['signer']): string =>
      notary.command('acknowledge', { id }, changes, signer);
    expect(await refused(acknowledge({}, newSigner('fleet.example.org')))).to.equal(400);
    expect(await refused(acknowledge({}).replace('CMD-', 'CMX-'))).to.equal(400);
    expect(await refused(notary.note())).to.equal(400);
    expect(await refused(acknowledge({ machine: 'oven-4' }))).to.equal(422);
    expect(await refused(acknowledge({ log: 'a1'.repeat(32) }))).to.equal(422);
    expect(await refused(acknowledge({ expires: '2026-01-01T00:00:00Z' }))).to.equal(410);
    expect(await refused(acknowledge({ role: 'auditor' }))).to.equal(403);
    expect(await refused(acknowledge({ role: 'king' }))).to.equal(400);
    expect(await refused(acknowledge({ by: 'a\nb' }))).to.equal(400);
    expect(await refused(notary.command('reload', {}))).to.equal(400);
    expect(await refused(notary.command('constructor', {}))).to.equal(400);
    expect(entriesOf('fleet.answered')).to.have.length(0);
    expect((await service.get(`/api/v1/incidents/get?id=${id}`)).json).to.include({ state: 'open', version: 1 });
  });

  it('count for nothing where the access file gives the fleet no role, or names none', async () => {
    const id = await reported();
    access({}, { fleet: undefined });
    await service.reload();
    expect((await hand(notary.command('acknowledge', { id }))).status).to.equal(422);
    access({ roles: ['recovery'] });
    await service.reload();
    expect((await hand(notary.command('acknowledge', { id }))).status).to.equal(403);
    access({}, { fleet: undefined, fleet_key: undefined });
    await service.reload();
    expect((await hand(notary.command('acknowledge', { id }))).status).to.equal(422);
  });

  it('need the role that the command needs', async () => {
    const id = await reported();
    const { status, body } = await give('acknowledge', { id }, { role: 'recovery' });
    expect(status).to.equal(403);
    expect(body).to.deep.include({ needs: ['operator'], roles: ['recovery'] });
  });

  it('touch only the actions that the access file gives the fleet', async () => {
    access({ actions: ['freeze_agent'] });
    await service.reload();
    const airlock = await reported();
    const agent = await reported({ class: 'prompt_injection' });
    expect((await give('release', { id: agent, action: 'freeze_agent', reason: 'a test' })).status).to.equal(200);
    for (const [command, body] of [
      ['contain', { id: airlock }],
      ['resolve', { id: airlock }],
      ['release', { id: airlock, action: 'disable_airlock', reason: 'a test' }],
      ['retry', { action: 'disable_airlock' }],
    ] as const) {
      const answer = await give(command, body);
      expect([answer.status, answer.body.actions], command).to.deep.equal([403, ['freeze_agent']]);
    }
    expect((await give('acknowledge', { id: airlock })).status).to.equal(200);
  });

  it('take up again no incident whose rule contains at once with an action that is not the fleet’s', async () => {
    const [agent, burst] = [await reported({ class: 'prompt_injection' }), await reported()];
    for (const id of [agent, burst]) expect((await give('resolve', { id })).status).to.equal(200);
    access({ actions: ['disable_airlock'] });
    await service.reload();
    const refused = await give('reopen', { id: agent });
    expect([refused.status, refused.body.actions]).to.deep.equal([403, ['disable_airlock']]);
    expect((await service.get('/api/v1/containment')).json.freeze_agent.engaged).to.equal(false);
    // Its rule waits for a person.
    expect((await give('reopen', { id: burst })).status).to.equal(201);
  });

  it('say that the attestor can’t be asked, also over a restart, and keep no other command waiting', async () => {
    writeFileSync(
      policy,
      'version: 1\nrules: { prompt_injection: { recovery: { attest: true, from_fleet: true } } }\n',
    );
    await service.stop();
    const token = join(home.directory, 'attestor.token');
    writeFileSync(token, `${'t'.repeat(40)}\n`, { mode: 0o600 });
    const env = {
      CONTAINMENT_POLICY_PATH: policy,
      RUNTIME_ATTESTOR_URL: 'http://127.0.0.1:1',
      RUNTIME_ATTESTOR_TOKEN_PATH: token,
      ATTESTATION_HMAC_KEY_PATH: token,
    };
    service = await LocalService.start(home, { env });
    const incident_id = await reported({ class: 'prompt_injection' });
    const stale = await give('reattest', { incident_id }, { role: 'recovery', expected_version: 9 });
    expect(stale.status).to.equal(412);
    const note = notary.command('reattest', { incident_id }, { role: 'recovery' });
    const first = await hand(note);
    expect([first.status, first.json.status], first.text).to.deep.equal([200, 503]);
    expect(first.json.body.error).to.include('the attestor can');
    expect(entriesOf('recovery.attestation_requested')).to.have.length(1);
    expect(entriesOf('fleet.answered').at(-1).data).to.include({ command: 'reattest', status: 503 });
    await service.stop();
    service = await LocalService.start(home, { env });
    expect((await hand(note)).json).to.deep.equal(first.json);
    expect(entriesOf('fleet.answered')).to.have.length(2);
  });

  it('do no recovery that asks for a person at the machine, unless the policy says so', async () => {
    const rule = (more: string): string =>
      `version: 1\nrules: { prompt_injection: { recovery: { acknowledge: true${more} } } }\n`;
    writeFileSync(policy, rule(''));
    await service.reload();
    const id = await reported({ class: 'prompt_injection' });
    const acknowledge = () => give('acknowledge_recovery', { incident_id: id }, { role: 'recovery' });
    const refused = await acknowledge();
    expect([refused.status, refused.body.at_machine]).to.deep.equal([403, true]);
    const release = await give('release', { id, action: 'freeze_agent', reason: 'a test' }, { role: 'recovery' });
    expect(release.status).to.equal(403);
    expect((await give('waive_recovery', { incident_id: id, reason: 'x' }, { role: 'admin' })).status).to.equal(403);
    const resolve = await give('resolve', { id }, { role: 'recovery' });
    expect([resolve.status, resolve.body.missing]).to.deep.equal([409, ['acknowledge']]);
    writeFileSync(policy, rule(', from_fleet: true'));
    await service.reload();
    for (const [command, more, role] of [
      ['acknowledge_recovery', {}, 'recovery'],
      ['waive_recovery', { reason: 'x' }, 'admin'],
    ] as const) {
      const stale = await give(command, { incident_id: id, ...more }, { role, expected_version: 9 });
      expect(stale.status, command).to.equal(412);
    }
    expect((await acknowledge()).status).to.equal(200);
    expect((await give('resolve', { id }, { role: 'recovery' })).body.state).to.equal('resolved');
    const [entry] = entriesOf('recovery.acknowledged');
    expect(entry.data).to.include({ principal: 'fleet:ada', role: 'recovery' });
  });
});
