import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { Notifier } from '../../src/containment/notifier.ts';
import type { Webhook } from '../../src/policy/targets.ts';
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
    expect(await files.verify()).to.not.have.property('damage');
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

  it('that refuse an entry for good get the next', async () => {
    target.behaviours = [answering(400, 'no'), answering(200)];
    const { home: files, env } = home(`  - { url: "${target.url('/')}", events: [incident.reported] }\n`);
    const service = await start(files, { env });
    await service.report(burst);
    await service.report(burst);
    const received = await target.receives(2);
    expect(received[0]?.body.data.incident).to.not.equal(received[1]?.body.data.incident);
    expect((await service.get('/health')).json.notify[0]).to.include({ refused: 1 });
  });

  it('that a policy has taken away again get nothing, however soon after each other it is reloaded', async () => {
    const { log } = await openLog(join(directory(), 'audit.jsonl'));
    let notify = [webhook('/first')];
    const notifier = new Notifier({
      log,
      current: () => ({ takenBy: () => undefined }),
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
