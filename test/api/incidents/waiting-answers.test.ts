import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { hash } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import { join } from 'node:path';
import { expect } from 'chai';
import { type LocalService, localServices } from '../../support/local-service.ts';
import { type Answer, TOKEN } from '../../support/service-client.ts';
import { ServiceHome } from '../../support/service-home.ts';
import { answering, listeningTargets } from '../../support/target.ts';
import { temporaryDirectories } from '../../support/temporary-directory.ts';

const CONFIRM = { action: 'freeze_agent', directive: 'engage' };
const MOST = 32;

/** Whether a promise is not settled after a moment. */
const stillWaits = async (answer: Promise<unknown>): Promise<boolean> =>
  (await Promise.race([answer.then(() => false), new Promise((resolve) => setTimeout(() => resolve(true), 200))])) ===
  true;

describe('an answer to a report that waits for containment', () => {
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
  const waiting = (
    service: LocalService,
    seconds: number,
    fields: object = {},
    headers: object = {},
  ): Promise<Answer> =>
    service.report({ class: 'tool_call_burst', ...fields }, { prefer: `wait=${seconds}`, ...headers });
  const reported = async (service: LocalService, count: number): Promise<void> => {
    await service.until(async () => (await service.get('/api/v1/stats')).json.total_incidents >= count);
  };
  const newest = async (service: LocalService) => (await service.get('/api/v1/incidents?limit=1')).json[0];

  it('comes with the results, once all actions are settled, as the canary of the appliance needs it', async () => {
    const [requests, results] = [join(home.directory, 'requests'), join(home.directory, 'results')];
    for (const path of [requests, results]) mkdirSync(path);
    const agent = await listen(0, answering(503), answering(200, '{"status":"frozen"}'));
    const airlock = await listen(0, answering(200, '{"status":"disabled"}'));
    say(`targets:
  freeze_agent: { engage: { url: "${agent.url('/api/v1/freeze')}", action: freeze }, release: manual }
  disable_airlock: { engage: { url: "${airlock.url('/api/v1/disable')}", action: disable }, release: manual }
  force_vault_relock: { broker: { requests: ${requests}, results: ${results}, action: relock }, release: manual }
rules: { integrity_violation: { answer_after: 35s } }
`);
    const service = await begin();
    const answer = service.report({ class: 'integrity_violation', severity: 'critical', source: 'canary-tripwire' });
    await agent.receives(2);
    expect(await stillWaits(answer)).to.equal(true);
    const { id } = await newest(service);
    writeFileSync(join(results, 'new'), JSON.stringify({ success: true, incident_id: id }));
    renameSync(join(results, 'new'), join(results, `${id}.json`));
    const { status, json, headers } = await answer;
    expect(status).to.equal(201);
    expect(headers).to.not.have.property('preference-applied');
    expect(headers.etag).to.equal(`"${json.version}"`);
    expect(headers.location).to.include(id);
    expect(json).to.include({ id, state: 'contained' });
    expect(json.containment_actions).to.deep.equal(['freeze_agent', 'disable_airlock', 'force_vault_relock']);
    const { containment_results: done } = json;
    expect(done.map(({ action, success }: { action: string; success: boolean }) => [action, success])).to.deep.equal(
      json.containment_actions.map((action: string) => [action, true]),
    );
    expect(json).to.deep.equal((await service.send('GET', `/api/v1/incidents/get?id=${id}`)).json);
  });

  it('comes at once without the preference', async () => {
    say('');
    const service = await begin();
    const { status, json, headers } = await service.report({ class: 'tool_call_burst' });
    expect([status, headers['preference-applied']]).to.deep.equal([201, undefined]);
    expect(json).to.not.have.property('containment_results');
  });

  it('comes at once where nothing is asked for, and where the only action is an entry of the log', async () => {
    say('rules: { tool_call_burst: { actions: [log_alert] } }\n');
    const service = await begin();
    const open = await waiting(service, 40, { class: 'forbidden_airlock_request' });
    expect([open.status, open.json.state, open.headers['preference-applied']]).to.deep.equal([201, 'open', 'wait=40']);
    const { json } = await waiting(service, 40);
    expect(json.containment_results).to.have.length(1);
    expect(json.containment_results[0]).to.include({ action: 'log_alert', success: true });
  });

  it('comes when a service confirms, also of what it fetches, and says what was applied', async () => {
    say('');
    const service = await begin();
    const answer = waiting(service, 99);
    await reported(service, 1);
    expect(await stillWaits(answer)).to.equal(true);
    await service.post('/api/v1/containment/confirm', CONFIRM);
    const { status, json, headers } = await answer;
    expect([status, headers['preference-applied']]).to.deep.equal([201, 'wait=40']);
    expect(json.containment_results[0]).to.include({ action: 'freeze_agent', success: true });
  });

  it('comes when an action has failed or needs a person, with the reason', async () => {
    const agent = await listen(0, answering(400, 'what is that'));
    say(`targets: { freeze_agent: { engage: { url: "${agent.url('/')}", action: freeze } } }\n`);
    const service = await begin();
    const { json } = await waiting(service, 40, { class: 'manifest_mismatch' });
    const [model, agentResult] = json.containment_results;
    expect(model).to.include({ action: 'quarantine_model', success: false });
    expect(model.error).to.have.length.above(0);
    expect(agentResult).to.include({ action: 'freeze_agent', success: false, error: 'answered 400: what is that' });
    // Without the token nobody reads what the service has answered.
    const shown = (await service.get(`/api/v1/incidents/get?id=${json.id}`)).json.containment_results[1];
    expect(shown.error).to.equal('answered 400');
  });

  it('comes when the time is over, with what is known until then', async () => {
    say('');
    const service = await begin();
    const began = performance.now();
    const { status, json } = await waiting(service, 1);
    expect(performance.now() - began).to.be.within(990, 4000);
    expect(status).to.equal(201);
    expect(json.containment.actions[0].status).to.equal('recorded');
    expect(json).to.not.have.property('containment_results');
  });

  it('comes when the incident is resolved', async () => {
    say('');
    const service = await begin();
    const answer = waiting(service, 40);
    await reported(service, 1);
    const { id } = await newest(service);
    await service.post('/api/v1/incidents/resolve', { id });
    expect((await answer).json).to.include({ id, state: 'resolved' });
  });

  it('waits for an occurrence and for a report that was sent twice, too: 200', async () => {
    say('');
    const service = await begin();
    const first = await service.report({ class: 'tool_call_burst', dedup_key: 'k' }, { 'idempotency-key': 'one' });
    const again = waiting(service, 40, { dedup_key: 'k' }, { 'idempotency-key': 'one' });
    const occurrence = waiting(service, 40, { dedup_key: 'k' });
    await service.until(async () => (await newest(service)).occurrences === 2);
    expect(await stillWaits(again)).to.equal(true);
    await service.post('/api/v1/containment/confirm', CONFIRM);
    for (const answer of [await again, await occurrence]) {
      expect(answer.status).to.equal(200);
      expect(answer.json).to.include({ id: first.json.id, occurrences: 2 });
      expect(answer.json.containment_results).to.have.length(1);
    }
    expect((await again).headers['idempotent-replayed']).to.equal('true');
  });

  it('waits with 31 others at most; a further one comes at once, and says that it did not wait', async () => {
    say('');
    const service = await begin();
    const answers = Array.from({ length: MOST + 8 }, () => waiting(service, 40));
    await reported(service, MOST + 8);
    const settled = await Promise.all(answers.map(async (answer) => !(await stillWaits(answer))));
    expect(settled.filter(Boolean)).to.have.length(8);
    for (const [at, isSettled] of settled.entries()) {
      if (isSettled) expect((await answers[at]!).headers, String(at)).to.not.have.property('preference-applied');
    }
    let remaining = 1;
    while (remaining > 0) ({ remaining } = (await service.post('/api/v1/containment/confirm', CONFIRM)).json);
    for (const answer of await Promise.all(answers)) expect(answer.status).to.equal(201);
  });

  it('leaves a place to every principal: the one with the most gives up the longest of its waits', async () => {
    const token = (name: string): string => `the token of ${name}, which is long enough`.replaceAll(' ', '-');
    const grant = (name: string): string =>
      `  ${name}: { roles: [reporter], sources: any, classes: any, token_sha256: ${hash('sha256', token(name))} }`;
    writeFileSync(
      home.access,
      [
        'version: 1',
        'service_token: { roles: [implementer], actions: any }',
        'principals:',
        grant('noisy'),
        grant('canary'),
      ].join('\n'),
      { mode: 0o600 },
    );
    say('');
    const service = await begin();
    const as = (name: string): Promise<Answer> => waiting(service, 40, {}, { authorization: `Bearer ${token(name)}` });
    const noisy: Promise<Answer>[] = [];
    for (let count = 1; count <= MOST + 1; count++) {
      noisy.push(as('noisy'));
      await reported(service, count);
    }
    // Its own reports don't push each other out.
    expect((await noisy.at(-1)!).headers).to.not.have.property('preference-applied');
    expect(await stillWaits(noisy[0]!)).to.equal(true);

    const canary = Array.from({ length: MOST }, () => as('canary'));
    await reported(service, 2 * MOST + 1);
    const waits = await Promise.all(canary.map(stillWaits));
    expect(waits.filter(Boolean)).to.have.length(MOST / 2);
    const first = await noisy[0]!;
    expect([first.status, first.json.state]).to.deep.equal([201, 'contained']);
    expect(first.headers).to.not.have.property('preference-applied');
    expect((await Promise.all(noisy.map(stillWaits))).filter(Boolean)).to.have.length(MOST / 2);

    let remaining = 1;
    while (remaining > 0) ({ remaining } = (await service.post('/api/v1/containment/confirm', CONFIRM)).json);
    for (const answer of await Promise.all([...noisy, ...canary])) expect(answer.status).to.equal(201);
  });

  it('of a client that has left gives its place to another at once', async () => {
    say('');
    const service = await begin();
    const body = JSON.stringify({ class: 'tool_call_burst', source: 'a', description: 'd' });
    const text =
      `POST /api/v1/incidents/report HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer ${TOKEN}\r\n` +
      `Content-Type: application/json\r\nPrefer: wait=40\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
    const sockets = Array.from({ length: MOST }, () =>
      connect(service.port, '127.0.0.1', function (this: { write: (t: string) => void }) {
        this.write(text);
      }),
    );
    await reported(service, MOST);
    const full = await waiting(service, 40);
    expect(full.headers).to.not.have.property('preference-applied');
    for (const socket of sockets) {
      socket.destroy();
      await once(socket, 'close');
    }
    const answer = waiting(service, 40);
    await reported(service, MOST + 2);
    expect(await stillWaits(answer)).to.equal(true);
    await service.post('/api/v1/containment/confirm', CONFIRM);
    expect((await answer).headers['preference-applied']).to.equal('wait=40');
  });

  it('comes when the service stops', async () => {
    say('');
    const service = await begin();
    const answers = [waiting(service, 40), waiting(service, 40)];
    await reported(service, 2);
    const began = performance.now();
    const stopped = service.stop();
    for (const { status, json } of await Promise.all(answers)) {
      expect(status).to.equal(201);
      expect(json).to.include({ state: 'contained' });
    }
    await stopped;
    expect(performance.now() - began).to.be.below(8000);
  });

  it('holds no body: more of them are taken than may be in flight', async () => {
    say('');
    const service = await begin();
    const evidence = { text: 'x'.repeat(255 * 1024) };
    const answers = [];
    for (let count = 1; count <= MOST; count++) {
      answers.push(waiting(service, 40, { evidence }));
      await reported(service, count);
    }
    let remaining = 1;
    while (remaining > 0) ({ remaining } = (await service.post('/api/v1/containment/confirm', CONFIRM)).json);
    for (const { status, json } of await Promise.all(answers)) {
      expect(status).to.equal(201);
      expect(json.evidence.text).to.have.length(255 * 1024);
    }
  });
});
