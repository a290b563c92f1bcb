import { createHmac } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expect } from 'chai';
import { chainHash } from '../../src/audit/chain-hash.ts';
import { Notifier } from '../../src/containment/notifier.ts';
import { nameOf } from '../../src/policy/target-url.ts';
import type { Webhook } from '../../src/policy/targets.ts';
import { databasePath } from '../../src/projections/database.ts';
import { draft, openLog } from '../support/audit-log.ts';
import { FixedClock } from '../support/fixed-clock.ts';
import { type LocalService, localServices } from '../support/local-service.ts';
import { ServiceHome } from '../support/service-home.ts';
import { answering, type Received, Target } from '../support/target.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';

const burst = { class: 'tool_call_burst', source: 'tool-firewall', description: '400 calls in a second' };

describe('webhooks', () => {
  const start = localServices();
  const directory = temporaryDirectories();
  let target: Target;

  beforeEach(async () => {
    target = await Target.listen();
  });
  const others: Target[] = [];
  afterEach(() => Promise.all([target, ...others.splice(0)].map((each) => each.close())));

  const home = (notify: string): { home: ServiceHome; env: Record<string, string> } => {
    const files = new ServiceHome(directory());
    const path = join(files.directory, 'policy.yaml');
    writeFileSync(path, `version: 1\nnotify:\n${notify}`);
    return { home: files, env: { CONTAINMENT_POLICY_PATH: path } };
  };

  const webhook = (path: string): Webhook => {
    const text = target.url(path);
    return { url: { kind: 'tcp', host: '127.0.0.1', port: Number(new URL(text).port), path, text } };
  };

  const seqs = (received: readonly Received[]): number[] => received.map(({ body }) => body.data.seq);

  /** Waits until the webhook knows of an entry. */
  const knows = async (seq: number): Promise<void> => {
    for (let count = 1; !seqs(target.received).includes(seq); count = target.received.length + 1) {
      await target.receives(count);
    }
  };

  const lastSeq = async (service: LocalService): Promise<number> => (await service.get('/health')).json.audit.last_seq;

  it('get every entry from their start on, as it is in the log, in order', async () => {
    const { home: files, env } = home(`  - url: ${target.url('/events')}\n`);
    const service = await start(files, { env });
    const { id } = (await service.report()).json;
    await service.post('/api/v1/incidents/resolve', { id });
    await knows(await lastSeq(service));
    const history = (await service.get(`/api/v1/incidents/history?id=${id}`)).json;
    const told = target.received.filter(({ body }) => body.data.incident === id).map(({ body }) => body);
    expect(told).to.deep.equal(history);
    expect(seqs(target.received)).to.deep.equal(seqs(target.received).toSorted((one, other) => one - other));
    for (const { headers, body } of target.received) {
      expect(headers).to.include({ 'idempotency-key': body.entry_hash, 'audit-event': body.event });
      expect(body.event).to.not.equal('notification.delivered');
    }
    await service.stop();
    await files.expectSound();
  });

  it('get only what they ask for, also when an incident is contained by its report', async () => {
    const { home: files, env } = home(
      `  - { url: "${target.url('/')}", events: [incident.contained, alert.raised] }\n`,
    );
    const service = await start(files, { env });
    await service.report({ ...burst, class: 'forbidden_airlock_request' });
    const { id } = (await service.report({ ...burst, class: 'prompt_injection' })).json;
    const received = await target.receives(2);
    expect(received.map(({ body }) => [body.event, body.data.incident])).to.deep.equal([
      ['incident.reported', id],
      ['alert.raised', id],
    ]);
  });

  it('that take nothing hold up nobody, show in health, and get all of it in the end', async () => {
    target.behaviours = [answering(503)];
    const other = await Target.listen();
    others.push(other);
    const { home: files, env } = home(`  - url: ${target.url('/')}\n  - url: ${other.url('/')}\n`);
    const service = await start(files, { env });
    const { id } = (await service.report(burst)).json;
    await other.receives(1);
    await target.receives(1);
    let health = (await service.get('/health')).json;
    while (health.notify[0].status !== 'failing') health = (await service.get('/health')).json;
    expect(health.status).to.equal('ok');
    expect(health.notify[0]).to.include({ url: target.url('/'), status: 'failing', last_error: 'answered 503' });
    expect(health.warnings.join()).to.include(`the webhook ${target.url('/')} takes nothing`);
    const figures = (await service.get('/metrics')).text;
    expect(figures).to.include(`incident_recorder_webhook_failing{url="${target.url('/')}"} 1`);
    expect(figures).to.include(`incident_recorder_webhook_failing{url="${other.url('/')}"} 0`);
    expect(figures).to.match(/^incident_recorder_webhook_behind_entries\{url="[^"]+"\} [1-9]/m);
    expect(figures).to.include(`incident_recorder_webhook_refused_entries_total{url="${target.url('/')}"} 0`);
    target.behaviours = [answering(204)];
    await service.post('/api/v1/incidents/resolve', { id });
    await knows(await lastSeq(service));
    const tries = target.received.filter(({ body }) => body.data.seq === target.received[0]?.body.data.seq);
    expect(tries.length).to.be.at.least(2);
    expect(new Set(tries.map(({ headers }) => headers['idempotency-key'])).size).to.equal(1);
  });

  it('show anybody their origin and how they are, but no path and no word of an answer', async () => {
    target.behaviours = [answering(500, 'password=hunter2')];
    const { home: files, env } = home(
      ['first', 'second'].map((path) => `  - url: ${target.url(`/services/T00/${path}-SECRET`)}\n`).join(''),
    );
    const policy = env['CONTAINMENT_POLICY_PATH']!;
    const token = join(files.directory, 'TARGET-TOKEN');
    const targets = `targets:\n  freeze_agent:\n    token_path: ${token}\n`;
    const engage = `    engage: { url: "${target.url('/freeze?key=SECRET')}", action: freeze }\n`;
    writeFileSync(policy, `${readFileSync(policy, 'utf8')}${targets}${engage}`);
    const service = await start(files, { env });
    const { id } = (await service.report(burst)).json;
    await target.receives(2);
    await service.until(async () => (await service.get('/health')).json.notify[0].status === 'failing');
    const origin = target.url('');
    const { notify, warnings } = (await service.get('/health')).json;
    expect(notify[0]).to.include({ url: origin, last_error: 'answered 500' });
    expect(warnings.join()).to.include(`the webhook ${origin} takes nothing`);
    const document = (await service.get('/api/v1/policy')).json;
    expect(document.notify[1].url).to.equal(origin);
    expect(document.targets.freeze_agent).to.deep.equal({ engage: { url: origin, action: 'freeze' } });
    expect((await service.get('/metrics')).text).to.match(/webhook_failing\{url="[^"]+#[0-9a-f]{8}"\} 1/);
    await service.until(async () => (await service.get(`/api/v1/incidents/get?id=${id}`)).text.includes('token_path'));
    for (const path of [
      '/health',
      '/metrics',
      '/api/v1/policy',
      '/api/v1/containment',
      `/api/v1/incidents/get?id=${id}`,
    ]) {
      expect((await service.get(path)).text, path).to.not.match(/SECRET|hunter2|TARGET-TOKEN/);
    }

    const trusted = (await service.send('GET', '/health')).json.notify[0];
    expect(trusted).to.include({ url: target.url('/services/T00/first-SECRET') });
    expect(trusted.last_error).to.equal('answered 500: password=hunter2');
    const whole = (await service.send('GET', '/api/v1/policy')).json;
    expect(whole.notify[1].url).to.equal(target.url('/services/T00/second-SECRET'));
    await service.stop();
    expect(readFileSync(files.log, 'utf8'))
      .to.match(/"url":"http:[^"]+#[0-9a-f]{8}"/)
      .and.not.match(/SECRET|TARGET-TOKEN/);
  });

  it('continue after their position where an earlier log names them by their whole URL', async () => {
    const { home: files, env } = home(`  - { url: "${target.url('/path')}", events: [service.stopped] }\n`);
    const { log } = await openLog(files.log, chainHash(readFileSync(files.key).subarray(0, 32)));
    const { timestamp } = draft('');
    const data = { url: target.url('/path'), through_seq: 0 };
    await log.append([draft('not sent yet'), { timestamp, event: 'notification.delivered', data }]);
    await log.close();
    await start(files, { env });
    expect((await target.receives(1))[0]?.body.data.reason).to.equal('not sent yet');
  });

  it('get after a crash what they had not got, under the same keys', async () => {
    target.behaviours = [answering(500)];
    const { home: files, env } = home(`  - { url: "${target.url('/')}", events: [incident.reported] }\n`);
    const service = await start(files, { env });
    const ids: string[] = [];
    for (let count = 0; count < 5; count++) ids.push((await service.report(burst)).json.id);
    await target.receives(1);
    // As a crash would leave it.
    const crashed = files.copyTo(directory());
    await service.stop();
    target.behaviours = [answering(200)];
    const before = target.received.length;
    await start(crashed, { env });
    const received = await target.receives(before + 5);
    expect(received.slice(before).map(({ body }) => body.data.incident)).to.deep.equal(ids);
    expect(received[before]?.headers['idempotency-key']).to.equal(received[0]?.headers['idempotency-key']);
  });

  it('get what comes, also where somebody has written that they have got it', async () => {
    const { home: files, env } = home(`  - url: ${target.url('/events')}\n`);
    const first = await start(files, { env });
    await first.report();
    await first.stop();
    const database = new DatabaseSync(databasePath(files.log));
    database.exec('UPDATE webhooks SET seq = 1000000');
    database.close();
    const service = await start(files, { env });
    const { id } = (await service.report()).json;
    while (!target.received.some(({ body }) => body.data.incident === id)) {
      await target.receives(target.received.length + 1);
    }
    await service.said('the database is rebuilt');
  });

  it('get each entry signed under its hash, with the bytes that are in the log', async () => {
    const { home: files, env } = home(`  - { url: "${target.url('/')}", events: [incident.reported] }\n`);
    const secret = join(files.directory, 'secret');
    writeFileSync(secret, `whsec_${'MfKQ'.repeat(8)}`, { mode: 0o600 });
    const policy = env['CONTAINMENT_POLICY_PATH']!;
    writeFileSync(policy, readFileSync(policy, 'utf8').replace(' events:', ` secret_path: ${secret}, events:`));
    const service = await start(files, { env });
    await service.report(burst);
    const [{ headers, body }] = (await target.receives(1)) as [Received];
    const line = readFileSync(files.log, 'utf8')
      .split('\n')
      .find((each) => each.includes(body.entry_hash));
    const text = `${body.entry_hash}.${String(headers['webhook-timestamp'])}.${line}`;
    const hmac = createHmac('sha256', Buffer.from('MfKQ'.repeat(8), 'base64'))
      .update(text)
      .digest('base64');
    expect(headers['webhook-signature']).to.equal(`v1,${hmac}`);
  });

  for (const answer of [400, 404, 401, 302]) {
    it(`that answer ${answer} get the entry again, and the next after it`, async () => {
      target.behaviours = [answering(answer, 'no'), answering(200)];
      const { home: files, env } = home(`  - { url: "${target.url('/')}", events: [incident.reported] }\n`);
      const service = await start(files, { env });
      const [first, second] = [(await service.report(burst)).json.id, (await service.report(burst)).json.id];
      const received = await target.receives(3);
      expect(received.map(({ body }) => body.data.incident)).to.deep.equal([first, first, second]);
      expect((await service.get('/health')).json.notify[0]).to.include({ refused: 0, parked: 0, skipped: 0 });
    });
  }

  it('are found as localhost on either address', async () => {
    const { home: files, env } = home(`  - { url: "http://localhost:${target.port}/", events: [incident.reported] }\n`);
    const service = await start(files, { env });
    await service.report(burst);
    await target.receives(1);
  });

  it('that ask for a pause of an hour get the entry at once after a reload', async () => {
    target.behaviours = [answering(503, '', { 'retry-after': '3600' }), answering(200)];
    const { home: files, env } = home(`  - { url: "${target.url('/')}", events: [incident.reported] }\n`);
    const service = await start(files, { env });
    await service.report(burst);
    await target.receives(1);
    while ((await service.get('/health')).json.notify[0].status !== 'failing');
    expect((await service.post('/api/v1/reload')).json).to.deep.include({ status: 'reloaded', removed: [] });
    await target.receives(2);
  });

  it('show what was skipped for them, and get it again when somebody wants that', async () => {
    const url = target.url('/SECRET');
    const { home: files, env } = home(`  - { url: "${url}", events: [service.stopped] }\n`);
    const name = nameOf(webhook('/SECRET').url);
    const { log } = await openLog(files.log, chainHash(readFileSync(files.key).subarray(0, 32)));
    const { timestamp } = draft('');
    const tried = { since: timestamp, attempts: 190, waited_ms: 86_400_000 };
    await log.append([
      draft('skipped'),
      draft('parked'),
      { timestamp, event: 'notification.delivered', data: { url: name, through_seq: 3 } },
      {
        timestamp,
        event: 'webhook.skipped',
        data: { url: name, skipped_seq: 1, skipped_event: 'service.stopped', error: 'answered 500', ...tried },
      },
      {
        timestamp,
        event: 'notification.delivered',
        data: { url: name, through_seq: 4, parked: [{ seq: 2, event: 'service.stopped', ...tried, waited_ms: 0 }] },
      },
    ]);
    await log.close();
    target.behaviours = [answering(500, 'hunter2')];
    const service = await start(files, { env });
    // What is parked is tried at once after a start.
    expect((await target.receives(1))[0]?.body.data.reason).to.equal('parked');
    const skipped = await service.get('/api/v1/webhooks/skipped');
    expect(skipped.json).to.deep.equal([
      {
        webhook: name,
        seq: 1,
        event: 'service.stopped',
        parked_at: timestamp,
        skipped_at: timestamp,
        attempts: 190,
        error: 'answered 500',
      },
    ]);
    const origin = target.url('');
    const { warnings, notify } = (await service.get('/health')).json;
    expect(warnings).to.include(`1 entry was skipped for the webhook ${origin} (webhooks skipped, webhooks retry)`);
    expect(warnings).to.include(`the webhook ${origin} does not take 1 entry, which is tried again for a day`);
    expect(notify[0]).to.include({ status: 'ok', parked: 1, skipped: 1 });
    const figures = (await service.get('/metrics')).text;
    expect(figures).to.include(`incident_recorder_webhook_parked_entries{url="${origin}"} 1`);
    expect(figures).to.include(`incident_recorder_webhook_skipped_entries{url="${origin}"} 1`);

    const retry = (body: object, options = {}) => service.post('/api/v1/webhooks/retry', body, options);
    expect((await retry({ webhook: name, seq: 1 }, { token: null })).status).to.equal(403);
    for (const [body, error] of [
      [{ webhook: name }, 'webhook and seq are required'],
      [{ seq: 1 }, 'webhook and seq are required'],
      [{ webhook: name, seq: '1' }, 'seq must be the number of an entry'],
      [{ webhook: name, seq: 0 }, 'seq must be the number of an entry'],
      [{ webhook: name, seq: 1, all: true }, 'unknown field "all" (allowed: webhook, seq, by, note)'],
    ] as const) {
      const { status, json } = await retry(body);
      expect([status, json.error]).to.deep.equal([400, error]);
    }
    expect((await retry({ webhook: 'http://127.0.0.1:9', seq: 1 })).json).to.deep.equal({
      error: `no such webhook; in force: ${name}`,
      allowed: [name],
    });
    target.behaviours = [answering(200)];
    for (const [seq, given] of [
      [1, origin],
      [2, url],
    ] as const) {
      const before = target.received.length;
      const { status, json } = await retry({ webhook: given, seq, by: 'ada', note: 'mended' });
      expect([status, json]).to.deep.equal([200, { webhook: name, seq }]);
      await target.receives(before + 1);
    }
    await service.until(async () => (await service.get('/health')).json.notify[0].parked === 0);
    expect((await service.get('/api/v1/webhooks/skipped')).json).to.deep.equal([]);
    expect((await retry({ webhook: name, seq: 1 })).status).to.equal(404);
    await service.stop();
    expect(readFileSync(files.log, 'utf8')).to.not.match(/SECRET|hunter2/);
    await files.expectSound();
  });

  it('that a policy has taken away again get nothing, however soon after each other it is reloaded', async () => {
    const { log } = await openLog(join(directory(), 'audit.jsonl'));
    let notify = [webhook('/first')];
    const notifier = new Notifier({
      log,
      current: () => ({
        takenBy: () => undefined,
        skippedFor: () => undefined,
        document: () => undefined,
        incidentsOf: () => ({ documents: [], next: undefined }),
        allSilences: () => [],
      }),
      shown: { countSkipped: () => 0 },
      notify: () => notify,
      clock: new FixedClock(),
      onFault: (error) => expect.fail(String(error)),
    });
    await notifier.follow();
    await log.append([draft('one')]);
    notifier.wake();
    await target.receives(1);
    notify = [webhook('/second')];
    const one = notifier.follow();
    notify = [];
    await Promise.all([one, notifier.follow()]);
    expect(notifier.status).to.deep.equal([]);
    await notifier.stop();
    await log.close();
  });
});
