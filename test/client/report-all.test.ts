import { readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { once } from 'node:events';
import { join } from 'node:path';
import { expect } from 'chai';
import {
  InvalidReport,
  NotReachable,
  type Recorded,
  RecorderClient,
  Refused,
  type Report,
  ReportSpool,
} from '../../src/client/index.ts';
import { localServices } from '../support/local-service.ts';
import { ServiceHome } from '../support/service-home.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';

const REPORT: Report = { class: 'tool_call_burst', source: 'tool-firewall', description: 'a burst' };
const named = (description: string): Report => ({ ...REPORT, description });
const numbered = (count: number): Report[] => Array.from({ length: count }, (_, n) => named(`report ${n}`));

describe('RecorderClient.reportAll', () => {
  const directory = temporaryDirectories();
  const start = localServices();
  const open: { close(): unknown }[] = [];
  const servers: Server[] = [];

  afterEach(async () => {
    for (const one of open.splice(0)) await one.close();
    for (const server of servers.splice(0)) {
      server.closeAllConnections();
      await new Promise((done) => server.close(done));
    }
  });

  const setUp = async () => {
    const home = new ServiceHome(directory());
    const url = `unix:${join(home.directory, 'socket')}`;
    const client = new RecorderClient({ url, tokenPath: home.token, timeout: 20_000, retries: 0 });
    open.push(client);
    return {
      home,
      url,
      client,
      run: (env: Record<string, string> = {}) => start(home, { env: { BIND_ADDR: url, ...env } }),
    };
  };

  const descriptions = ({ home }: { home: ServiceHome }): string[] =>
    readFileSync(home.log, 'utf8')
      .split('\n')
      .filter((line) => line.includes('"event":"incident.reported"'))
      .map((line) => (JSON.parse(line) as { data: { report: Report } }).data.report.description);

  const outcomes = (results: readonly (Recorded | Error)[]): string[] =>
    results.map((result) => (result instanceof Error ? result.name : result.outcome));

  /** A server that answers by a function, and counts what it was asked. */
  const standIn = async (answer: (path: string, body: string) => { status: number; body: unknown }) => {
    const asked: string[] = [];
    const server = createServer((incoming, response) => {
      void (async () => {
        let body = '';
        for await (const chunk of incoming.setEncoding('utf8')) body += chunk;
        asked.push(incoming.url ?? '');
        const { status, body: given } = answer(incoming.url ?? '', body);
        response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(given));
      })();
    });
    servers.push(server);
    const path = join(directory(), 'socket');
    await once(server.listen(path), 'listening');
    const token = join(directory(), 'token');
    writeFileSync(token, 'a-token-that-is-long-enough', { mode: 0o600 });
    const client = new RecorderClient({ url: `unix:${path}`, tokenPath: token, prove: false, retries: 0 });
    open.push(client);
    return { asked, client };
  };

  it('records reports in their order, as many as there are, with as few requests as a recorder takes', async () => {
    const setting = await setUp();
    const service = await setting.run();
    const results = await setting.client.reportAll(numbered(230));
    expect(outcomes(results)).to.deep.equal(Array.from({ length: 230 }, () => 'created'));
    expect(descriptions(setting)).to.deep.equal(numbered(230).map(({ description }) => description));
    const { text } = await service.get('/metrics');
    expect(text).to.match(/^incident_recorder_report_batches_total 3$/m);
    expect(text).to.match(/^incident_recorder_batched_reports_total\{status="201"\} 230$/m);
    expect(text).to.match(/^incident_recorder_reports_total\{.*class="tool_call_burst".*outcome="created".*\} 230$/m);
    expect(text).to.match(/^incident_recorder_http_requests_total\{.*reports.*status="200".*\} 3$/m);
  });

  it('says what became of each: recorded, an occurrence, replayed, refused, or not to be sent', async () => {
    const { client, run } = await setUp();
    await run();
    const reports = [REPORT, { ...REPORT, dedup_key: 'a' }, { ...REPORT, dedup_key: 'a' }];
    expect(outcomes(await client.reportAll(reports, { keys: ['k', 'l', 'm'] }))).to.deep.equal([
      'created',
      'created',
      'recurred',
    ]);
    const results = await client.reportAll(
      [REPORT, { ...REPORT, class: 'unknown' as never }, { ...REPORT, evidence: { n: NaN } }, named('other')],
      { keys: ['k', 'n', 'o', 'l'] },
    );
    expect(outcomes(results)).to.deep.equal(['replayed', 'Refused', 'InvalidReport', 'Refused']);
    expect(results[1]).to.be.instanceOf(Refused).and.to.include({ status: 400 });
    expect(results[2]).to.be.instanceOf(InvalidReport);
    expect(results[3]).to.include({ status: 422 });
  });

  it('splits by length as well, and sends one by one what a recorder takes only so', async () => {
    const setting = await setUp();
    await setting.run({ MAX_BODY_BYTES: '4096' });
    const large = numbered(12).map((report) => ({ ...report, evidence: { text: 'x'.repeat(2500) } }));
    expect(outcomes(await setting.client.reportAll(large))).to.deep.equal(large.map(() => 'created'));
    expect(descriptions(setting)).to.have.length(12);
    const huge = [...large, { ...REPORT, evidence: { text: 'x'.repeat(5000) } }];
    expect(outcomes(await setting.client.reportAll(huge)).at(-1)).to.equal('Refused');
  });

  it('sends one by one to a recorder that knows no batches', async () => {
    const { asked, client } = await standIn((path) =>
      path.endsWith('/reports')
        ? { status: 404, body: { error: 'not found' } }
        : { status: 201, body: { ...REPORT, id: 'INC-1', version: 1 } },
    );
    expect(outcomes(await client.reportAll([REPORT, REPORT]))).to.deep.equal(['created', 'created']);
    expect(asked).to.deep.equal(['/api/v1/incidents/reports', '/api/v1/incidents/report', '/api/v1/incidents/report']);
  });

  it('throws when nothing answers, the token is wrong, or the answer is that of another server', async () => {
    const { client } = await setUp();
    const failure = (work: Promise<unknown>) =>
      work.then(
        () => 'none',
        (error: Error) => error,
      );
    expect(await failure(client.reportAll([REPORT]))).to.be.instanceOf(NotReachable);
    expect(await client.reportAll([])).to.deep.equal([]);
    for (const body of [{}, [], [{ status: 201, incident: { id: 'INC-1' } }], [null]]) {
      const other = await standIn(() => ({ status: 200, body }));
      expect(await failure(other.client.reportAll([REPORT])), JSON.stringify(body)).to.be.instanceOf(NotReachable);
    }
    const refusing = await standIn(() => ({ status: 403, body: { error: 'forbidden' } }));
    expect(await failure(refusing.client.reportAll([REPORT]))).to.include({ status: 403 });
    expect(refusing.asked).to.have.length(1);
    expect(await failure(client.reportAll([REPORT], { keys: [] }))).to.be.instanceOf(RangeError);
  });

  it('sends again what can’t be recorded now, and only that', async () => {
    const bodies: { description: string }[][] = [];
    const { client } = await standIn((_path, body) => {
      const sent = JSON.parse(body) as (Report & { description: string })[];
      bodies.push(sent);
      return {
        status: 200,
        body: sent.map((report) =>
          report.description === 'busy' && bodies.length === 1
            ? { status: 503, error: 'try again' }
            : { status: 201, incident: { ...REPORT, id: 'INC-1', version: 1 } },
        ),
      };
    });
    const results = await client.reportAll([named('one'), named('busy'), named('two')], { retries: 2 });
    expect(outcomes(results)).to.deep.equal(['created', 'created', 'created']);
    expect(bodies.map((sent) => sent.map(({ description }) => description))).to.deep.equal([
      ['one', 'busy', 'two'],
      ['busy'],
    ]);
  });

  it('lets a spool drain with batches, in order, and keeps aside what is refused', async () => {
    const setting = await setUp();
    const refused: string[] = [];
    const delivered: string[] = [];
    const spool = await ReportSpool.open(setting.client, {
      path: join(setting.home.directory, 'reports.spool'),
      onRefused: (_report, key) => refused.push(key),
      onDelivered: (key) => delivered.push(key),
    });
    open.unshift(spool);
    for (const [n, report] of numbered(250).entries())
      await spool.report(n === 7 || n === 200 ? { ...report, class: 'unknown' as never } : report, `k${n}`);
    const service = await setting.run();
    await spool.drained();
    const kept = numbered(250).filter((_, n) => n !== 7 && n !== 200);
    expect(descriptions(setting)).to.deep.equal(kept.map(({ description }) => description));
    await new Promise(setImmediate);
    expect(refused).to.deep.equal(['k7', 'k200']);
    expect(delivered).to.have.length(248);
    const { text } = await service.get('/metrics');
    expect(text).to.match(/^incident_recorder_report_batches_total [34]$/m);
  });
});
