import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { chainHash } from '../src/audit/chain-hash.ts';
import { readKey } from '../src/audit/key.ts';
import { generateLog } from './bench/generate-log.ts';
import { type RunningService, runningServices, ServiceHome } from './support/running-service.ts';
import { Target } from './support/target.ts';
import { temporaryDirectories } from './support/temporary-directory.ts';

const QUIET = { class: 'forbidden_airlock_request', source: 'a-new-source', description: 'while the log is read' };

describe('a service that reads a long log without a database', () => {
  const directory = temporaryDirectories();
  const start = runningServices();
  let original: ServiceHome;
  let entries: number;

  before(async () => {
    original = new ServiceHome(mkdtempSync(join(tmpdir(), 'incident-recorder-long-log-')));
    const hash = chainHash(readKey(original.key));
    const options = { incidents: 6000, path: original.log, hash, segmentBytes: 8 * 1024 * 1024 };
    ({ entries } = await generateLog(options));
  });
  after(() => rmSync(original.directory, { recursive: true }));

  const copy = (): ServiceHome => original.copyTo(directory());
  const withKey = (service: RunningService, key: string, body: object) =>
    service.send('POST', '/api/v1/incidents/report', { headers: { 'Idempotency-Key': key }, body });
  const isReady = async (service: RunningService): Promise<boolean> => (await service.get('/readyz')).status === 200;
  const untilReady = async (service: RunningService): Promise<void> => {
    while (!(await isReady(service))) await new Promise((resolve) => setTimeout(resolve, 50));
  };

  it('answers at once: probes say how far it is, reads wait, and reports without a key are taken', async () => {
    const service = await start(copy(), { whileReading: true });
    const readyz = await service.get('/readyz');
    expect([readyz.status, readyz.json.status]).to.deep.equal([503, 'degraded']);
    expect(readyz.json.reasons[0]).to.match(/^reading the log, \d\d? %$/);
    expect((await service.get('/livez')).json).to.deep.equal({ status: 'ok' });
    const health = await service.get('/health');
    expect([health.status, health.json.audit.last_seq]).to.deep.equal([503, entries + 1]);
    expect(health.json).to.not.have.any.keys('open_incidents', 'total_incidents', 'containment');
    for (const path of ['incidents', 'incidents/get?id=x', 'containment', 'stats', 'events?after=0']) {
      const { status, headers, json } = await service.get(`/api/v1/${path}`);
      expect([status, headers['retry-after']], path).to.deep.equal([503, '5']);
      expect(json.error).to.match(/^reading the log, \d\d? %$/);
    }
    expect((await service.get('/api/v1/policy')).status).to.equal(200);
    const reported = await service.report({ ...QUIET, class: 'tool_call_burst' });
    expect([reported.status, reported.json.state]).to.deep.equal([201, 'contained']);
    const command = await service.post('/api/v1/incidents/resolve', { id: reported.json.id });
    expect(command.status).to.equal(503);
    expect(await isReady(service), 'all of this was before the end').to.equal(false);
    await untilReady(service);
    expect((await service.get(`/api/v1/incidents/get?id=${reported.json.id}`)).json).to.deep.equal(reported.json);
    expect((await service.get('/api/v1/containment/freeze_agent')).json.engaged).to.equal(true);
    expect((await service.post('/api/v1/incidents/resolve', { id: reported.json.id })).status).to.equal(200);
    await service.end();
  });

  it('never records a report twice, whenever it comes', async () => {
    const home = copy();
    // With a database: what is on record before it is lost.
    const first = await start(home, { whileReading: true });
    await untilReady(first);
    const before = (await withKey(first, 'known', QUIET)).json;
    const same = (await first.report({ ...QUIET, dedup_key: 'same' })).json;
    await first.end();
    for (const name of readdirSync(home.directory)) if (name.includes('.sqlite')) rmSync(join(home.directory, name));

    const service = await start(home, { whileReading: true });
    const statuses = new Set<number>();
    const answers: string[] = [];
    const repeat = async (send: () => ReturnType<RunningService['report']>): Promise<string> => {
      for (;;) {
        const { status, json } = await send();
        statuses.add(status);
        if (status !== 503) return `${status} ${json.id}`;
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    };
    const many = [
      repeat(() => withKey(service, 'known', QUIET)),
      repeat(() => service.report({ ...QUIET, dedup_key: 'same' })),
      ...Array.from({ length: 3 }, () => repeat(() => withKey(service, 'new', { ...QUIET, description: 'new' }))),
      ...Array.from({ length: 3 }, () => repeat(() => service.report({ ...QUIET, dedup_key: 'another' }))),
    ];
    answers.push(...(await Promise.all(many)));
    expect(statuses.has(503)).to.equal(true);
    expect(answers.slice(0, 2)).to.deep.equal([`200 ${before.id}`, `200 ${same.id}`]);
    for (const some of [answers.slice(2, 5), answers.slice(5, 8)]) {
      expect(some.filter((answer) => answer.startsWith('201'))).to.have.length(1);
      expect(new Set(some.map((answer) => answer.slice(4))).size).to.equal(1);
    }
    await untilReady(service);
    await service.end();
  });

  it('gives nobody the roles of people until it knows that there was no access file', async () => {
    const home = copy();
    const hash = createHash('sha256').update('a-token-of-ada-0123456789').digest('hex');
    const file = `version: 1\nprincipals:\n  ada: { roles: [admin], token_sha256: ${hash} }\n`;
    writeFileSync(home.access, file, { mode: 0o600 });
    const first = await start(home, { whileReading: true });
    await untilReady(first);
    await first.end();
    rmSync(home.access);
    for (const name of readdirSync(home.directory)) if (name.includes('.sqlite')) rmSync(join(home.directory, name));

    const service = await start(home, { whileReading: true });
    const reload = () => service.post('/api/v1/reload');
    const early = await reload();
    expect([early.status, early.json.error]).to.deep.equal([
      503,
      'the log is being read: whether there was an access file is not known yet',
    ]);
    expect((await service.report(QUIET)).status).to.equal(201);
    expect(await isReady(service), 'that was before the end').to.equal(false);
    await service.said('every token is refused');
    expect((await reload()).json.error).to.include('the audit log says that there was one: put it back');
    expect((await service.report(QUIET)).status).to.equal(403);
    expect((await service.get('/readyz')).status).to.equal(503);
    await service.end();
  });

  it('takes a new key before it has made the database', async () => {
    const service = await start(copy(), { whileReading: true });
    let answer = await withKey(service, 'new', QUIET);
    while (answer.status === 503 && !(await isReady(service))) answer = await withKey(service, 'new', QUIET);
    expect(answer.status).to.equal(201);
    expect(await isReady(service), 'that was before the end').to.equal(false);
    await service.end();
  });

  it('counts and recognises reports as it did before, or says that it does not know yet', async () => {
    const home = copy();
    const policy = join(home.directory, 'policy.yaml');
    writeFileSync(
      policy,
      `version: 1
rules: { manifest_mismatch: { repeat: { same: [source, description], within: 1h } } }
escalate: [{ class: forbidden_airlock_request, reports: 3, within: 600s, to: critical }]
`,
    );
    const env = { CONTAINMENT_POLICY_PATH: policy };
    const first = await start(home, { whileReading: true, env });
    await untilReady(first);
    const lasting = { ...QUIET, class: 'manifest_mismatch' };
    const { id } = (await first.report(lasting)).json;
    await first.report(QUIET);
    await first.end();
    for (const name of readdirSync(home.directory)) if (name.includes('.sqlite')) rmSync(join(home.directory, name));

    const service = await start(home, { whileReading: true, env });
    const errors = new Set<string>();
    const sent = async (body: Readonly<Record<string, unknown>>): ReturnType<RunningService['report']> => {
      for (;;) {
        const answer = await service.report(body);
        if (answer.status !== 503) return answer;
        errors.add(String(answer.json.error).replace(/\d+ %/, 'N %'));
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    };
    const recurred = sent(lasting);
    const [second, third] = [(await sent(QUIET)).json, (await sent(QUIET)).json];
    expect(await isReady(service), 'that was before the end').to.equal(false);
    expect([second.severity, third.severity]).to.deep.equal(['medium', 'critical']);
    expect(third.escalated_by).to.include({ reports: 3, within_ms: 600_000 });
    const other = await sent({ ...lasting, source: 'another-source' });
    expect(other.status).to.equal(201);
    const { status, json } = await recurred;
    expect([status, json.id, json.occurrences]).to.deep.equal([200, id, 2]);
    expect([...errors]).to.include.members([
      'reading the log, N %: how many reports of this class came is not known yet',
      'reading the log, N %: whether this report repeats another is not known yet',
    ]);
    await untilReady(service);
    expect((await service.report(QUIET)).json.severity).to.equal('critical');
    await service.end();
    await home.expectSound();
  });

  it('sends a webhook that is new what is reported meanwhile', async () => {
    const target = await Target.listen();
    try {
      const home = copy();
      const policy = join(home.directory, 'policy.yaml');
      writeFileSync(policy, `version: 1\nnotify: [{ url: '${target.url('/hook')}', events: [incident.reported] }]\n`);
      const service = await start(home, { whileReading: true, env: { CONTAINMENT_POLICY_PATH: policy } });
      const { json } = await service.report(QUIET);
      expect(await isReady(service), 'that was before the end').to.equal(false);
      await untilReady(service);
      const [{ body } = {}] = await target.receives(1);
      expect(body.data.incident).to.equal(json.id);
      await service.end();
    } finally {
      await target.close();
    }
  });

  it('goes on after SIGKILL, and ends in order while it reads', async () => {
    const home = copy();
    const ids: string[] = [];
    for (const signal of ['SIGKILL', 'SIGTERM', 'SIGKILL'] as const) {
      const service = await start(home, { whileReading: true });
      const { status, json } = await service.report(QUIET);
      expect(status).to.equal(201);
      ids.push(json.id);
      const reading = await service.get('/readyz');
      expect(reading.status).to.equal(503);
      await new Promise((resolve) => setTimeout(resolve, 500));
      const code = await service.end(signal);
      expect(code).to.equal(signal === 'SIGTERM' ? 0 : 'SIGKILL');
    }
    const service = await start(home, { whileReading: true });
    await untilReady(service);
    const { json: health } = await service.get('/health');
    const { total_incidents } = (await service.get('/api/v1/stats')).json;
    expect(total_incidents).to.equal(6000 + ids.length);
    for (const id of ids) expect((await service.get(`/api/v1/incidents/get?id=${id}`)).status).to.equal(200);
    expect(health.audit.writable).to.equal(true);
    await service.end();
    await home.expectSound();
  });

  it('says that the log is damaged where it finds that later', async () => {
    const home = copy();
    const [segment] = readdirSync(home.directory).filter((name) => /\.\d{12}\.jsonl$/.test(name));
    const path = join(home.directory, segment!);
    const text = readFileSync(path, 'utf8');
    writeFileSync(path, text.replace('"severity":"high"', '"severity":"low"'));
    const service = await start(home, { whileReading: true });
    await service.said('the audit log is damaged');
    expect((await service.report(QUIET)).status).to.equal(503);
    expect((await service.get('/api/v1/incidents?limit=1')).status).to.equal(200);
    await service.end();
  });
});
