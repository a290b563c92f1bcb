import { existsSync, mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { routesOf } from '../../src/api/app.ts';
import { verifyRange } from '../../src/console/audit/verify-range.ts';
import { readEntry } from '../../src/domain/entries.ts';
import { shownLine, withoutAnswer } from '../../src/domain/withheld.ts';
import { until } from '../faults/support/until.ts';
import { EventReader } from '../support/event-reader.ts';
import { type LocalService, localServices } from '../support/local-service.ts';
import { ServiceHome, TOKEN } from '../support/running-service.ts';
import { answering, listeningTargets } from '../support/target.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';
import { standIn } from './support/dependencies.ts';

/** What only readers with the token may see: parts of paths, files, and the words of each kind of answer. */
const SECRETS = {
  path: 'path-7f3a',
  tokenFile: 'token-file-7f3a',
  refused: 'refused-7f3a',
  passing: 'passing-7f3a',
  receipt: 'receipt-7f3a',
  broker: 'broker-7f3a',
  webhook: 'webhook-7f3a',
};
const WORDS = [SECRETS.refused, SECRETS.passing, SECRETS.receipt, SECRETS.broker];

/** The stream is looked at for itself; the raw lines of the log are for those who keep a copy of it. */
const APART = ['/api/v1/events', '/api/v1/log', '/console/:name'];

const GET_PATHS = routesOf(standIn())
  .filter(({ method, path }) => method === 'GET' && !APART.includes(path))
  .map(({ path }) => path.replace(':action', 'freeze_agent'));

describe('what services have answered', () => {
  const start = localServices();
  const directory = temporaryDirectories();
  const listen = listeningTargets();
  let service: LocalService;
  let ids: readonly string[];

  beforeEach(async () => {
    const home = new ServiceHome(directory());
    const [requests, results] = [join(home.directory, 'requests'), join(home.directory, 'results')];
    for (const path of [requests, results]) mkdirSync(path);
    const tokenFile = join(home.directory, SECRETS.tokenFile);
    writeFileSync(tokenFile, 'token-of-the-target', { mode: 0o600 });
    const refusing = await listen(0, answering(422, `{"password":"${SECRETS.refused}"}`));
    const failing = await listen(0, answering(503, SECRETS.passing, { 'retry-after': '3600' }));
    const confirming = await listen(0, answering(200, SECRETS.receipt));
    const webhook = await listen(0, answering(500, SECRETS.webhook));
    const target = (at: { url: (path: string) => string }) =>
      `{ engage: { url: "${at.url(`/${SECRETS.path}`)}", action: freeze }, token_path: ${tokenFile} }`;
    const policy = join(home.directory, 'policy.yaml');
    writeFileSync(
      policy,
      `version: 1
targets:
  freeze_agent: ${target(refusing)}
  disable_airlock: ${target(failing)}
  quarantine_model: ${target(confirming)}
  force_vault_relock: { broker: { requests: ${requests}, results: ${results}, action: relock }, timeout: 100s }
notify: [{ url: "${webhook.url(`/${SECRETS.path}`)}", token_path: ${tokenFile} }]
`,
    );
    service = await start(home, { env: { CONTAINMENT_POLICY_PATH: policy } });
    const report = async (fields: object): Promise<string> => (await service.report({ ...fields })).json.id;
    const first = await report({ class: 'attestation_failure' });
    const evidence = { model_path: 'a/model', last_error: 'answered 500: kept', receipt: { body: 'kept' } };
    ids = [first, await report({ class: 'manifest_mismatch', evidence })];
    writeFileSync(join(results, 'new'), JSON.stringify({ success: false, incident_id: first, error: SECRETS.broker }));
    await until(async () => existsSync(join(requests, `${first}.json`)));
    renameSync(join(results, 'new'), join(results, `${first}.json`));
    await until(async () => {
      const text = await everything(TOKEN);
      return [...WORDS, SECRETS.webhook].every((word) => text.includes(word));
    });
  });

  /** What every route answers to a GET, with each incident where one is asked for. */
  async function everything(token: string | null): Promise<string> {
    let text = '';
    for (const path of GET_PATHS) {
      for (const query of ['', ...ids.map((id) => `?id=${id}`)]) {
        text += `${path}${query}: ${(await service.send('GET', `${path}${query}`, { token })).text}\n`;
      }
    }
    return text;
  }

  async function streamed(token?: string): Promise<readonly string[]> {
    const { port } = service;
    const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
    const events = await EventReader.open({ port, path: '/api/v1/events?after=0', headers });
    await events.received((await service.get('/health')).json.audit.last_seq);
    events.leave();
    const lines = events.events.map(({ data }) => data);
    return lines;
  }

  it('is shown to nobody without the token, on any route', async () => {
    const anonymous = await everything(null);
    for (const secret of Object.values(SECRETS)) expect(anonymous).to.not.include(secret);
    expect(anonymous).to.include('could not engage freeze_agent: answered 422"');
    expect(anonymous).to.include('the broker could not"').and.to.include('"last_error":"answered 503"');
    expect(anonymous).to.include('"receipt":{"by":"answer","status":200}');
    // What a reporter has sent is another thing.
    expect(anonymous).to.include('"last_error":"answered 500: kept","receipt":{"body":"kept"}');
  });

  it('is in no event that somebody without the token gets, and each says what is missing', async () => {
    const [whole, anonymous] = [await streamed(TOKEN), await streamed()];
    for (const word of WORDS) {
      expect(whole.join('\n')).to.include(word);
      expect(anonymous.join('\n')).to.not.include(word);
    }
    const withheld = anonymous.flatMap((line) => (JSON.parse(line).data.withheld as string[] | undefined) ?? []);
    expect(withheld).to.include.members(['error', 'reason', 'receipt.body']);
    expect(whole.join('\n')).to.not.include('withheld');
    const hashesOf = (lines: readonly string[]) => lines.map((line) => readEntry(line).entry_hash);
    expect(hashesOf(anonymous)).to.deep.equal(hashesOf(whole));
  });
});

describe('the words of a service', () => {
  for (const [text, shown] of [
    ['answered 422: {"secret":1}', 'answered 422'],
    ['answered 500: one\ntwo', 'answered 500'],
    ['could not engage freeze_agent: answered 401: no', 'could not engage freeze_agent: answered 401'],
    ['the broker could not: it said so', 'the broker could not'],
    ['nobody listens there (ECONNREFUSED)', 'nobody listens there (ECONNREFUSED)'],
    ['answered 404', 'answered 404'],
  ] as const) {
    it(`are left out of "${JSON.stringify(text)}"`, () => expect(withoutAnswer(text)).to.equal(shown));
  }

  it('are left out of the answer to a command of the fleet', () => {
    const shown = (answer: object, words = false): object => {
      const data = { seq: 1, fleet_command: 'CMD-1', command: 'reattest', status: 409, answer };
      const entry = { timestamp: '2026-11-22T07:12:00.000Z', event: 'fleet.answered', data };
      return JSON.parse(shownLine(Buffer.from(JSON.stringify(entry)), { words, evidence: true }).toString()).data;
    };
    const refused = { error: 'the machine could not be attested: a word', faults: ['a word'], state: 'open' };
    expect(shown(refused)).to.deep.include({
      answer: { state: 'open', error: 'the machine could not be attested' },
      withheld: ['answer.error', 'answer.faults'],
    });
    expect(shown(refused, true)).to.deep.include({ answer: refused });
    const stale = { error: 'the incident is at version 1, not 7', version: 1 };
    expect(shown(stale)).to.deep.include({ answer: stale }).and.to.not.have.property('withheld');
  });

  it('are not missed by the check of a range in the console: it only proves the linkage then', async () => {
    const data = { seq: 1, error: 'answered 422: a word' };
    const entry = {
      timestamp: '2026-11-22T07:12:00.000Z',
      event: 'containment.failed',
      data,
      prev_hash: '',
      entry_hash: 'a'.repeat(64),
      algorithm: 'sha256',
    };
    const line = shownLine(Buffer.from(JSON.stringify(entry)), { words: false, evidence: true }).toString();
    const verdict = await verifyRange([{ entry: readEntry(line), line }]);
    expect(verdict).to.deep.equal({ first: 1, last: 1, proves: 'linkage', isWithheld: true });
  });
});

describe('the key of a request', () => {
  const start = localServices();
  const directory = temporaryDirectories();
  const KEY = 'key-7f3a';

  /** What anybody with the token reads of a report that was sent under a key. */
  async function readOf(service: LocalService): Promise<string> {
    const { id } = (await service.report({}, { 'idempotency-key': KEY })).json;
    // The raw lines are for whoever proves the chain: a role of their own reads them.
    const paths = GET_PATHS.filter((path) => path !== '/api/v1/log').flatMap((path) => [path, `${path}?id=${id}`]);
    const answers = await Promise.all(paths.map((path) => service.send('GET', path)));
    const headers = { authorization: `Bearer ${TOKEN}` };
    const events = await EventReader.open({ port: service.port, path: '/api/v1/events?after=0', headers });
    await events.until(() => events.events.some(({ event }) => event === 'incident.reported'));
    events.leave();
    return [...answers.map(({ text }) => text), ...events.events.map(({ data }) => data)].join('\n');
  }

  it('is in nothing that is read, and its hash only where the log has a key', async () => {
    const home = new ServiceHome(directory());
    const text = await readOf(await start(home));
    expect(text)
      .to.match(/"request":\{"id":"[\da-f]{64}"/)
      .and.to.not.include(KEY);
  });

  it('can not be guessed where the log has no key: nothing of it is read', async () => {
    const home = new ServiceHome(directory());
    const service = await start(home, { env: { AUDIT_HMAC_KEY_PATH: '' } });
    const text = await readOf(service);
    expect(text).to.include('"withheld":["request"]').and.to.not.include('"request":').and.to.not.include(KEY);
    expect((await service.report({}, { 'idempotency-key': KEY })).headers['idempotent-replayed']).to.equal('true');
  });

  for (const trusted of [true, false]) {
    it(`is not shown of an old entry ${trusted ? 'with' : 'without'} the token`, () => {
      const line = `{"timestamp":"2026-11-22T07:12:00.000Z","event":"incident.reported","data":{"seq":1,"report":{"evidence":{"idempotency":{"key":"kept"}}},"idempotency":{"key":"${KEY}","fingerprint":"f"}},"prev_hash":"","entry_hash":"h","algorithm":"hmac-sha256"}`;
      const shown = JSON.parse(shownLine(Buffer.from(line), { words: trusted, evidence: true }).toString());
      expect(shown.data).to.deep.equal({
        seq: 1,
        report: { evidence: { idempotency: { key: 'kept' } } },
        withheld: ['idempotency'],
      });
    });
  }
});
