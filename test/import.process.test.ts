import {
  appendFileSync,
  chownSync,
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { run } from './cli/support/command-line.ts';
import { RunningService, runningServices, ServiceHome } from './support/running-service.ts';
import { temporaryDirectories } from './support/temporary-directory.ts';

/** As the appliance's recorder before this one writes it. */
const INCIDENT = {
  id: 'INC-20260301-120000-0001',
  created_at: '2026-03-01T12:00:00Z',
  class: 'prompt_injection',
  severity: 'high',
  state: 'contained',
  source: 'tool-firewall',
  description: 'asks for <the> system prompt',
  evidence: { tool: 'shell' },
  containment_actions: ['freeze_agent', 'log_alert'],
  containment_results: [
    { action: 'freeze_agent', success: true, completed_at: '2026-03-01T12:00:02Z' },
    { action: 'log_alert', success: true, completed_at: '2026-03-01T12:00:02Z' },
  ],
  hash: '0123456789abcdef0123456789abcdef',
};
const PLAIN = { ...INCIDENT, containment_actions: undefined, containment_results: undefined };
const OTHERS = [
  { ...PLAIN, id: 'INC-20260301-120001-0002', state: 'open', class: 'forbidden_airlock_request' },
  { ...INCIDENT, id: 'INC-20260301-120002-0003', state: 'acknowledged' },
  { ...INCIDENT, id: 'INC-20260301-120003-0004', state: 'resolved', resolved_at: '2026-03-02T12:00:00Z' },
  {
    ...INCIDENT,
    id: 'INC-20260301-120004-0005',
    state: 'containment_failed',
    containment_results: [
      { action: 'freeze_agent', success: false, error: 'answered 500: secret', completed_at: '2026-03-01T12:00:02Z' },
    ],
  },
];
const text = (...incidents: readonly object[]): string => incidents.map((one) => `${JSON.stringify(one)}\n`).join('');

describe('incident-recorder import', function () {
  const directory = temporaryDirectories();
  const start = runningServices();

  const running = async () => {
    const home = new ServiceHome(directory());
    const service = await start(home);
    const file = join(home.directory, 'incidents.jsonl');
    const command = (path = file) =>
      run(['import', path, '--url', `http://127.0.0.1:${service.port}`, '--token-file', home.token]);
    return { home, service, file, command };
  };

  it('takes incidents over with their ids, states and times, and they can be taken to their end', async () => {
    const { home, service, file, command } = await running();
    writeFileSync(file, text(INCIDENT, ...OTHERS));
    const first = await command();
    expect([first.status, first.stdout]).to.deep.equal([
      0,
      'imported 5 incidents\n3 are not resolved and name actions: whether these are in force is not known (see posture)\n',
    ]);
    const again = await command();
    expect([again.status, again.stdout.split('\n').slice(0, 2)]).to.deep.equal([
      0,
      ['imported 0 incidents', 'skipped  5 that are on record'],
    ]);
    const get = async (on: RunningService, id: string) => (await on.get(`/api/v1/incidents/get?id=${id}`)).json;
    const contained = await get(service, INCIDENT.id);
    expect(contained).to.include({
      state: 'contained',
      created_at: '2026-03-01T12:00:00.000Z',
      contained_at: '2026-03-01T12:00:02.000Z',
      severity: 'high',
      description: INCIDENT.description,
      version: 1,
    });
    const { containment } = contained as unknown as {
      containment: { status: string; actions: { action: string; status: string; last_error: string }[] };
    };
    expect(containment.status).to.equal('degraded');
    expect(containment.actions.map(({ action, status }) => [action, status])).to.deep.equal([
      ['freeze_agent', 'needs_person'],
    ]);
    expect(containment.actions[0]!.last_error).to.equal(
      'imported: it was said to have been carried out at 2026-03-01T12:00:02.000Z, and it is not known whether it is in force',
    );
    const states = ['open', 'acknowledged', 'resolved', 'contained'];
    for (const [index, { id }] of OTHERS.entries()) expect((await get(service, id)).state, id).to.equal(states[index]);
    expect((await get(service, OTHERS[2]!.id)).resolved_at).to.equal('2026-03-02T12:00:00.000Z');

    const posture = (await service.get('/api/v1/containment/freeze_agent')).json;
    expect(posture.engaged).to.equal(true);
    expect(posture.carried_out).to.equal(null);
    expect(posture.not_known.incidents).to.equal(3);

    const history = (await service.send('GET', `/api/v1/incidents/history?id=${OTHERS[3]!.id}`, { token: null })).json;
    expect(JSON.stringify(history)).to.include('incident.imported').and.not.include('secret');
    expect((await service.get(`/api/v1/incidents/statechart?id=${INCIDENT.id}`)).status).to.equal(200);

    const retried = await service.post('/api/v1/containment/retry', {
      action: 'freeze_agent',
      incident_id: INCIDENT.id,
    });
    expect(retried.status, JSON.stringify(retried.json)).to.equal(200);
    const confirmation = { action: 'freeze_agent', directive: 'engage', incident_id: INCIDENT.id };
    await service.post('/api/v1/containment/confirm', confirmation);
    expect((await get(service, INCIDENT.id)).containment).to.have.property('status', 'confirmed');

    const before = (await service.get('/api/v1/stats')).json;
    await service.end('SIGKILL');
    for (const name of readdirSync(home.directory)) if (name.includes('.sqlite')) rmSync(join(home.directory, name));
    const next = await start(home);
    await next.said('the audit log is verified');
    expect((await next.get('/api/v1/stats')).json).to.deep.equal(before);
    expect((await next.get('/health')).json.audit.findings).to.deep.equal([]);
    for (const { id } of [INCIDENT, ...OTHERS.filter(({ state }) => state !== 'resolved')])
      expect((await next.post('/api/v1/incidents/resolve', { id })).json.state, id).to.equal('resolved');
    const over = (await next.get('/api/v1/containment/freeze_agent')).json;
    expect(over.engaged).to.equal(false);
    await next.end();
    expect((await run(['verify', '--key', home.key, home.log])).status).to.equal(0);
  });

  it('takes the last line of an incident in an audit log', async () => {
    const { service, file, command } = await running();
    writeFileSync(file, text({ ...INCIDENT, state: 'open', containment_results: undefined }, OTHERS[0]!, INCIDENT));
    expect((await command()).stdout).to.match(/^imported 2 incidents\n/);
    expect((await service.get(`/api/v1/incidents/get?id=${INCIDENT.id}`)).json.state).to.equal('contained');
  });

  it('names faulty lines and what is allowed, and takes nothing over', async () => {
    const { service, file, command } = await running();
    const faulty = [
      text(INCIDENT),
      'nonsense\n',
      text({ ...OTHERS[0]!, class: 'earthquake' }),
      text({ ...OTHERS[0]!, colour: 'red' }),
      text({ ...OTHERS[0]!, id: '../../etc' }),
      text({ ...OTHERS[0]!, created_at: undefined }),
    ];
    writeFileSync(file, faulty.join(''));
    const { status, stderr } = await command();
    expect(status).to.equal(1);
    expect(stderr).to.include(`${file}:2: not a line of JSON`);
    expect(stderr)
      .to.include(`${file}:3: class must be one of attestation_failure, `)
      .and.include('found "earthquake"');
    expect(stderr).to.include(`${file}:4: unknown field "colour"; allowed: id, created_at, class,`);
    expect(stderr).to.include(`${file}:5: id must be an identifier like INC-20260301-120000-0001`);
    expect(stderr).to.include(`${file}:6: created_at is missing`);
    expect((await service.get('/api/v1/stats')).json.total_incidents).to.equal(0);
  });

  it('is what the start names that finds the log of the other recorder, which it leaves as it is', async () => {
    const home = new ServiceHome(directory());
    writeFileSync(home.log, text(INCIDENT, ...OTHERS));
    const before = readFileSync(home.log);
    const names = readdirSync(home.directory).toSorted();
    const { code, errors } = await RunningService.run(home);
    expect(code).to.equal(78);
    expect(errors).to.include(`incident-recorder import ${home.log}.before`);
    expect(readFileSync(home.log).equals(before)).to.equal(true);
    expect(readdirSync(home.directory).toSorted()).to.deep.equal(names);

    renameSync(home.log, `${home.log}.before`);
    const service = await start(home);
    const url = `http://127.0.0.1:${service.port}`;
    expect((await run(['import', `${home.log}.before`, '--url', url, '--token-file', home.token])).status).to.equal(0);
    await service.end();
    expect(existsSync(home.log)).to.equal(true);
    // What is damaged in our own log is not the log of another.
    const own = readFileSync(home.log, 'utf8').split('\n');
    writeFileSync(home.log, [JSON.stringify(INCIDENT), ...own.slice(1)].join('\n'));
    const damaged = await start(home);
    expect((await damaged.get('/health')).status).to.equal(503);
  });

  it('is named also where the log belongs to the user of the other recorder, and is only readable', async function () {
    if (process.geteuid!() !== 0) this.skip();
    const [USER, OTHER, GROUP] = [4100, 4101, 4200];
    const home = new ServiceHome(directory());
    writeFileSync(home.log, text(INCIDENT), { mode: 0o640 });
    for (const path of [home.directory, home.token, home.key]) chownSync(path, USER, USER);
    chownSync(home.log, OTHER, GROUP);
    const under = ['setpriv', `--reuid=${USER}`, `--regid=${USER}`, `--groups=${GROUP}`];
    const { code, errors } = await RunningService.run(home, { under });
    expect([code, errors]).to.deep.equal([78, errors]);
    expect(errors).to.include(`incident-recorder import ${home.log}.before`);

    // One of ours that can't be written is no other program's.
    const own = new ServiceHome(directory());
    const service = await start(own);
    await service.end();
    for (const name of readdirSync(own.directory)) chownSync(join(own.directory, name), USER, USER);
    chownSync(own.directory, USER, USER);
    chownSync(own.log, OTHER, GROUP);
    const refused = await RunningService.run(own, { under });
    expect([refused.code, refused.errors]).to.deep.equal([78, refused.errors]);
    expect(refused.errors).to.include(`${own.log} can't be written by this user (EACCES)`);
  });

  it('names the log of any other program', async () => {
    const home = new ServiceHome(directory());
    appendFileSync(
      home.log,
      '{"timestamp":"2026-03-01T12:00:00Z","event":"x","data":{},"prev_hash":"","entry_hash":"a"}\n',
    );
    const { code, errors } = await RunningService.run(home);
    expect(code).to.equal(78);
    expect(errors).to.include('is the log of another program').and.include('incident-recorder import FILE');
  });
});
