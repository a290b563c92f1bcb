import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { until } from '../faults/support/until.ts';
import { type LocalService, localServices } from '../support/local-service.ts';
import { ServiceHome } from '../support/service-home.ts';
import { answering, hanging, listeningTargets } from '../support/target.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';

const burst = { class: 'tool_call_burst' };
const mismatch = { class: 'manifest_mismatch' };
const attestation = { class: 'attestation_failure' };

describe('containment, carried out by a running service', () => {
  const start = localServices();
  const directory = temporaryDirectories();
  const listen = listeningTargets();
  let home: ServiceHome;
  let policy: string;

  beforeEach(() => {
    home = new ServiceHome(directory());
    policy = join(home.directory, 'policy.yaml');
  });

  const say = (text: string): void => writeFileSync(policy, `version: 1\n${text}`);
  const begin = (): Promise<LocalService> => start(home, { env: { CONTAINMENT_POLICY_PATH: policy } });
  const reload = async (service: LocalService): Promise<void> => {
    expect((await service.post('/api/v1/reload')).status).to.equal(200);
  };
  const incident = async (service: LocalService, id: string) =>
    (await service.get(`/api/v1/incidents/get?id=${id}`)).json;
  const eventsOf = async (service: LocalService, id: string): Promise<readonly string[]> =>
    (await service.get(`/api/v1/incidents/history?id=${id}`)).json.map(({ event }: { event: string }) => event);
  const untilStatus = (service: LocalService, id: string, status: string, index = 0): Promise<void> =>
    service.until(async () => (await incident(service, id)).containment.actions[index].status === status);

  it('reaches a service on a unix socket', async () => {
    const socket = join(home.directory, 'agent.sock');
    const agent = await listen(socket);
    say(`targets: { freeze_agent: { engage: { url: "unix:${socket}:/api/v1/freeze", action: freeze } } }\n`);
    const service = await begin();
    const { id } = (await service.report(burst)).json;
    await untilStatus(service, id, 'confirmed');
    expect(agent.received.map(({ path }) => path)).to.deep.equal(['/api/v1/freeze']);
  });

  it('given a target that confirms by a callback, then 202 only says that it was taken', async () => {
    const agent = await listen(0, answering(202));
    say(`targets: { freeze_agent: { engage: { url: "${agent.url('/')}", action: freeze }, confirm: callback } }\n`);
    const service = await begin();
    const { id } = (await service.report(burst)).json;
    await untilStatus(service, id, 'delivering');
    const [delivery] = (await incident(service, id)).containment.actions;
    expect(delivery).to.include({ attempts: 1, last_error: 'answered 202: its confirmation is awaited' });
    const confirmation = { action: 'freeze_agent', directive: 'engage' };
    expect((await service.post('/api/v1/containment/confirm', confirmation)).json).to.include({ confirmed: 1 });
    await untilStatus(service, id, 'confirmed');
    expect(agent.received).to.have.length(1);
  });

  it('goes through the file broker', async () => {
    const [requests, results] = [join(home.directory, 'requests'), join(home.directory, 'results')];
    mkdirSync(requests);
    mkdirSync(results);
    say(
      `targets: { force_vault_relock: { broker: { requests: ${requests}, results: ${results}, action: relock } } }\n`,
    );
    const service = await begin();
    const { id } = (await service.report(attestation)).json;
    const request = join(requests, `${id}.json`);
    await until(() => Promise.resolve(existsSync(request)));
    expect(JSON.parse(readFileSync(request, 'utf8'))).to.deep.equal({
      action: 'relock',
      incident_id: id,
      reason: 'attestation_failure: a test report',
    });
    writeFileSync(join(results, 'new'), JSON.stringify({ success: true, incident_id: id }));
    renameSync(join(results, 'new'), join(results, `${id}.json`));
    await untilStatus(service, id, 'confirmed', 2);
    expect((await service.get('/api/v1/containment/force_vault_relock')).json).to.include({ via: 'push' });
  });

  it('says which model, and when the evidence names none, says in its answer that it needs a person', async () => {
    const registry = await listen();
    say(`targets: { quarantine_model: { engage: { url: "${registry.url('/q')}", action: quarantine } } }\n`);
    const service = await begin();
    const evidence = { violation_0_path: 'models/a.gguf', model_name: 'a', other: 1 };
    const named = (await service.report({ ...mismatch, evidence })).json;
    await untilStatus(service, named.id, 'confirmed');
    const { json: unnamed, status: answer } = await service.report(mismatch);
    expect([answer, unnamed.containment.status]).to.deep.equal([201, 'degraded']);
    expect(unnamed.containment.actions[0]).to.include({ status: 'needs_person', attempts: 0 });
    // What is fetched is no more possible than what is sent, and trying again changes nothing.
    const retry = { action: 'quarantine_model', incident_id: unnamed.id };
    const { status: refused, json: fault } = await service.post('/api/v1/containment/retry', retry);
    expect(refused).to.equal(409);
    expect(fault.error).to.match(/^nothing of quarantine_model can be tried again .* the evidence names no model/);
    expect(registry.received.map(({ body }) => body)).to.deep.equal([
      {
        action: 'quarantine',
        incident_id: named.id,
        reason: 'manifest_mismatch: a test report',
        model_path: 'models/a.gguf',
        model_name: 'a',
      },
    ]);
    const { state, containment } = await incident(service, unnamed.id);
    expect({ state, status: containment.status }).to.deep.equal({ state: 'contained', status: 'degraded' });
    expect(containment.actions[0].last_error).to.match(/^the evidence names no model/);
    expect(await eventsOf(service, unnamed.id)).to.deep.equal([
      'incident.reported',
      'containment.failed',
      'alert.raised',
    ]);
    expect((await service.get('/health')).json.warnings.join()).to.match(/quarantine_model needs a person for 1 inc/);
  });

  it('that needs a person is asked for again once a further report names the model, and not before', async () => {
    const registry = await listen();
    say(`targets: { quarantine_model: { engage: { url: "${registry.url('/q')}", action: quarantine } } }\n`);
    const service = await begin();
    const report = { ...mismatch, dedup_key: 'one' };
    const { id } = (await service.report(report)).json;
    const again = (await service.report(report)).json;
    expect(again.containment.actions[0].status).to.equal('needs_person');
    expect(await eventsOf(service, id)).to.deep.equal([
      'incident.reported',
      'containment.failed',
      'alert.raised',
      'incident.recurred',
    ]);
    await service.report({ ...report, evidence: { model_name: 'a' } });
    await untilStatus(service, id, 'confirmed');
    expect(registry.received.map(({ body }) => body.model_name)).to.deep.equal(['a']);
  });

  it('that needs a person is confirmed for the incident that is named, and not with all others', async () => {
    const service = await begin();
    const [named, unnamed] = [
      (await service.report({ ...mismatch, evidence: { model_name: 'a' } })).json.id,
      (await service.report(mismatch)).json.id,
    ];
    const confirm = { action: 'quarantine_model', directive: 'engage' };
    expect((await service.post('/api/v1/containment/confirm', confirm)).json.confirmed).to.equal(1);
    expect((await incident(service, named)).containment.actions[0].status).to.equal('confirmed');
    expect((await incident(service, unnamed)).containment.actions[0].status).to.equal('needs_person');
    await service.post('/api/v1/containment/confirm', { ...confirm, incident_id: unnamed });
    expect((await incident(service, unnamed)).containment.actions[0].status).to.equal('confirmed');
  });

  it('whose release is refused for good says so and needs a person, who may have it tried again', async () => {
    const agent = await listen(0, answering(200), answering(400, 'no such agent'), answering(200));
    say(
      `targets: { freeze_agent: { engage: { url: "${agent.url('/')}", action: freeze }, ` +
        `release: { url: "${agent.url('/')}", action: unfreeze } } }\n`,
    );
    const service = await begin();
    const { id } = (await service.report(burst)).json;
    await untilStatus(service, id, 'confirmed');
    await service.post('/api/v1/incidents/resolve', { id });
    const posture = async () => (await service.get('/api/v1/containment/freeze_agent')).json;
    await service.until(async () => (await posture()).delivery?.status === 'needs_person');
    expect(await posture()).to.deep.include({
      asked: { directive: 'release', since: (await posture()).since },
      carried_out: null,
    });
    const { reason } = (await service.get(`/api/v1/incidents/history?id=${id}`)).json.at(-1).data;
    expect(reason).to.match(/^could not release freeze_agent, .*; a person has to release it: answered 400/);
    expect((await service.get('/health')).json.warnings.join()).to.match(/freeze_agent could not be released.*person/);
    await service.post('/api/v1/containment/retry', { action: 'freeze_agent' });
    await service.until(async () => (await posture()).delivery.status === 'confirmed');
    expect((await posture()).carried_out).to.include({ incidents: 1, by: 'answer' });
    expect((await posture()).not_known).to.equal(null);
  });

  it('is tried again while its service says 401, 404, 409 or that it was no success, and goes at once after a reload', async () => {
    const agent = await listen(
      0,
      answering(401),
      answering(404),
      answering(200, '{"success":false,"error":"agent not found"}'),
      answering(409, '', { 'retry-after': '3600' }),
      answering(200, '{"success":true}'),
    );
    say(`targets: { freeze_agent: { engage: { url: "${agent.url('/')}", action: freeze } } }\n`);
    const service = await begin();
    const { id } = (await service.report(burst)).json;
    await agent.receives(4);
    await service.until(async () => (await incident(service, id)).containment.actions[0].attempts === 4);
    const { next_attempt_at } = (await incident(service, id)).containment.actions[0];
    expect(Date.parse(next_attempt_at) - Date.now()).to.be.within(200_000, 300_000);
    await reload(service);
    await untilStatus(service, id, 'confirmed');
    const events = await eventsOf(service, id);
    expect(events.filter((event) => event === 'containment.failed')).to.deep.equal([]);
    expect(events.filter((event) => event === 'containment.attempted')).to.have.length(4);
  });

  it('has failed when its service gives an answer that the policy calls final', async () => {
    const agent = await listen(0, answering(404), answering(418));
    say(`targets: { freeze_agent: { engage: { url: "${agent.url('/')}", action: freeze }, final: [418] } }\n`);
    const service = await begin();
    const { id } = (await service.report(burst)).json;
    await untilStatus(service, id, 'failed');
    expect((await incident(service, id)).containment.actions[0]).to.include({
      attempts: 2,
      last_error: 'answered 418',
    });
  });

  it('is carried out already where its service gives an answer that the policy takes for that', async () => {
    const registry = await listen(0, answering(404, 'model not found'));
    say(
      `targets: { quarantine_model: { engage: { url: "${registry.url('/')}", action: quarantine }, done_when: [404] } }\n`,
    );
    const service = await begin();
    const { id } = (await service.report({ ...mismatch, evidence: { model_name: 'a' } })).json;
    await untilStatus(service, id, 'confirmed');
    const { containment, containment_results: results } = await incident(service, id);
    expect(containment.actions[0].receipt).to.deep.equal({ by: 'answer', status: 404 });
    const { confirmed_at: completed_at } = containment.actions[0];
    expect(results).to.deep.equal([{ action: 'quarantine_model', success: true, completed_at }]);
  });

  it('is released by hand where the policy says so: nothing is sent, and nothing is overdue', async () => {
    const agent = await listen();
    say(
      `overdue_after: 1s\ntargets: { freeze_agent: { engage: { url: "${agent.url('/')}", action: freeze }, release: manual } }\n`,
    );
    const service = await begin();
    const { id } = (await service.report(burst)).json;
    await untilStatus(service, id, 'confirmed');
    const posture = async () => (await service.get('/api/v1/containment/freeze_agent')).json;
    expect(await posture()).to.not.have.property('to_do');
    expect((await service.post('/api/v1/incidents/resolve', { id })).status).to.equal(200);
    await new Promise((resolve) => setTimeout(resolve, 3500));
    const waiting = await posture();
    expect(waiting).to.include({ engaged: false, to_do: 'release by hand', via: 'manual' });
    expect(waiting).to.have.nested.include({ 'asked.directive': 'release', 'not_known.overdue': 0 });
    expect(waiting.delivery).to.include({ status: 'recorded', via: 'manual', attempts: 0 });
    expect(waiting.delivery).to.not.have.property('last_error');
    expect(agent.received).to.have.length(1);
    expect(readFileSync(home.log, 'utf8')).to.not.include('alert.raised');
    const { json } = await service.get('/health');
    expect(json.warnings.filter((warning: string) => warning.includes('freeze_agent'))).to.deep.equal([]);
    expect(json.containment.overdue).to.deep.equal([]);
    const released = await service.post('/api/v1/containment/confirm', {
      action: 'freeze_agent',
      directive: 'release',
    });
    expect(released.json).to.include({ confirmed: 1 });
    expect(await posture()).to.not.have.property('to_do');
    expect((await posture()).carried_out).to.include({ by: 'confirmation' });
  });

  describe('that nobody confirms', () => {
    const health = async (service: LocalService) => (await service.get('/health')).json;
    const warned = async (service: LocalService): Promise<string> => (await health(service)).warnings.join('\n');
    const alerts = (): readonly string[] =>
      readFileSync(home.log, 'utf8')
        .split('\n')
        .filter((line) => line.includes('"event":"alert.raised"'));

    it('is overdue, whether it is sent or fetched: in its chart, with a warning, one alert, and figures', async () => {
      const dead = await listen(0, ...Array.from({ length: 100 }, () => answering(500, 'down')));
      say(
        `overdue_after: 1s\ntargets: { disable_airlock: { engage: { url: "${dead.url('/')}", action: disable } } }\n`,
      );
      const service = await begin();
      const [one, two] = [
        (await service.report(attestation)).json.id,
        (await service.report(attestation)).json.id,
      ] as string[];
      for (const id of [one!, two!]) {
        await service.until(async () => (await incident(service, id)).containment.status === 'overdue');
      }
      await service.post('/api/v1/incidents/acknowledge', { id: one });
      expect(await incident(service, one!)).to.have.nested.include({
        state: 'acknowledged',
        'containment.status': 'overdue',
      });
      await service.until(async () => {
        const { containment } = await health(service);
        return (
          containment.overdue.length === 3 &&
          containment.overdue.every((found: { incidents: number }) => found.incidents === 2)
        );
      });
      const { status, json } = await service.get('/health');
      expect([status, json.status]).to.deep.equal([200, 'ok']);
      for (const action of ['freeze_agent', 'disable_airlock', 'force_vault_relock']) {
        expect(await warned(service)).to.match(
          new RegExp(`^engage ${action} is overdue: asked for \\d+ s ago and not confirmed, for 2 incidents$`, 'm'),
        );
        expect(alerts().filter((line) => line.includes(`engage ${action} is overdue`))).to.have.length(1);
      }
      expect(alerts()).to.have.length(3);
      const { text } = await service.send('GET', '/metrics', { token: null });
      expect(text).to.match(
        /^incident_recorder_containment_oldest_unconfirmed_seconds\{action="disable_airlock",directive="engage"\} [1-9]/m,
      );
      expect(text).to.match(/^incident_recorder_containment_overdue\{action="freeze_agent",directive="engage"\} 2$/m);
      expect(text).to.match(/^incident_recorder_containment_posture\{action="freeze_agent",known="not_known"\} 2$/m);
      expect((await service.get('/api/v1/stats')).json).to.deep.include({
        contained_count: 2,
        by_containment: { delivering: 0, overdue: 2, confirmed: 0, degraded: 0 },
      });
      expect((await service.get('/api/v1/stats/hours')).json.time_to_containment).to.include({ count: 0, waiting: 2 });
    });

    it('clears by itself when it is confirmed, and is found overdue once, over a restart too', async () => {
      say('overdue_after: 1s\n');
      let service = await begin();
      const { id } = (await service.report(burst)).json;
      await service.until(async () => (await warned(service)).includes('overdue'));
      await service.stop();
      service = await begin();
      expect(await warned(service)).to.match(/engage freeze_agent is overdue/);
      await service.post('/api/v1/containment/confirm', { action: 'freeze_agent', directive: 'engage' });
      expect(await warned(service)).to.not.include('overdue');
      expect((await incident(service, id)).containment.status).to.equal('confirmed');
      expect(await eventsOf(service, id)).to.deep.equal([
        'incident.reported',
        'containment.overdue',
        'alert.raised',
        'containment.confirmed',
      ]);
      await service.post('/api/v1/incidents/resolve', { id });
      await service.until(async () => (await warned(service)).includes('release freeze_agent is overdue'));
      const { json } = await service.get('/api/v1/containment/freeze_agent');
      expect(json.not_known).to.include({ incidents: 1, overdue: 1 });
      await service.post('/api/v1/containment/confirm', { action: 'freeze_agent', directive: 'release' });
      expect(await warned(service)).to.not.include('overdue');
    });
  });

  it('that failed is tried again when an operator wants that', async () => {
    const agent = await listen(0, answering(422, 'not yet'), answering(200));
    say(`targets: { freeze_agent: { engage: { url: "${agent.url('/')}", action: freeze } } }\n`);
    const service = await begin();
    const { id } = (await service.report(burst)).json;
    await untilStatus(service, id, 'failed');
    const retried = await service.post('/api/v1/containment/retry', { action: 'freeze_agent', by: 'ada', note: 'now' });
    expect(retried.json).to.deep.equal({ action: 'freeze_agent', retried: 1, remaining: 0 });
    await untilStatus(service, id, 'confirmed');
    expect((await incident(service, id)).containment.status).to.equal('confirmed');
    expect(await eventsOf(service, id)).to.deep.equal([
      'incident.reported',
      'containment.failed',
      'alert.raised',
      'containment.retried',
      'containment.confirmed',
    ]);
    const keys = (await agent.receives(2)).map(({ headers }) => headers['idempotency-key']);
    expect(new Set(keys)).to.have.property('size', 1);
  });

  it('that was lost is asked for under another key, as its service would take the first for a repetition', async () => {
    const agent = await listen(0, answering(200));
    say(`targets: { freeze_agent: { engage: { url: "${agent.url('/')}", action: freeze } } }\n`);
    const service = await begin();
    const { id } = (await service.report(burst)).json;
    await untilStatus(service, id, 'confirmed');
    const contradiction = { action: 'freeze_agent', directive: 'engage', observed: 'released' };
    expect((await service.post('/api/v1/containment/confirm', contradiction)).json).to.include({ lost: 1 });
    await service.post('/api/v1/containment/retry', { action: 'freeze_agent' });
    await untilStatus(service, id, 'confirmed');
    const [first, second] = (await agent.receives(2)).map(({ headers }) => String(headers['idempotency-key']));
    expect(second).to.match(/-engage-\d+$/);
    expect(second?.startsWith(`${first}-`)).to.equal(true);
  });

  it('waits for a target that a reload has taken away, and goes on when another has put it back', async () => {
    const agent = await listen(0, answering(503), answering(200));
    const target = `targets: { freeze_agent: { engage: { url: "${agent.url('/')}", action: freeze } } }\n`;
    say(target);
    const service = await begin();
    const { id } = (await service.report(burst)).json;
    await untilStatus(service, id, 'delivering');
    say('');
    await reload(service);
    const { etag } = (await service.get('/api/v1/containment/freeze_agent')).headers;
    const received = agent.received.length;
    const later = (await service.report(burst)).json;
    expect(later.containment.actions[0]).to.include({ status: 'recorded', via: 'poll' });
    say(target);
    await reload(service);
    expect((await service.get('/api/v1/containment/freeze_agent')).headers.etag).to.not.equal(etag);
    await untilStatus(service, id, 'confirmed');
    expect(received).to.be.within(1, 2);
    expect((await incident(service, later.id)).containment.actions[0]).to.include({ status: 'recorded' });
  });

  it('that was recorded is sent when a target has been added and an operator wants that', async () => {
    say('');
    const service = await begin();
    const { id } = (await service.report(burst)).json;
    const agent = await listen();
    say(`targets: { freeze_agent: { engage: { url: "${agent.url('/')}", action: freeze } } }\n`);
    await reload(service);
    await service.post('/api/v1/containment/retry', { action: 'freeze_agent' });
    await untilStatus(service, id, 'confirmed');
    expect((await incident(service, id)).containment.actions[0]).to.include({ via: 'push', attempts: 1 });
  });

  it('that was never delivered is superseded when its incident is resolved, and the release goes out', async () => {
    const agent = await listen(0, answering(503, '', { 'retry-after': '3600' }), answering(200));
    say(`targets:
  freeze_agent:
    engage: { url: "${agent.url('/freeze')}", action: freeze }
    release: { url: "${agent.url('/unfreeze')}", action: unfreeze }
`);
    const service = await begin();
    const { id } = (await service.report(burst)).json;
    await untilStatus(service, id, 'delivering');
    await service.post('/api/v1/incidents/resolve', { id });
    const [, release] = await agent.receives(2);
    expect(release?.path).to.equal('/unfreeze');
    expect((await incident(service, id)).containment.actions[0]).to.include({ status: 'superseded', attempts: 1 });
  });

  it('is lost when its service falls silent, which degrades the incident and raises an alert', async () => {
    const agent = await listen();
    say(`targets: { freeze_agent: { engage: { url: "${agent.url('/')}", action: freeze }, confirm_every: 1s } }\n`);
    const service = await begin();
    const { id } = (await service.report(burst)).json;
    await untilStatus(service, id, 'confirmed');
    const confirm = () => service.post('/api/v1/containment/confirm', { action: 'freeze_agent', directive: 'engage' });
    await untilStatus(service, id, 'lost');
    expect((await incident(service, id)).containment.status).to.equal('degraded');
    expect((await eventsOf(service, id)).slice(-2)).to.deep.equal(['containment.lost', 'alert.raised']);
    await confirm();
    expect((await incident(service, id)).containment.status).to.equal('confirmed');
  });

  it('by services that all hang uses eight connections, and holds up no report and no end', async () => {
    const services = await Promise.all(Array.from({ length: 8 }, () => listen(0, hanging)));
    const [freeze, airlock, vault, model, ...hooks] = services.map((target) => target.url('/'));
    say(`targets:
  freeze_agent: { engage: { url: "${freeze}", action: freeze }, timeout: 120s }
  disable_airlock: { engage: { url: "${airlock}", action: disable }, timeout: 120s }
  force_vault_relock: { engage: { url: "${vault}", action: relock }, timeout: 120s }
  quarantine_model: { engage: { url: "${model}", action: quarantine }, timeout: 120s }
notify:
${hooks.map((url) => `  - url: ${url}\n`).join('')}`);
    const service = await begin();
    for (let n = 0; n < 10; n++) {
      for (const report of [attestation, { ...mismatch, evidence: { model_name: 'a' } }]) {
        expect((await service.report(report)).status).to.equal(201);
      }
    }
    await Promise.all(services.map((target) => target.receives(1)));
    expect((await service.report(attestation)).status).to.equal(201);
    const connections = await Promise.all(services.map((target) => target.connections()));
    // A webhook that hangs is let go after five seconds, and asked again.
    expect(Math.max(...connections)).to.equal(1);
    expect(connections.slice(0, 4)).to.deep.equal([1, 1, 1, 1]);
    // The end waits for none of them.
    await service.stop();
  });
});
