import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { applianceAlert, type ApplianceEvent, applianceEventOf } from '../../src/domain/appliance-alert.ts';
import type { IncidentEntry } from '../../src/domain/entries.ts';
import { type LocalService, localServices } from '../support/local-service.ts';
import { ServiceHome } from '../support/service-home.ts';
import { answering, listeningTargets } from '../support/target.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';

const KEYS = ['event', 'timestamp', 'incident', 'actions', 'severity', 'source'];

describe("the webhooks of the appliance's policy file", () => {
  const start = localServices();
  const directory = temporaryDirectories();
  const listen = listeningTargets();
  let home: ServiceHome;
  let policy: string;

  beforeEach(() => {
    home = new ServiceHome(directory());
    policy = join(home.directory, 'policy.yaml');
  });

  const begin = (text: string): Promise<LocalService> => {
    writeFileSync(policy, `version: 1\n${text}`);
    return start(home, { env: { CONTAINMENT_POLICY_PATH: policy } });
  };

  it('get an alert when containment is asked for, in the body that they know', async () => {
    const receiver = await listen();
    const service = await begin(
      `alerting:\n  webhooks:\n    - url: "${receiver.url('/api/alerts')}"\n      events: [containment]\n`,
    );
    await service.report({ class: 'forbidden_airlock_request' });
    const { id } = (await service.report({ class: 'prompt_injection', evidence: { tool: 'fetch' } })).json;
    const [received] = await receiver.receives(1);
    expect(received!.path).to.equal('/api/alerts');
    expect(received!.headers['content-type']).to.equal('application/json');
    expect(Object.keys(received!.body)).to.deep.equal(KEYS);
    expect(received!.body).to.deep.include({
      event: 'containment',
      actions: ['freeze_agent', 'log_alert'],
      severity: 'high',
      source: 'incident-recorder',
    });
    expect(received!.body.timestamp).to.match(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    expect(received!.body.incident).to.deep.include({
      id,
      class: 'prompt_injection',
      state: 'contained',
      evidence: { tool: 'fetch' },
    });
    const { json: shown } = await service.get('/api/v1/policy');
    expect(shown.notify).to.deep.equal([{ url: new URL(receiver.url('/')).origin, alerts: ['containment'] }]);
  });

  it('get it also when an operator contains, and when an incident becomes more severe', async () => {
    const receiver = await listen();
    const service = await begin(`alerting: { webhooks: [{ url: "${receiver.url('/')}", events: [] }] }\n`);
    const airlock = { class: 'forbidden_airlock_request', dedup_key: 'k' };
    const { id } = (await service.report(airlock)).json;
    await service.report({ ...airlock, severity: 'high' });
    await service.post('/api/v1/incidents/contain', { id });
    const received = await receiver.receives(2);
    const told = received.map(({ body }) => [body.event, body.incident.id, body.severity]);
    expect(told).to.deep.equal([
      ['escalation', id, 'high'],
      ['containment', id, 'high'],
    ]);
    expect(received[1]?.body.actions).to.deep.equal(['log_alert']);
  });

  it('get it at least once, under the same key, and later ones do not overtake it', async () => {
    const receiver = await listen(0, answering(503), answering(204));
    const service = await begin(`alerting: { webhooks: [{ url: "${receiver.url('/')}" }] }\n`);
    const ids = [(await service.report()).json.id, (await service.report()).json.id];
    const received = await receiver.receives(3);
    expect(received.map(({ body }) => body.incident.id)).to.deep.equal([ids[0], ids[0], ids[1]]);
    const keys = received.map(({ headers }) => headers['idempotency-key']);
    expect(keys[0]).to.equal(keys[1]);
    expect(keys[2]).to.not.equal(keys[0]);
  });
});

describe('an entry as an alert of the appliance', () => {
  const entry = (event: string, data: object): IncidentEntry =>
    ({
      timestamp: '2026-11-30T08:00:00.000Z',
      event,
      data: { seq: 7, incident: 'INC-1', version: 3, ...data },
    }) as never;
  const eventOf = (
    found: IncidentEntry,
    asked: readonly ApplianceEvent[] = ['containment', 'escalation', 'recovery'],
  ) => applianceEventOf({ event: found.event, entry: () => found }, asked);
  const engage = [{ action: 'freeze_agent', directive: 'engage' }];

  it('is what its receiver has asked for', () => {
    expect(eventOf(entry('incident.reported', { intents: engage }))).to.equal('containment');
    expect(eventOf(entry('incident.reported', { intents: [] }))).to.equal(undefined);
    expect(eventOf(entry('incident.recurred', {}))).to.equal(undefined);
    expect(eventOf(entry('incident.recurred', { attention: 'silence' }))).to.equal(undefined);
    expect(eventOf(entry('incident.recurred', { attention: 'severity' }))).to.equal('escalation');
    const both = entry('incident.reported', { intents: engage, escalated_by: {} });
    expect(eventOf(both)).to.equal('escalation');
    expect(eventOf(both, ['containment'])).to.equal('containment');
    expect(eventOf(entry('recovery.acknowledged', {}))).to.equal('recovery');
    expect(eventOf(entry('recovery.acknowledged', {}), ['containment'])).to.equal(undefined);
    expect(eventOf(entry('recovery.attestation_requested', {}))).to.equal(undefined);
    expect(eventOf(entry('incident.resolved', { intents: engage }))).to.equal(undefined);
  });

  it('says what is known of an incident that has left the record', () => {
    const report = { class: 'prompt_injection', source: 's', description: 'd' };
    const found = entry('incident.reported', { intents: engage, report, severity: 'high', state: 'contained' });
    expect(JSON.parse(applianceAlert('containment', found, undefined))).to.deep.equal({
      event: 'containment',
      timestamp: '2026-11-30T08:00:00.000Z',
      incident: {
        id: 'INC-1',
        class: 'prompt_injection',
        source: 's',
        severity: 'high',
        state: 'contained',
        version: 3,
      },
      severity: 'high',
      source: 'incident-recorder',
    });
  });
});
