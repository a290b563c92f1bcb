/** The whole service with an access file: who may do what, what the log keeps of it, and what a reload changes. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { hash } from 'node:crypto';
import type { Entry } from '../../src/domain/entries.ts';
import { EventReader } from '../support/event-reader.ts';
import { type LocalService, localServices } from '../support/local-service.ts';
import { ServiceHome } from '../support/service-home.ts';
import { type Answer, TOKEN } from '../support/service-client.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';

/** The token of each principal; that of the service is another. */
const tokenOf = (name: string): string => `token-of-${name}-0123456789`;

const CANARY = { roles: ['reporter'], sources: ['canary-tripwire'], classes: ['integrity_violation'] };
const ATTESTOR = { roles: ['reporter'], sources: ['canary-tripwire', 'runtime-attestor'], classes: 'any' };
const AGENT = { roles: ['implementer'], actions: ['freeze_agent'] };
const GRANTS = {
  canary: CANARY,
  attestor: ATTESTOR,
  agent: AGENT,
  ada: { roles: ['operator', 'recovery'] },
  eve: { roles: ['auditor', 'reader'] },
  root: { roles: ['admin', 'reader'] },
};

describe('a service with an access file', () => {
  const directory = temporaryDirectories();
  const start = localServices();
  let home: ServiceHome;
  let service: LocalService;

  const write = (grants: Readonly<Record<string, object>>, service_token?: object): void => {
    const principals = Object.fromEntries(
      Object.entries(grants).map(([name, grant]) => [name, { ...grant, token_sha256: hash('sha256', tokenOf(name)) }]),
    );
    writeFileSync(home.access, JSON.stringify({ version: 1, principals, service_token }), { mode: 0o600 });
  };
  const begin = async (env: Readonly<Record<string, string>> = {}, service_token?: object): Promise<void> => {
    home = new ServiceHome(directory());
    write(GRANTS, service_token);
    service = await start(home, { env });
  };
  const as = (name: string) => ({ token: tokenOf(name) });
  const send = (name: string, path: string, body: object, headers = {}): Promise<Answer> =>
    service.post(path, body, { ...as(name), headers });
  const report = (name: string, more: object = {}, headers = {}): Promise<Answer> => {
    const body = { class: 'integrity_violation', source: 'canary-tripwire', description: 'a test', ...more };
    return send(name, '/api/v1/incidents/report', body, headers);
  };
  const entries = (): readonly Entry[] =>
    readFileSync(home.log, 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Entry);

  it('takes from reporters what they are bound to, and says what that is', async () => {
    await begin();
    const { status, json } = await report('canary');
    expect([status, json.reported_by]).to.deep.equal([201, 'canary']);
    for (const [more, words] of [
      [{ class: 'attestation_failure' }, 'the classes integrity_violation, not attestation_failure'],
      [{ source: 'runtime-attestor' }, 'the sources canary-tripwire, not runtime-attestor'],
    ] as const) {
      const refused = await report('canary', more);
      expect(refused.status).to.equal(403);
      expect(refused.json.error).to.include(words);
    }
    expect((await report('attestor', { class: 'attestation_failure', source: 'runtime-attestor' })).status).to.equal(
      201,
    );
    expect(entries().filter(({ event }) => event === 'incident.reported')).to.have.length(2);
  });

  it('keeps reporters apart that use the same source, class and keys', async () => {
    await begin();
    const key = { 'Idempotency-Key': 'one' };
    const names = ['canary', 'attestor'];
    const first = await Promise.all(names.map((name) => report(name, { dedup_key: 'k' }, key)));
    expect(first.map(({ status }) => status)).to.deep.equal([201, 201]);
    await service.stop();
    service = await start(home);
    const again = await Promise.all(names.map((name) => report(name, { dedup_key: 'k' })));
    expect(again.map(({ status, json }) => [status, json.id, json.occurrences])).to.deep.equal(
      first.map(({ json }) => [200, json.id, 2]),
    );
    const replayed = await Promise.all(names.map((name) => report(name, { dedup_key: 'k' }, key)));
    expect(replayed.map(({ headers, json }) => [headers['idempotent-replayed'], json.id])).to.deep.equal(
      first.map(({ json }) => ['true', json.id]),
    );
  });

  it('gives a service token nothing but its roles, and keeps what it says as claimed', async () => {
    await begin({}, { roles: ['operator'] });
    const { id } = (await report('canary')).json;
    const { status, json } = await service.report({ class: 'integrity_violation' });
    expect([status, json.needs]).to.deep.equal([403, ['reporter']]);
    const { json: acknowledged } = await service.post('/api/v1/incidents/acknowledge', { id, by: 'ada' });
    expect(acknowledged).to.include({ acknowledged_by: 'ada', acknowledged_by_claimed: true });
    const { json: resolved } = await send('ada', '/api/v1/incidents/resolve', { id, by: 'grace' });
    expect(resolved).to.include({ resolved_by: 'ada' }).and.to.not.have.property('resolved_by_claimed');
    const acts = entries().filter(({ event }) => event === 'incident.acknowledged' || event === 'incident.resolved');
    expect(acts.map(({ data }) => data)).to.containSubset([
      { principal: 'service-token', role: 'operator', by: 'ada', claimed: true },
      { principal: 'ada', role: 'operator', by: 'ada', on_behalf_of: 'grace' },
    ]);
  });

  it('says who somebody is', async () => {
    await begin({ READ_ACCESS: 'token' }, { roles: ['reader'] });
    const me = (options: object) => service.send('GET', '/api/v1/access/me', options);
    expect((await me(as('ada'))).json).to.deep.equal({
      principal: 'ada',
      roles: ['operator', 'recovery'],
      shared: false,
    });
    expect((await me(as('canary'))).json).to.deep.equal({ principal: 'canary', shared: false, ...CANARY });
    expect((await me({})).json).to.deep.equal({ principal: 'service-token', roles: ['reader'], shared: true });
    for (const token of [null, 'somebody-elses-token-0123']) expect((await me({ token })).status).to.equal(403);
  });

  it('gives an implementer its own actions only, where reads need a token', async () => {
    await begin({ READ_ACCESS: 'token' });
    await report('canary');
    const read = (name: string, path = '') => service.send('GET', `/api/v1/containment${path}`, as(name));
    const own = await read('agent');
    expect([own.status, Object.keys(own.json)]).to.deep.equal([200, ['freeze_agent']]);
    expect(own.json.freeze_agent).to.include({ action: 'freeze_agent', engaged: true });
    expect((await read('agent', '/freeze_agent')).status).to.equal(200);
    const other = await read('agent', '/disable_airlock');
    expect([other.status, other.json.actions]).to.deep.equal([403, ['freeze_agent']]);
    expect(Object.keys((await read('eve')).json)).to.include.members(['freeze_agent', 'disable_airlock']);
    expect((await service.send('GET', '/api/v1/incidents', as('agent'))).status).to.equal(403);
    const waited = service.send('GET', '/api/v1/containment?wait=30', {
      ...as('agent'),
      headers: { 'If-None-Match': own.headers.etag ?? '' },
    });
    const confirm = (action: string) => send('agent', '/api/v1/containment/confirm', { action, directive: 'engage' });
    expect((await confirm('disable_airlock')).json).to.deep.include({
      actions: ['freeze_agent'],
      needs: ['implementer'],
    });
    expect((await confirm('freeze_agent')).json).to.include({ confirmed: 1 });
    const changed = await waited;
    expect([changed.status, Object.keys(changed.json)]).to.deep.equal([200, ['freeze_agent']]);
    expect(entries().at(-1)?.data).to.include({ principal: 'agent', role: 'implementer', by: 'agent' });
  });

  it('gives an implementer neither other actions of incidents nor reasons, where reads need a token', async () => {
    await begin({ READ_ACCESS: 'token' });
    const ids = [(await report('canary')).json.id, (await report('canary')).json.id];
    const reason = 'a word of ada';
    const release = { id: ids[0], action: 'freeze_agent', reason };
    expect((await send('ada', '/api/v1/containment/release', release)).status).to.equal(200);
    const read = (name: string, path: string) => service.send('GET', `/api/v1/containment${path}`, as(name));
    const preview = `/preview?command=resolve&id=${ids[0]}&id=${ids[1]}`;
    const own = (await read('agent', preview)).json;
    const [one, ...others] = own.incidents;
    expect([one.id, one.actions, others]).to.deep.equal([ids[1], ['freeze_agent'], []]);
    expect((await read('eve', preview)).json.incidents).to.have.length(2);
    for (const path of ['', '/freeze_agent']) {
      expect((await read('agent', path)).text)
        .to.include('"released_early_count":1')
        .and.not.include(reason);
      expect((await read('eve', path)).text).to.include(reason);
    }
  });

  it('refuses what somebody waits for who loses the role meanwhile', async () => {
    await begin({ READ_ACCESS: 'token' });
    const read = (path: string, headers = {}) => service.send('GET', path, { ...as('eve'), headers });
    for (const path of ['/api/v1/containment', '/api/v1/containment/freeze_agent']) {
      write(GRANTS);
      await send('root', '/api/v1/reload', {});
      const { headers } = await read(path);
      const waited = read(`${path}?wait=30`, { 'If-None-Match': headers.etag ?? '' });
      write({ ...GRANTS, eve: { roles: ['auditor'] } });
      expect((await send('root', '/api/v1/reload', {})).status).to.equal(200);
      await report('canary');
      const { status, json: body } = await waited;
      expect([status, body.needs], path).to.deep.equal([403, ['reader', 'implementer']]);
    }
  });

  it('ends a stream as soon as its token is nobody’s, without a reload', async () => {
    await begin({ READ_ACCESS: 'token' });
    const path = join(home.directory, 'token-of-eve');
    writeFileSync(path, tokenOf('eve'), { mode: 0o600 });
    const sha256 = (name: string) => hash('sha256', tokenOf(name));
    const canary = { ...CANARY, token_sha256: sha256('canary') };
    const principals = {
      canary,
      eve: { roles: ['reader'], token_path: path },
      root: { ...GRANTS.root, token_sha256: sha256('root') },
    };
    writeFileSync(home.access, JSON.stringify({ version: 1, principals }), { mode: 0o600 });
    expect((await send('root', '/api/v1/reload', {})).status).to.equal(200);
    const eve = await EventReader.open({
      port: service.port,
      path: '/api/v1/events',
      headers: { authorization: `Bearer ${tokenOf('eve')}` },
    });
    writeFileSync(path, tokenOf('eve-again'), { mode: 0o600 });
    expect((await service.send('GET', '/api/v1/stats', as('eve-again'))).status).to.equal(200);
    await report('canary', { description: 'later-7f3a' });
    await eve.until(() => eve.ended);
    expect(JSON.stringify(eve.events)).to.not.include('later-7f3a');
  });

  it('ends the stream of somebody who lost the role that sees evidence, at the reload', async () => {
    await begin({ READ_EVIDENCE: 'restricted' });
    await report('canary', { evidence: { text: 'evidence-7f3a' } });
    const open = (name: string) =>
      EventReader.open({
        port: service.port,
        path: '/api/v1/events?after=0',
        headers: { authorization: `Bearer ${tokenOf(name)}` },
      });
    const [eve, root] = [await open('eve'), await open('root')];
    const hasReport = ({ events }: EventReader) => events.some(({ event }) => event === 'incident.reported');
    await eve.until(() => hasReport(eve));
    await root.until(() => hasReport(root));
    expect(JSON.stringify(eve.events)).to.include('evidence-7f3a');
    expect(JSON.stringify(root.events)).to.include('report.evidence').and.to.not.include('evidence-7f3a');
    write({ ...GRANTS, eve: { roles: ['reader'] } });
    expect((await send('root', '/api/v1/reload', {})).status).to.equal(200);
    await eve.until(() => eve.ended);
    await report('canary', { evidence: { text: 'later-7f3a' } });
    await root.until(() => root.events.filter(({ event }) => event === 'incident.reported').length === 2);
    expect(root.ended).to.equal(false);
    expect(JSON.stringify(eve.events)).to.not.include('later-7f3a');
    root.leave();
  });

  it('leaves the one token every role without the file', async () => {
    home = new ServiceHome(directory());
    service = await start(home, { env: { READ_EVIDENCE: 'restricted', READ_ACCESS: 'token' } });
    const { json } = await service.report({ class: 'prompt_injection', evidence: { a: 1 } });
    expect(json).to.deep.include({ evidence: { a: 1 }, reported_by: 'service-token' });
    const shown = (await service.send('GET', `/api/v1/incidents/get?id=${json.id}`, { token: TOKEN })).json;
    expect(shown.evidence).to.deep.equal({ a: 1 });
    expect((await service.post('/api/v1/reload')).status).to.equal(200);
  });
});
