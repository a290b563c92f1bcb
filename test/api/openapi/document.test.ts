import { copyFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createConfig, lintFromString } from '@redocly/openapi-core';
import { expect } from 'chai';
import { IMPORT_EXAMPLE } from '../../../src/api/import/import.openapi.ts';
import { COMMAND_TABLE, type CommandName, COMMANDS } from '../../../machines/commands.ts';
import { routesOf } from '../../../src/api/app.ts';
import { openApiDocument } from '../../../src/api/openapi/document.ts';
import { CHART_FORMATS } from '../../../src/statecharts/formats.ts';
import { EventReader } from '../../support/event-reader.ts';
import { ATTESTATION_KEY, ATTESTOR_TOKEN, StandInAttestor } from '../../support/attestor.ts';
import { LocalService } from '../../support/local-service.ts';
import { HOUR, timestamp } from '../../../src/clock.ts';
import { MOST_SILENCES } from '../../../src/domain/silence.ts';
import { accessInFleet, Notary } from '../../support/notary.ts';
import { ROOT } from '../../support/programs.ts';
import type { Answer, RequestOptions } from '../../support/service-client.ts';
import { ServiceHome } from '../../support/service-home.ts';
import { temporaryDirectories } from '../../support/temporary-directory.ts';
import { Contract, type Operation } from '../support/contract.ts';
import { standIn } from '../support/dependencies.ts';

/** Routes that are no part of the API. */
const UNDOCUMENTED = ['GET /', 'GET /console/{name}'];

/**
 * What is not brought about here: it takes a full disk, a log so long that it is still being verified, archived segments
 * or very many readers.
 */
const ELSEWHERE = [
  'GET /api/v1/incidents 503',
  'GET /api/v1/incidents/get 503',
  'GET /api/v1/incidents/similar 503',
  'GET /api/v1/incidents/history 503',
  'GET /api/v1/incidents/groups 503',
  'GET /api/v1/incidents/groups 410',
  'POST /api/v1/incidents/bulk 410',
  'GET /api/v1/stats/groups 503',
  'GET /api/v1/stats/groups 410',
  'GET /api/v1/incidents/changes 503',
  'GET /api/v1/incidents/transitions 503',
  'GET /api/v1/incidents/statechart 503',
  'GET /api/v1/incidents/bundle 410',
  'GET /api/v1/incidents/bundle 503',
  'GET /api/v1/events 410',
  // See log/routes.test.ts.
  'GET /api/v1/log 410',
  'GET /api/v1/log 503',
  // See log-anchors.test.ts.
  'POST /api/v1/log/anchors 503',
  'POST /api/v1/fleet/commands 503',
  // See archived-incident.process.test.ts.
  ...['contain', 'acknowledge', 'resolve', 'note', 'assign', 'snooze', 'reopen'].map(
    (command) => `POST /api/v1/incidents/${command} 410`,
  ),
  ...['ack', 'reattest', 'waive'].map((command) => `POST /api/v1/recovery/${command} 410`),
  'GET /api/v1/recovery/status 410',
  'GET /api/v1/recovery/status 503',
  ...['get', 'similar', 'history', 'transitions', 'statechart'].map((read) => `GET /api/v1/incidents/${read} 410`),
  ...['confirm', 'release', 'retry'].map((command) => `POST /api/v1/containment/${command} 410`),
  // See positions.process.test.ts.
  'GET /api/v1/incidents 410',
  'GET /api/v1/events 503',
  'GET /api/v1/containment 503',
  'GET /api/v1/containment/{action} 503',
  'GET /api/v1/containment/preview 410',
  'GET /api/v1/containment/preview 503',
  'POST /api/v1/archive 503',
  'POST /api/v1/webhooks/retry 503',
  // See guard-watch.test.ts: only what is news is written.
  'POST /api/v1/heartbeat 503',
];

const REPORT = { class: 'prompt_injection', source: 'tool-firewall', description: 'a test', evidence: { a: [1.5] } };
const OPEN_REPORT = { ...REPORT, class: 'forbidden_airlock_request' };
const ARCHIVE = { before: '2020-01-01T00:00:00Z' };
const UNKNOWN = 'INC-20261122-000000000000';

/** A service that answers, with its answers held against the document. */
interface Subject {
  readonly service: LocalService;
  readonly policy: string;
  /** Asks for the operation that is being tried. */
  readonly send: (query?: string, options?: RequestOptions) => Promise<Answer>;
  /** Holds an answer that came in another way against the document. */
  readonly hold: (answer: Answer) => void;
  readonly report: (report?: object) => Promise<string>;
}

type Drive = (subject: Subject) => Promise<unknown>;

/** A command where it is allowed, where it is expected at another version, and where there is no such incident. */
const command =
  (state: string, report: object = REPORT): Drive =>
  async ({ send, report: make }) => {
    const id = await make(report);
    await send('', { body: { id }, headers: { 'If-Match': '"17"' } });
    await send('', { body: { id }, headers: { 'If-Match': 'no version' } });
    const { json } = await send('', { body: { id, by: 'ada', note: 'a test' } });
    expect(json.state).to.equal(state);
    await send('', { body: { id: UNKNOWN } });
  };

/** The same, and after the incident's end. */
const commandBeforeTheEnd =
  (state: string, report?: object): Drive =>
  async (subject) => {
    await command(state, report)(subject);
    const id = await subject.report(report);
    await subject.service.post('/api/v1/incidents/resolve', { id });
    await subject.send('', { body: { id } });
  };

/** Until its recovery is complete, an incident can't be resolved. */
const resolveDrive: Drive = async (subject) => {
  await command('resolved')(subject);
  await withRecovery(subject, async (id) => {
    const { json } = await subject.send('', { body: { id } });
    expect(json.missing).to.deep.equal(['acknowledge', 'attest']);
  });
};

/** Does something with an incident whose rule asks for a recovery. */
const withRecovery = async (
  { service, policy, report }: Subject,
  use: (id: string) => Promise<unknown>,
): Promise<void> => {
  const rule = 'prompt_injection: { recovery: { acknowledge: true, attest: true } }';
  writeFileSync(policy, `version: 1\nrules: { ${rule} }\n`);
  await service.post('/api/v1/reload');
  const id = await report();
  writeFileSync(policy, 'version: 1\n');
  await service.post('/api/v1/reload');
  await use(id);
};

/** Something that is done for a recovery: where it is asked for, where it is not, and where there is no such incident. */
const recover =
  (answer: object, more: object = {}): Drive =>
  async (subject) => {
    const { send, report } = subject;
    await withRecovery(subject, async (incident_id) => {
      await send('', { body: { incident_id, ...more }, headers: { 'If-Match': '"17"' } });
      const { json } = await send('', { body: { incident_id, operator: 'ada', ...more } });
      expect(json).to.deep.include(answer);
    });
    await send('', { body: { incident_id: await report(), ...more } });
    await send('', { body: { incident_id: UNKNOWN, ...more } });
  };

/** An act that has no effect on the state, where it is done, at another version, and where there is no such incident. */
const act =
  (said: object, result: object): Drive =>
  async ({ send, report }) => {
    const id = await report();
    await send('', { body: { id, ...said }, headers: { 'If-Match': '"17"' } });
    const { json } = await send('', { body: { id, by: 'ada', ...said } });
    expect(json).to.deep.include(result);
    await send('', { body: { id: UNKNOWN, ...said } });
  };

const snoozeDrive: Drive = async (subject) => {
  const until = new Date(Math.ceil(Date.now() / 1000) * 1000 + 3_600_000).toISOString();
  await act({ until, note: 'a test' }, { state: 'acknowledged', snoozed_until: until, note: 'a test' })(subject);
  const { service, send, report } = subject;
  const id = await report();
  await service.post('/api/v1/incidents/resolve', { id });
  await send('', { body: { id, until } });
};

const reopenDrive: Drive = async ({ service, send, report }) => {
  const id = await report();
  expect((await send('', { body: { id } })).status).to.equal(409);
  await service.post('/api/v1/incidents/resolve', { id });
  await send('', { body: { id }, headers: { 'If-Match': '"17"' } });
  const { status, json } = await send('', { body: { id, by: 'ada', note: 'a test' } });
  expect([status, json.reopens]).to.deep.equal([201, id]);
  expect((await send('', { body: { id } })).status).to.equal(200);
  await service.post('/api/v1/incidents/resolve', { id: json.id });
  expect((await send('', { body: { id } })).json.reopened_as).to.equal(json.id);
  await send('', { body: { id: UNKNOWN } });
};

const driveOf = (name: CommandName): Drive => {
  const { done } = COMMAND_TABLE[name];
  return name === 'resolve' ? resolveDrive : commandBeforeTheEnd(done, OPEN_REPORT);
};

const reload: Drive = async ({ send, policy }) => {
  await send();
  writeFileSync(policy, 'version: 2\n');
  await send();
  writeFileSync(policy, 'version: 1\n');
};

const silenceBody = () => ({
  class: ['tool_call_burst'],
  source: ['nobody'],
  severity: ['low'],
  q: 'nothing*',
  until: timestamp(Date.now() + HOUR),
  reason: 'a test',
  by: 'ada',
});

const FREEZE = { action: 'freeze_agent', directive: 'engage' };

/** The posture, and the same once more. */
const posture: Drive = async ({ send, report }) => {
  await report();
  const { headers } = await send();
  const known = { 'If-None-Match': headers.etag ?? '' };
  await send('?wait=1', { headers: known });
  const changed = send('?wait=20', { headers: known });
  await report();
  expect((await changed).status).to.equal(200);
};

const ask: Drive = ({ send }) => send();

const inEveryFormat: Drive = async ({ send }) => {
  await send();
  for (const format of CHART_FORMATS) await send(`?format=${format}`);
};

/** Makes every operation give the answers that the document lists, beside those of `refuse` and `blocked`. */
const DRIVES: Readonly<Record<string, Drive>> = {
  'POST /api/v1/incidents/report': async ({ send, service, policy }) => {
    await send('', { body: { ...REPORT, severity: 'low' } });
    writeFileSync(policy, 'version: 1\nreport_bytes_per_day: 1\nrules: { prompt_injection: { min_severity: high } }\n');
    await service.post('/api/v1/reload');
    await send('', { body: REPORT });
    writeFileSync(policy, 'version: 1\nrules: { prompt_injection: { min_severity: high } }\n');
    await service.post('/api/v1/reload');
    await send('', { body: { ...REPORT, source: 't\u043eol-firewall', severity: 'low' } });
    writeFileSync(policy, 'version: 1\n');
    await service.post('/api/v1/reload');
    const headers = { 'Idempotency-Key': 'one' };
    await send('', { body: { ...REPORT, dedup_key: 'same' }, headers });
    await send('', { body: { ...REPORT, dedup_key: 'same' }, headers });
    await send('', { body: { ...REPORT, dedup_key: 'another' }, headers });
    const { json } = await send('', { body: { ...REPORT, dedup_key: 'same' } });
    expect(json.occurrences).to.equal(2);
  },
  ...Object.fromEntries(COMMANDS.map((name) => [`POST /api/v1/incidents/${name}`, driveOf(name)])),
  'POST /api/v1/incidents/note': act({ note: 'a test' }, { note: 'a test', notes_count: 1 }),
  'POST /api/v1/incidents/assign': act({ to: 'grace' }, { assignee: 'grace', assigned_by: 'ada' }),
  'POST /api/v1/incidents/snooze': snoozeDrive,
  'POST /api/v1/incidents/reopen': reopenDrive,
  'POST /api/v1/incidents/reports': async ({ send, service, policy }) => {
    const { json } = await send('', {
      body: [
        { ...REPORT, source: 'batch', dedup_key: 'batch', idempotency_key: 'b1' },
        { ...REPORT, source: 'batch', dedup_key: 'batch' },
        { ...REPORT, source: 'batch', dedup_key: 'batch', idempotency_key: 'b1' },
        { ...REPORT, source: 'batch', idempotency_key: 'b1' },
        { ...REPORT, class: 'unknown' },
      ],
    });
    expect(json.map(({ status }: { status: number }) => status)).to.deep.equal([201, 200, 200, 422, 400]);
    const lines = { 'content-type': 'application/x-ndjson' };
    await send('', { body: `${JSON.stringify(REPORT)}\n{"class":\n`, headers: lines });
    writeFileSync(policy, 'version: 1\nreport_bytes_per_day: 1\n');
    await service.post('/api/v1/reload');
    const refused = await send('', { body: [REPORT] });
    expect(refused.json[0]).to.include.keys('error', 'retry_after').and.to.include({ status: 429 });
    writeFileSync(policy, 'version: 1\n');
    await service.post('/api/v1/reload');
    await send('', { body: REPORT });
    await send('', { body: Array.from({ length: 101 }, () => REPORT) });
    await send('', { body: [REPORT], headers: { 'content-type': 'text/plain' } });
  },
  'POST /api/v1/incidents/bulk': async (subject) => {
    const { send, service, report } = subject;
    const source = 'bulk';
    for (let at = 0; at < 3; at++) await report({ ...OPEN_REPORT, source });
    const id = await report({ ...OPEN_REPORT, source });
    await service.post('/api/v1/incidents/resolve', { id });
    const body = { command: 'acknowledge', filter: { source }, by: 'ada', note: 'a test' };
    const { json } = await send('', { body: { ...body, preview: true } });
    expect(json).to.deep.include({ matched: 4, allowed: 3, refused: { resolved: 1 } });
    const first = await send('', { body: { ...body, limit: 2, cursor: json.snapshot } });
    expect(first.json).to.deep.include({ done: false, remaining: 2 });
    const second = await send('', { body: { ...body, cursor: first.json.cursor } });
    const results: readonly Answer[] = [...first.json.results, ...second.json.results];
    expect(results.map(({ status }) => status)).to.have.members([200, 200, 200, 409]);
    await withRecovery(subject, async () => {
      await send('', { body: { command: 'resolve', filter: { source: REPORT.source, q: 'test' }, preview: true } });
    });
  },
  'POST /api/v1/recovery/ack': recover({ status: 'acknowledged' }),
  'POST /api/v1/recovery/reattest': recover({ status: 're-attested', recovery_complete: false }),
  'POST /api/v1/recovery/waive': recover({ status: 'waived' }, { reason: 'the attestor is gone' }),
  'GET /api/v1/recovery/status': async (subject) => {
    const { send, report } = subject;
    await withRecovery(subject, async (id) => {
      const { json } = await send();
      expect(json.pending_recoveries.at(-1).incident_id).to.equal(id);
      expect((await send(`?incident_id=${id}`)).json).to.deep.include({ count: 1 });
    });
    await send(`?incident_id=${await report()}`);
    await send(`?incident_id=${UNKNOWN}`);
  },
  'GET /api/v1/incidents': async ({ send, report }) => {
    await report();
    await report(OPEN_REPORT);
    const { json, headers } = await send('?limit=2&state=open&state=contained');
    expect(json).to.have.length(2);
    expect(headers).to.include.keys('x-total-count');
    await send('?q=agent');
  },
  'GET /api/v1/incidents/get': async ({ send, report }) => {
    const id = await report();
    const { headers } = await send(`?id=${id}`);
    await send(`?id=${id}`, { headers: { 'If-None-Match': headers.etag ?? '' } });
    await send(`?id=${UNKNOWN}`);
  },
  'GET /api/v1/incidents/similar': async ({ send, report }) => {
    await report();
    const { json } = await send(`?id=${await report()}`);
    expect(json[0].same).to.deep.equal([{ path: 'a', value: 1.5 }]);
    await send(`?id=${UNKNOWN}`);
  },
  'GET /api/v1/incidents/history': async ({ send, report }) => {
    const { json } = await send(`?id=${await report()}`);
    expect(json).to.have.length(2);
    await send(`?id=${UNKNOWN}`);
  },
  'GET /api/v1/incidents/groups': async ({ send, report }) => {
    await report();
    await report(OPEN_REPORT);
    const { json, headers } = await send('?limit=1&by=class,source&by=assignee&state=open');
    expect(json).to.have.length(1);
    expect(headers).to.include({ 'x-complete': 'true' });
  },
  'GET /api/v1/stats/groups': ask,
  'GET /api/v1/incidents/changes': async ({ send, report }) => {
    await report();
    expect((await send('?after=0')).json.complete).to.be.a('boolean');
    await send('?since=2020-01-01T00:00:00Z');
    await send('?after=1000000');
  },
  'GET /api/v1/stats': ask,
  'GET /api/v1/stats/hours': async ({ send, report }) => {
    await report();
    await send('?hours=48');
  },
  'GET /api/v1/stats/compare': async ({ send, report }) => {
    await report();
    const since = timestamp(Date.now() - HOUR);
    for (const by of ['class', 'source', 'severity', 'hour']) {
      const { json } = await send(`?since=${since}&by=${by}`);
      expect(json.incidents.now).to.be.above(0);
    }
    await send('?by=nonsense');
  },
  'GET /api/v1/incidents/transitions': async ({ send, report }) => {
    await send(`?id=${await report()}`);
    await send(`?id=${UNKNOWN}`);
  },
  'GET /api/v1/incidents/statechart': async ({ send, report }) => {
    await send(`?id=${await report()}&version=1`);
    await send(`?id=${UNKNOWN}`);
  },
  'GET /api/v1/machines': ask,
  'GET /api/v1/machines/incident': inEveryFormat,
  'GET /api/v1/machines/delivery': inEveryFormat,
  'GET /api/v1/policy': ask,
  'GET /api/v1/access/me': ask,
  'GET /api/v1/events': async ({ service, hold }) => {
    const reader = await EventReader.open({ port: service.port, path: '/api/v1/events?after=0' });
    await reader.received(1);
    hold({ status: reader.status, headers: reader.headers, text: '', json: undefined });
    reader.leave();
  },
  'GET /api/v1/containment': posture,
  'GET /api/v1/containment/preview': async ({ send, report }) => {
    const id = await report();
    const { json } = await send(`?id=${id}&id=${UNKNOWN}&command=resolve`);
    expect(json.unknown).to.deep.equal([UNKNOWN]);
    await send(`?id=${id}&command=release&action=freeze_agent`);
    await send(`?id=${id}&command=release`);
    await send(`?id=${UNKNOWN}&command=resolve`);
  },
  'GET /api/v1/containment/{action}': async (subject) => {
    await posture(subject);
    const { service, hold } = subject;
    hold(await service.get('/api/v1/containment/no_such_action'));
  },
  'POST /api/v1/containment/confirm': async ({ send, report }) => {
    await report();
    await send('', { body: FREEZE });
    const { json } = await send('', { body: { ...FREEZE, observed: 'released' } });
    expect(json.lost).to.be.above(0);
    await send('', { body: { ...FREEZE, directive: 'release' } });
    await send('', { body: { ...FREEZE, incident_id: UNKNOWN } });
  },
  'POST /api/v1/containment/release': async ({ send, service, report }) => {
    const id = await report();
    const body = { id, action: 'freeze_agent', reason: 'a test', by: 'ada' };
    await send('', { body, headers: { 'If-Match': '"17"' } });
    await send('', { body: { ...body, id: UNKNOWN } });
    const { json } = await send('', { body });
    expect(json.release.action).to.equal('freeze_agent');
    expect((await send('', { body })).json.holds).not.to.include('freeze_agent');
    await service.post('/api/v1/incidents/resolve', { id });
  },
  'POST /api/v1/containment/retry': async ({ send, service, report }) => {
    const id = await report();
    await service.post('/api/v1/containment/confirm', FREEZE);
    await service.post('/api/v1/containment/confirm', { ...FREEZE, observed: 'released' });
    const { json } = await send('', { body: { action: 'freeze_agent', incident_id: id, by: 'ada' } });
    expect(json.retried).to.equal(1);
    await service.post('/api/v1/containment/confirm', FREEZE);
    await send('', { body: { action: 'freeze_agent', incident_id: id } });
    await send('', { body: { action: 'freeze_agent', incident_id: UNKNOWN } });
  },
  'GET /api/v1/silences': async ({ send, service }) => {
    await service.post('/api/v1/silences', silenceBody());
    expect((await send()).json).to.have.length(1);
  },
  'POST /api/v1/silences': async ({ send }) => {
    for (let count = 1; count < MOST_SILENCES; count++) await send('', { body: silenceBody() });
    const { status, json } = await send('', { body: silenceBody() });
    expect([status, json.limit]).to.deep.equal([409, MOST_SILENCES]);
  },
  'POST /api/v1/silences/end': async ({ send, service }) => {
    const { id } = (await service.get('/api/v1/silences')).json[0];
    const { json } = await send('', { body: { id, reason: 'done', by: 'ada' } });
    expect(json.state).to.equal('ended');
    await send('', { body: { id: 'SIL-20261122-000000000000' } });
  },
  'GET /api/v1/webhooks/skipped': ask,
  'POST /api/v1/webhooks/retry': async ({ send, service, policy, report }) => {
    const webhook = 'http://127.0.0.1:9/';
    writeFileSync(policy, `version: 1\nnotify: [ { url: "${webhook}" } ]\n`);
    await service.post('/api/v1/reload');
    await service.until(async () => (await service.get('/health')).json.notify.length > 0);
    // Where nothing waits for it the feed is at the end of the log.
    await report(OPEN_REPORT);
    const { last_seq } = (await service.get('/health')).json.audit;
    const { status } = await send('', { body: { webhook, seq: last_seq, by: 'ada' } });
    expect(status).to.equal(200);
    await send('', { body: { webhook, seq: 1_000_000 } });
    writeFileSync(policy, 'version: 1\n');
    await service.post('/api/v1/reload');
  },
  'POST /api/v1/heartbeat': async ({ send, service, policy }) => {
    writeFileSync(policy, 'version: 1\nexpect: [{ source: runtime-attestor, every: 5m }]\n');
    await service.post('/api/v1/reload');
    const { json } = await send('', { body: { source: 'runtime-attestor' } });
    expect(json.status).to.equal('heard');
    await send('', { body: { source: 'nobody' } });
    writeFileSync(policy, 'version: 1\n');
    await service.post('/api/v1/reload');
  },
  'POST /api/v1/drill': async ({ send, service, policy }) => {
    const target = '{ engage: { url: "http://127.0.0.1:9/", action: off }, drill: true }';
    writeFileSync(policy, `version: 1\noverdue_after: 1s\ntargets: { disable_airlock: ${target} }\n`);
    await service.post('/api/v1/reload');
    const { json } = await send('', { body: { class: 'attestation_failure', by: 'ada', note: 'a test' } });
    await send('', { body: { class: 'attestation_failure' } });
    await service.until(async () => {
      const { json: incident } = await service.get(`/api/v1/incidents/get?id=${json.id}`);
      return incident.state === 'resolved';
    });
    writeFileSync(policy, 'version: 1\n');
    await service.post('/api/v1/reload');
  },
  'GET /api/v1/forensic/export': async ({ send }) => {
    expect((await send()).status).to.equal(200);
  },
  'GET /api/v1/incidents/bundle': async ({ send, service }) => {
    const { json } = await service.report();
    expect((await send(`?id=${json.id}`)).status).to.equal(200);
    await send('');
    await send('?id=INC-20261122-000000000000');
  },
  'POST /api/v1/archive': ({ send }) => send('', { body: ARCHIVE }),
  'POST /api/v1/import': ({ send }) => send('', { body: IMPORT_EXAMPLE }),
  'GET /api/v1/log': async ({ send }) => {
    const { status, text } = await send('?from=1&limit=2');
    expect([status, text.split('\n').length]).to.deep.equal([200, 3]);
    await send('?from=99999');
  },
  'POST /api/v1/log/anchors': async ({ send, hold }) => {
    await send('', { body: { anchor: 'a note' } });
    await inFleet(async (service, notary) => {
      const handed = async (note: string): Promise<number> => {
        const answer = await service.post('/api/v1/log/anchors', { anchor: note });
        hold(answer);
        return answer.status;
      };
      expect(await handed(notary.note())).to.equal(201);
      expect(await handed(notary.note())).to.equal(200);
      expect(await handed('no note')).to.equal(400);
      expect(await handed(notary.note({ hash: 'b2'.repeat(32) }))).to.equal(409);
    });
  },
  'POST /api/v1/fleet/commands': async ({ send, hold }) => {
    await send('', { body: { command: 'a note' } });
    await inFleet(async (service, notary) => {
      const handed = async (note: string): Promise<number> => {
        const answer = await service.post('/api/v1/fleet/commands', { command: note });
        hold(answer);
        return answer.status;
      };
      const { id } = (await service.report()).json;
      expect(await handed(notary.command('acknowledge', { id }))).to.equal(200);
      expect(await handed(notary.command('acknowledge', { id: UNKNOWN }))).to.equal(200);
      expect(await handed(notary.command('acknowledge', { id }, { role: 'auditor' }))).to.equal(403);
      expect(await handed(notary.command('acknowledge', { id }, { expires: '2026-01-01T00:00:00Z' }))).to.equal(410);
    });
  },
  'POST /api/v1/log/acknowledge-damage': async ({ send, service, policy }) => {
    rmSync(join(policy, '../audit.jsonl.checkpoint'));
    await service.until(async () => (await service.get('/health')).json.audit.findings.length > 0);
    const { json } = await send('', { body: { finding: 'checkpoint_removed', by: 'ada', note: 'a test' } });
    expect(json.acknowledged).to.deep.equal(['checkpoint_removed']);
    await send('', { body: { finding: 'checkpoint_removed' } });
  },
  'POST /api/v1/reload': reload,
  'POST /reload': reload,
  'GET /health': ask,
  'GET /livez': ask,
  'GET /readyz': ask,
  'GET /metrics': async ({ send }) => {
    await send();
    await send('', { headers: { accept: 'text/plain' } });
  },
  'GET /api/v1/openapi.json': ask,
};

/** Asks a service that belongs to a fleet, which holds its log. */
async function inFleet(use: (service: LocalService, notary: Notary) => Promise<void>): Promise<void> {
  const home = new ServiceHome(makeDirectory());
  const notary = new Notary();
  writeFileSync(home.access, accessInFleet(notary), { mode: 0o600 });
  const service = await LocalService.start(home);
  try {
    await use(service, await notary.fetch(home.log));
  } finally {
    await service.stop();
  }
}

/** Sends what every operation refuses. */
async function refuse(send: Subject['send'], { takesBody, takesToken, statuses }: Operation): Promise<void> {
  await send('', { headers: { origin: 'http://elsewhere.example' } });
  if (takesToken) await send('', { token: null });
  if (takesBody) {
    await send('', { body: '{' });
    await send('', { body: '{}', headers: { 'content-type': 'text/plain' } });
    await send('', { body: JSON.stringify({ id: 'x'.repeat(270_000) }) });
  } else if (statuses.includes('400')) await send('?no-such-parameter=1');
}

const makeDirectory = temporaryDirectories();

describe('the description of the API', () => {
  const document = openApiDocument();
  const contract = new Contract(document);

  const subjectOf = (service: LocalService, policy: string, operation: Operation): Subject => {
    const hold = (answer: Answer): void => {
      expect(contract.faultsOf(operation.name, answer)).to.deep.equal([]);
    };
    const path = operation.path.replace('{action}', 'freeze_agent');
    return {
      service,
      policy,
      hold,
      send: async (query = '', options = {}) => {
        const token = operation.takesToken ? {} : { token: null };
        const answer = await service.send(operation.method, path + query, { ...token, ...options });
        hold(answer);
        return answer;
      },
      report: async (report = REPORT) => (await service.post('/api/v1/incidents/report', report)).json.id as string,
    };
  };

  it('is clean by the linter’s strictest rules', async () => {
    const config = await createConfig({ extends: ['recommended-strict'] });
    const source = JSON.stringify(document);
    const problems = await lintFromString({ source, absoluteRef: 'openapi.json', config });
    expect(problems.map(({ ruleId, message }) => `${ruleId}: ${message}`)).to.deep.equal([]);
  });

  it('lists every route, and no other', () => {
    const routes = routesOf(standIn()).map(({ method, path }) => `${method} ${path.replace(/:(\w+)/g, '{$1}')}`);
    const documented = contract.operations.map(({ name }) => name);
    expect([...documented, ...UNDOCUMENTED].toSorted()).to.deep.equal(routes.toSorted());
  });

  describe('holds for the running service', () => {
    let home: ServiceHome;
    let service: LocalService;
    let policy: string;
    let attestor: StandInAttestor;

    before(async () => {
      home = new ServiceHome(makeDirectory());
      policy = join(home.directory, 'policy.yaml');
      copyFileSync(join(ROOT, 'policy/incident-containment.yaml'), policy);
      attestor = await StandInAttestor.listen();
      const secret = (name: string, text: string): string => {
        writeFileSync(join(home.directory, name), text, { mode: 0o600 });
        return join(home.directory, name);
      };
      const env = {
        CONTAINMENT_POLICY_PATH: policy,
        RUNTIME_ATTESTOR_URL: attestor.url,
        RUNTIME_ATTESTOR_TOKEN_PATH: secret('attestor.token', ATTESTOR_TOKEN),
        ATTESTATION_HMAC_KEY_PATH: secret('attestation.key', ATTESTATION_KEY),
        FORENSIC_HMAC_KEY_PATH: secret('forensic-key', 'k'.repeat(32)),
      };
      service = await LocalService.start(home, { env });
    });
    after(async () => {
      await service.stop();
      await attestor.close();
    });

    for (const operation of contract.operations) {
      it(`in ${operation.name}`, async () => {
        const subject = subjectOf(service, policy, operation);
        await refuse(subject.send, operation);
        await DRIVES[operation.name]!(subject);
      });
    }

    it('and in what it answers while the log can’t be written', async () => {
      const id = await subjectOf(service, policy, contract.operations[0]!).report(OPEN_REPORT);
      let recovering = '';
      await withRecovery(subjectOf(service, policy, contract.operations[0]!), async (one) => (recovering = one));
      const over = await subjectOf(service, policy, contract.operations[0]!).report(OPEN_REPORT);
      await service.post('/api/v1/incidents/resolve', { id: over });
      const frozen = await subjectOf(service, policy, contract.operations[0]!).report();
      const blocked: Readonly<Record<string, object>> = {
        note: { id, note: 'a test' },
        assign: { id, to: 'ada' },
        snooze: { id, until: new Date(Date.now() + 3_600_000).toISOString() },
        reopen: { id: over },
        report: REPORT,
        reports: [REPORT],
        archive: ARCHIVE,
        import: { incidents: [{ ...IMPORT_EXAMPLE.incidents[0], id: 'INC-20260301-120000-0002' }] },
        confirm: { ...FREEZE, observed: 'released' },
        retry: { action: 'quarantine_model' },
        release: { id: frozen, action: 'freeze_agent', reason: 'a test' },
        drill: { class: 'tool_call_burst' },
        'acknowledge-damage': { finding: 'checkpoint_removed' },
        ack: { incident_id: recovering },
        reattest: { incident_id: recovering },
        waive: { incident_id: recovering, reason: 'a test' },
        silences: silenceBody(),
        end: { id: (await service.get('/api/v1/silences')).json.at(-1).id },
        bulk: { command: 'resolve', filter: { state: 'open' } },
      };
      const refusing = contract.operations.filter(
        ({ name, statuses }) => statuses.includes('503') && !ELSEWHERE.includes(`${name} 503`),
      );
      // There has to be something to be tried again, and something to be lost.
      const quarantine = { action: 'quarantine_model', directive: 'engage' };
      await subjectOf(service, policy, contract.operations[0]!).report({
        ...REPORT,
        class: 'manifest_mismatch',
        evidence: { model_name: 'a' },
      });
      await service.post('/api/v1/containment/confirm', quarantine);
      await service.post('/api/v1/containment/confirm', { ...quarantine, observed: 'released' });
      await service.post('/api/v1/containment/confirm', FREEZE);
      await service.stop();
      // A log that is shorter than its checkpoint is damaged.
      truncateSync(home.log);
      service = await LocalService.start(home);
      for (const operation of refusing) {
        const { send } = subjectOf(service, policy, operation);
        const body = blocked[operation.path.split('/').at(-1)!] ?? { id };
        await send('', operation.takesBody ? { body } : {});
      }
    });

    it('and it lists no answer that never comes', () => {
      const documented = contract.operations.flatMap(({ name, statuses }) =>
        statuses.map((status) => `${name} ${status}`),
      );
      expect(documented.filter((answer) => !contract.seen.has(answer))).to.have.members(ELSEWHERE);
    });
  });

  it('is what the service serves', async () => {
    const service = await LocalService.start(new ServiceHome(makeDirectory()));
    try {
      expect((await service.get('/api/v1/openapi.json')).json).to.deep.equal(JSON.parse(JSON.stringify(document)));
    } finally {
      await service.stop();
    }
  });
});
