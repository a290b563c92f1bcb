import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { FORMATS } from '../../src/metrics/exposition.ts';
import { type LocalService, localServices } from '../support/local-service.ts';
import { ROOT } from '../support/programs.ts';
import { ServiceHome } from '../support/service-home.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';
import { samplesOf } from './support/samples.ts';

const [OPENMETRICS, PROMETHEUS] = FORMATS;

/** What Prometheus 2.42 sends. */
const ACCEPT_OF_PROMETHEUS =
  'application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,' +
  'text/plain;version=0.0.4;q=0.5,*/*;q=0.1';

describe('GET /metrics', () => {
  const start = localServices();
  const makeDirectory = temporaryDirectories();
  let service: LocalService;

  const scrape = async (accept?: string): Promise<string> => {
    const headers = accept === undefined ? {} : { accept };
    const { status, text } = await service.send('GET', '/metrics', { token: null, headers });
    expect(status).to.equal(200);
    return text;
  };

  const samples = async (): Promise<ReadonlyMap<string, number>> => samplesOf(await scrape());

  beforeEach(async () => {
    service = await start(new ServiceHome(makeDirectory()));
    await service.said('the audit log is verified');
  });

  it('is OpenMetrics, or the older format of Prometheus for who takes only that', async () => {
    for (const [accept, format] of [
      [undefined, OPENMETRICS],
      ['*/*', OPENMETRICS],
      [ACCEPT_OF_PROMETHEUS, OPENMETRICS],
      ['image/png', OPENMETRICS],
      ['text/plain', PROMETHEUS],
      ['text/plain;version=0.0.4', PROMETHEUS],
    ] as const) {
      const headers = accept === undefined ? {} : { accept };
      const answer = await service.send('GET', '/metrics', { token: null, headers });
      expect([accept, answer.headers['content-type']]).to.deep.equal([accept, format]);
      expect(answer.text.endsWith('# EOF\n')).to.equal(format === OPENMETRICS);
    }
  });

  it('says the same in both formats', async () => {
    // The scrapes themselves are counted.
    await scrape();
    const names = async (accept: string): Promise<readonly string[]> => [...samplesOf(await scrape(accept)).keys()];
    expect(await names(PROMETHEUS)).to.deep.equal(await names(OPENMETRICS));
  });

  it('counts reports by what came of them', async () => {
    await service.report({ dedup_key: 'one' }, { 'idempotency-key': 'a' });
    await service.report({ dedup_key: 'one' }, { 'idempotency-key': 'a' });
    await service.report({ dedup_key: 'one', severity: 'low' });
    await service.report({ class: 'no such class' });
    const after = await samples();
    const reports = (severity: string, outcome: string): number | undefined =>
      after.get(
        `incident_recorder_reports_total{class="prompt_injection",severity="${severity}",outcome="${outcome}"}`,
      );
    expect([reports('high', 'created'), reports('high', 'replayed'), reports('low', 'recurred')]).to.deep.equal([
      1, 1, 1,
    ]);
    expect(reports('high', 'refused')).to.equal(0);
    const refused =
      'incident_recorder_http_requests_total{method="POST",route="/api/v1/incidents/report",status="400"}';
    expect(after.get(refused)).to.equal(1);
  });

  it('shows the incidents as they are now, and what it took to write of them', async () => {
    const { json } = await service.report();
    await service.report();
    await service.post('/api/v1/incidents/resolve', { id: json.id });
    const after = await samples();
    const incidents = (state: string): number | undefined =>
      after.get(`incident_recorder_incidents{class="prompt_injection",severity="high",state="${state}"}`);
    expect([incidents('open'), incidents('contained'), incidents('resolved')]).to.deep.equal([0, 1, 1]);
    const { audit } = (await service.get('/health')).json;
    expect(after.get('incident_recorder_audit_last_seq')).to.equal(audit.last_seq);
    expect(after.get('incident_recorder_audit_file_bytes')).to.equal(audit.bytes);
    expect(after.get('incident_recorder_batch_entries_sum')).to.equal(audit.last_seq);
    expect(after.get('incident_recorder_audit_appended_bytes_total')).to.equal(audit.bytes);
    expect(after.get('incident_recorder_projection_lag_entries')).to.equal(0);
    expect(after.get('incident_recorder_audit_state{state="open"}')).to.equal(1);
    expect(after.get('incident_recorder_ready')).to.equal(1);
    expect(after.get('incident_recorder_append_seconds_count')).to.be.at.least(4);
    expect(after.get('process_resident_memory_bytes')).to.be.above(1e6);
  });

  it('shows how far containment is, and how long it took', async () => {
    await service.report();
    await service.report();
    const figures = async (): Promise<readonly (number | undefined)[]> => {
      const now = await samples();
      return [
        now.get('incident_recorder_containment_holders{action="freeze_agent"}'),
        now.get('incident_recorder_containment_deliveries{action="freeze_agent",status="recorded"}'),
        now.get('incident_recorder_containment_deliveries{action="freeze_agent",status="confirmed"}'),
        now.get('incident_recorder_containment_seconds_count{action="freeze_agent"}'),
      ];
    };
    expect(await figures()).to.deep.equal([2, 2, 0, 0]);
    await service.post('/api/v1/containment/confirm', { action: 'freeze_agent', directive: 'engage' });
    expect(await figures()).to.deep.equal([2, 0, 2, 2]);
  });

  it('has as many figures with many incidents as with one', async () => {
    const figures = async (): Promise<number> => (await samples()).size;
    await service.report();
    await service.get('/metrics');
    const before = await figures();
    await Promise.all(Array.from({ length: 200 }, () => service.report()));
    expect(await figures()).to.equal(before);
  });

  it('counts answers by route, not by URL', async () => {
    for (const path of ['/one', '/two?x=1', '/api/v1/incidents/get?id=INC-1', '/api/v1/incidents/get?id=INC-2']) {
      await service.get(path);
    }
    const after = await samples();
    const answers = (route: string): number | undefined =>
      after.get(`incident_recorder_http_requests_total{method="GET",route="${route}",status="404"}`);
    expect([answers(''), answers('/api/v1/incidents/get')]).to.deep.equal([2, 2]);
  });

  it('has what the alert rules speak of', async () => {
    await service.get('/metrics');
    const rules = readFileSync(join(ROOT, 'systemd/incident-recorder.rules.yaml'), 'utf8');
    const spoken = new Set(rules.match(/\b(?:incident_recorder|process)_[a-z_]+/g));
    // Where there is no webhook there is no figure of one, but its name.
    const text = await scrape(PROMETHEUS);
    const samplesThere = [...samplesOf(text).keys()].map((name) => name.replace(/\{.*/, ''));
    const there = new Set([...samplesThere, ...(text.match(/(?<=^# TYPE )\w+/gm) ?? [])]);
    expect([...spoken].filter((name) => !there.has(name))).to.deep.equal([]);
  });
});
