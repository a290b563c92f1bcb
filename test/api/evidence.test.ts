/** Evidence is shown to auditors, operators and recovery only, where the service is configured so. */
import { join } from 'node:path';
import { expect } from 'chai';
import { ROLES, type Role } from '../../machines/vocabulary.ts';
import { EVERY_ROLE, type Principal } from '../../src/access/principal.ts';
import { routesOf } from '../../src/api/app.ts';
import type { ApiDependencies } from '../../src/api/dependencies.ts';
import { EventStreams } from '../../src/api/events/event-streams.ts';
import type { ApiServer } from '../../src/api/server/api-server.ts';
import { systemClock } from '../../src/clock.ts';
import { readEntry } from '../../src/domain/entries.ts';
import { shownIncident, shownLine } from '../../src/domain/withheld.ts';
import { EventReader } from '../support/event-reader.ts';
import { ROOT } from '../support/programs.ts';
import { Recording } from '../support/recording.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';
import { type Answer, ask, serve, stopServing } from './support/client.ts';
import { standIn, TOKEN } from './support/dependencies.ts';

const SECRET = 'evidence-7f3a';
const LATEST = 'latest-7f3a';
const SEE_IT: readonly Role[] = ['auditor', 'operator', 'recovery'];

const REPORT = {
  class: 'forbidden_airlock_request',
  source: 'tool-firewall',
  description: 'it says "evidence":{"a":1}',
  dedup_key: 'k',
};

describe('evidence, where it is restricted,', () => {
  const directory = temporaryDirectories();
  const readers: EventReader[] = [];
  let recording: Recording;
  let streams: EventStreams;
  let server: ApiServer;
  let dependencies: ApiDependencies;
  /** Whose token it is; the token is the name. */
  let principals: Map<string, Principal>;
  let id: string;

  beforeEach(async () => {
    recording = await Recording.open(directory());
    const { record, recorder } = recording;
    principals = new Map(ROLES.map((role) => [role, { name: role, roles: [role] }]));
    principals.set(TOKEN, EVERY_ROLE);
    const stand = standIn();
    streams = new EventStreams({ log: recording.log, kindOf: () => undefined, clock: systemClock, logger: stand.log });
    dependencies = standIn({
      access: { principalOf: (token) => principals.get(token ?? ''), proofKey: () => undefined },
      readEvidence: 'restricted',
      openApi: join(ROOT, 'package.json'),
      recorder,
      incidents: record.reads,
      events: streams,
    });
    server = await serve(dependencies);
    id = (await report({ evidence: { text: SECRET } })).body.id;
    await report({ evidence: { text: LATEST } });
  });
  afterEach(async () => {
    for (const reader of readers.splice(0)) reader.leave();
    streams.close();
    await stopServing();
    await recording.close();
  });

  const as = (token: string | undefined) => (token === undefined ? {} : { Authorization: `Bearer ${token}` });
  const report = (more: object, token: string = 'reporter'): Promise<Answer> => {
    const body = JSON.stringify({ ...REPORT, ...more });
    const headers = { ...as(token), 'Content-Type': 'application/json' };
    return ask(server, '/api/v1/incidents/report', { method: 'POST', headers, body });
  };
  const read = (path: string, token?: string): Promise<Answer> => ask(server, path, { headers: as(token) });
  const streamed = async (token?: string): Promise<EventReader> => {
    const { address } = server;
    if (address.kind !== 'tcp') throw new Error('not served over TCP');
    const at = { host: address.host, port: address.port, path: '/api/v1/events?after=0', headers: as(token) };
    const reader = await EventReader.open(at);
    readers.push(reader);
    await reader.received(2);
    return reader;
  };

  /** What every route answers to a GET, and the stream. */
  const everything = async (token?: string): Promise<string> => {
    const paths = routesOf(dependencies)
      .filter(({ method, path }) => method === 'GET' && path !== '/api/v1/events')
      .map(({ path }) => path.replace(':action', 'freeze_agent').replace(':name', 'main.js'));
    let text = '';
    for (const path of paths) {
      for (const query of ['', `?id=${id}`]) text += (await ask(server, path + query, { headers: as(token) })).text;
    }
    const { events } = await streamed(token);
    return text + events.map(({ data }) => data).join('\n');
  };

  for (const role of [undefined, ...ROLES]) {
    const sees = role !== undefined && SEE_IT.includes(role);
    it(`is ${sees ? 'read by' : 'on no route for'} ${role ?? 'somebody without a token'}`, async () => {
      const text = await everything(role);
      for (const word of [SECRET, LATEST]) {
        if (sees) expect(text).to.include(word);
        else expect(text).to.not.include(word);
      }
    });
  }

  it('is named where it is left out, and the hashes stay those of the whole entries', async () => {
    const [whole, shown] = [
      await read('/api/v1/incidents/history?id=' + id, 'auditor'),
      await read(`/api/v1/incidents/history?id=${id}`),
    ];
    expect(shown.body.map(({ data }: { data: object }) => data)).to.deep.equal(
      whole.body.map(({ data }: { data: { report: object } }) => {
        const { report: reported, ...rest } = structuredClone(data);
        delete (reported as { evidence?: object }).evidence;
        return { ...rest, report: reported, withheld: ['report.evidence'] };
      }),
    );
    expect(shown.body[0].entry_hash).to.equal(whole.body[0].entry_hash);
    const incident = (await read(`/api/v1/incidents/get?id=${id}`, 'reader')).body;
    expect(incident).to.deep.include({
      withheld: ['evidence', 'latest_report.evidence'],
      description: REPORT.description,
    });
    expect(incident).to.not.have.property('evidence');
    expect((await read('/api/v1/incidents', 'admin')).body[0]).to.deep.equal(incident);
    expect((await read('/api/v1/incidents?collapse=source', 'admin')).body[0]).to.deep.equal(incident);
    expect((await read(`/api/v1/incidents/get?id=${id}`, 'operator')).body).to.not.have.property('withheld');
  });

  it('is not said to be left out where there was none', async () => {
    const { body } = await report({ dedup_key: 'other' });
    const shown = (await read(`/api/v1/incidents/get?id=${body.id}`)).body;
    expect(shown).to.not.have.property('withheld');
    expect(shown).to.deep.equal((await read(`/api/v1/incidents/get?id=${body.id}`, 'auditor')).body);
  });

  it('is searched for whoever may see it, and an answer to others says that it was not', async () => {
    for (const word of [SECRET, LATEST, 'eviden*', '7f3a']) {
      for (const role of [undefined, ...ROLES]) {
        const { body, headers } = await read(`/api/v1/incidents?q=${word}`, role);
        const sees = role !== undefined && SEE_IT.includes(role);
        // The description has the word, too.
        const isFound = sees || word === 'eviden*';
        expect(
          [body.map((one: { id: string }) => one.id), headers['search-incomplete']],
          `${word} ${role}`,
        ).to.deep.equal([isFound ? [id] : [], sees ? undefined : 'withheld']);
      }
    }
    expect((await read('/api/v1/incidents?q=says', undefined)).body).to.have.length(1);
  });

  it('is searched in the groups, their counts and what a bulk command selects for whoever may see it only', async () => {
    const term = encodeURIComponent(`evidence.text:${SECRET}`);
    for (const role of [undefined, ...ROLES]) {
      const sees = role !== undefined && SEE_IT.includes(role);
      for (const path of ['/api/v1/incidents/groups', '/api/v1/stats/groups']) {
        const { headers, body } = await read(`${path}?q=${SECRET}`, role);
        expect([body.length, headers['search-incomplete'], headers.vary], `${path} ${role}`).to.deep.equal([
          sees ? 1 : 0,
          sees ? undefined : 'withheld',
          'Authorization',
        ]);
        expect((await read(`${path}?q=${term}`, role)).status).to.equal(sees ? 200 : 403);
      }
    }
    const headers = { ...as('operator'), 'Content-Type': 'application/json' };
    const body = JSON.stringify({ command: 'acknowledge', filter: { q: `evidence.text:${SECRET}` }, preview: true });
    const { body: preview } = await ask(server, '/api/v1/incidents/bulk', { method: 'POST', headers, body });
    expect(preview.matched).to.equal(1);
  });

  it('is found by its path, and is what makes incidents similar, for whoever may see it; others are refused', async () => {
    const { body: twin } = await report({ dedup_key: 'twin', evidence: { text: SECRET } });
    const term = encodeURIComponent(`evidence.text:${SECRET}`);
    const guess = encodeURIComponent('says evidence.text:"a guess"');
    for (const role of [undefined, ...ROLES]) {
      const found = await read(`/api/v1/incidents?q=${term}`, role);
      const guessed = await read(`/api/v1/incidents?q=${guess}`, role);
      const similar = await read(`/api/v1/incidents/similar?id=${id}`, role);
      if (role !== undefined && SEE_IT.includes(role)) {
        expect(found.body.map((one: { id: string }) => one.id)).to.deep.equal([twin.id, id]);
        expect(guessed.body).to.deep.equal([]);
        expect(similar.body[0].incident.id).to.equal(twin.id);
        expect(similar.body[0].same).to.deep.equal([{ path: 'text', value: SECRET }]);
        continue;
      }
      for (const { status, body } of [found, guessed, similar, await read('/api/v1/incidents/similar?id=none', role)]) {
        expect([status, body.needs]).to.deep.equal([status === 404 ? 404 : 403, SEE_IT]);
        expect(body.error).to.equal('forbidden: evidence is for auditor, operator, recovery here');
      }
    }
  });

  it('is in the answer to a new report, and in none to one of an incident on record', async () => {
    const key = { dedup_key: 'third', evidence: { text: SECRET } };
    const first = await report(key);
    expect([first.status, first.body.evidence]).to.deep.equal([201, { text: SECRET }]);
    const again = await report({ ...key, evidence: { text: LATEST } });
    expect([again.status, again.body.withheld]).to.deep.equal([200, ['evidence', 'latest_report.evidence']]);
    expect(again.text).to.not.include(SECRET).and.to.not.include(LATEST);
    // Whoever may read it anyway gets it.
    principals.set('reporter', { name: 'reporter', roles: ['reporter', 'operator'] });
    expect((await report(key)).text).to.include(SECRET);
    const [one, two] = [
      await report({ dedup_key: 'shared', evidence: { text: SECRET } }, TOKEN),
      await report({ dedup_key: 'shared' }, TOKEN),
    ];
    expect([one.body.evidence, two.body.evidence]).to.deep.equal([{ text: SECRET }, { text: SECRET }]);
  });

  it('is in the answer to a command: who may give one may see it', async () => {
    const headers = { ...as('operator'), 'Content-Type': 'application/json' };
    const body = JSON.stringify({ id });
    const { text } = await ask(server, '/api/v1/incidents/acknowledge', { method: 'POST', headers, body });
    expect(text).to.include(SECRET).and.to.include(LATEST);
  });

  it('ends in a stream whose token loses its role, or is no token any more', async () => {
    const [auditor, operator, reader, anybody] = [
      await streamed('auditor'),
      await streamed('operator'),
      await streamed('reader'),
      await streamed(),
    ];
    principals.set('auditor', { name: 'auditor', roles: ['reader'] });
    principals.delete('operator');
    streams.recheck();
    await auditor.until(() => auditor.ended);
    await operator.until(() => operator.ended);
    expect([reader.ended, anybody.ended, streams.readers]).to.deep.equal([false, false, 2]);
    const resumed = await streamed('auditor');
    expect(JSON.stringify(resumed.events)).to.not.include(SECRET);
  });
});

describe('a stream of somebody who may not read any more', () => {
  const directory = temporaryDirectories();

  it('ends, where reads need a token', async () => {
    const recording = await Recording.open(directory());
    const stand = standIn();
    const streams = new EventStreams({
      log: recording.log,
      kindOf: () => undefined,
      clock: systemClock,
      logger: stand.log,
      beatEvery: 20,
    });
    let roles: readonly Role[] = ['reader'];
    const access = { principalOf: () => ({ name: 'ada', roles }), proofKey: () => undefined };
    const server = await serve(standIn({ access, readAccess: 'token', events: streams }));
    const { address } = server;
    if (address.kind !== 'tcp') throw new Error('not served over TCP');
    const at = { host: address.host, port: address.port, path: '/api/v1/events' };
    const reader = await EventReader.open({ ...at, headers: { Authorization: 'Bearer ada' } });
    await reader.until(() => reader.comments > 1);
    roles = ['reporter'];
    await reader.until(() => reader.ended);
    streams.close();
    await stopServing();
    await recording.close();
  });
});

describe('what is left out of a text', () => {
  const NOTHING = { words: false, evidence: false };

  it('is evidence wherever a later version puts it', () => {
    const carried = { id: 'x', evidence: { a: 1 }, latest_report: { evidence: { b: 1 } } };
    const entry = { event: 'incident.moved', data: { seq: 1, carried, all: [{ evidence: {} }, 1], rule: null } };
    const line = JSON.stringify({ timestamp: '2026-11-22T07:12:00.000Z', ...entry, entry_hash: 'h' });
    const { data } = readEntry(shownLine(Buffer.from(line), NOTHING).toString());
    expect(data).to.deep.equal({
      seq: 1,
      carried: { id: 'x', latest_report: {} },
      all: [{}, 1],
      rule: null,
      withheld: ['carried.evidence', 'carried.latest_report.evidence', 'all.0.evidence'],
    });
  });

  it('is named with what else is left out', () => {
    const data = { seq: 1, report: { description: 'd', evidence: { a: 1 } }, request: { id: 'i', digest: 'd' } };
    const line = JSON.stringify({
      timestamp: '2026-11-22T07:12:00.000Z',
      event: 'incident.reported',
      data,
      algorithm: 'sha256',
    });
    expect(readEntry(shownLine(Buffer.from(line), NOTHING).toString()).data).to.deep.equal({
      seq: 1,
      report: { description: 'd' },
      withheld: ['request', 'report.evidence'],
    });
  });

  it('is left out of what something else is left out of', () => {
    const record = {
      latest_report: { evidence: { b: 'evidence-7f3a' } },
      containment_results: [
        { action: 'freeze_agent', success: false, error: 'answered 500: secret-7f3a', completed_at: 'x' },
      ],
    };
    const data = { seq: 1, report: { description: 'd' }, record, requests: [], repeats: [['abc', 1, 2]] };
    const entry = { timestamp: '2026-11-22T07:12:00.000Z', event: 'incident.carried', data, algorithm: 'sha256' };
    const shown = shownLine(Buffer.from(JSON.stringify(entry)), NOTHING).toString();
    expect(shown).to.not.match(/7f3a|abc/);
    expect(readEntry(shown).data).to.have.deep.property('withheld', [
      'requests',
      'record.containment_results',
      'record.latest_report.evidence',
      'repeats',
    ]);
  });

  it('has no hash by which it could be guessed', () => {
    const data = { seq: 1, report: { description: 'd', evidence: { path: '/etc' } }, repeat: 'abc' };
    const entry = { timestamp: '2026-11-22T07:12:00.000Z', event: 'incident.recurred', data, algorithm: 'sha256' };
    const line = Buffer.from(JSON.stringify(entry));
    expect(readEntry(shownLine(line, NOTHING).toString()).data).to.deep.equal({
      seq: 1,
      report: { description: 'd' },
      withheld: ['report.evidence', 'repeat'],
    });
    expect(shownLine(line, { words: false, evidence: true })).to.equal(line);
  });

  it('is nothing of a text that only says the word', () => {
    const json = JSON.stringify({ id: 'x', description: '"evidence":{}' });
    expect(shownIncident(json, NOTHING)).to.equal(json);
  });
});
