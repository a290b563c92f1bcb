import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as after } from 'node:timers/promises';
import { expect } from 'chai';
import { ask } from '../../src/containment/broker-target.ts';
import type { AttemptResult } from '../../src/containment/attempt-result.ts';
import type { Broker } from '../../src/policy/targets.ts';
import { eventually } from '../support/eventually.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';

const ID = 'INC-20261122-000000000001';

describe('the file broker', () => {
  const directory = temporaryDirectories();
  let broker: Broker;
  let stopping: AbortController;

  beforeEach(() => {
    const home = directory();
    broker = { requests: join(home, 'requests'), results: join(home, 'results'), action: 'relock' };
    mkdirSync(broker.requests);
    mkdirSync(broker.results);
    stopping = new AbortController();
  });

  const asked = (timeout = 20_000): Promise<AttemptResult> =>
    ask({ broker, body: { incident_id: ID, reason: 'a reason' }, timeout, signal: stopping.signal });

  const answer = (content: unknown, name = ID): void =>
    writeFileSync(
      join(broker.results, `${name}.json`),
      typeof content === 'string' ? content : JSON.stringify(content),
    );

  /** Waits for the request, as the broker does. */
  const request = async (): Promise<string> => {
    await eventually(() => readdirSync(broker.requests).includes(`${ID}.json`));
    return join(broker.requests, `${ID}.json`);
  };

  it('finds a whole request that others of its group may read, and confirms by its answer', async () => {
    const outcome = asked();
    const path = await request();
    expect(JSON.parse(readFileSync(path, 'utf8'))).to.deep.equal({
      action: 'relock',
      incident_id: ID,
      reason: 'a reason',
    });
    expect(statSync(path).mode & 0o777).to.equal(0o640);
    expect(readdirSync(broker.requests), 'nothing is left beside it').to.deep.equal([`${ID}.json`]);
    answer({ success: true, incident_id: ID });
    expect(await outcome).to.deep.equal({
      kind: 'done',
      receipt: { by: 'answer', body: `{"success":true,"incident_id":"${ID}"}` },
    });
  });

  for (const [what, content, error] of [
    [
      'that it could not',
      { success: false, error: 'the vault is busy', incident_id: ID },
      /^the broker could not: the vault is busy$/,
    ],
    ['that it could not, and not why', { success: false, incident_id: ID }, /^the broker could not: without a reason$/],
    ['success that is no truth value', { success: 'true', incident_id: ID }, /^the broker could not: /],
    ['success to another incident', { success: true, incident_id: 'INC-20261122-000000000002' }, /another incident/],
    ['success to no incident', { success: true }, /another incident/],
    ['success to a list of incidents', { success: true, incident_id: [ID] }, /another incident/],
  ] as const) {
    it(`given an answer that says ${what}, then it is a failure that may pass`, async () => {
      const outcome = asked();
      await request();
      answer(content);
      const { kind, error: found } = (await outcome) as Extract<AttemptResult, { kind: 'missed' }>;
      expect(kind).to.equal('missed');
      expect(found).to.match(error);
    });
  }

  it('given an answer from before the request, then it never confirms', async () => {
    answer({ success: true, incident_id: ID });
    expect(await asked(600)).to.deep.equal({
      kind: 'missed',
      error: 'no answer from the broker within 600 ms (there is one from before the request, which does not count)',
    });
  });

  it('given the same answer once more after the request, then it confirms', async () => {
    answer({ success: true, incident_id: ID });
    const outcome = asked();
    await request();
    answer({ success: true, incident_id: ID });
    expect(await outcome).to.have.property('kind', 'done');
  });

  it('given an answer that is half written, then the other half is waited for', async () => {
    const outcome = asked();
    await request();
    answer('{"success":tr');
    // Longer than it is left alone between two looks.
    await after(400);
    answer({ success: true, incident_id: ID });
    expect(await outcome).to.have.property('kind', 'done');
  });

  for (const [what, put] of [
    ['nothing', () => {}],
    ['an answer under another name', () => answer({ success: true, incident_id: ID }, 'INC-20261122-000000000002')],
    ['a file that is no answer', () => answer('[]')],
    ['an empty file', () => answer('')],
  ] as const) {
    it(`given ${what}, then there was no answer in time`, async () => {
      const outcome = asked(600);
      await request();
      put();
      const { kind, error } = (await outcome) as Extract<AttemptResult, { kind: 'missed' }>;
      expect(kind).to.equal('missed');
      expect(error).to.match(/^no answer from the broker within 600 ms/);
    });
  }

  it('given a link in place of the answer, then it is not followed', async () => {
    const elsewhere = join(broker.requests, 'elsewhere');
    writeFileSync(elsewhere, JSON.stringify({ success: true, incident_id: ID }));
    const outcome = asked();
    await request();
    symlinkSync(elsewhere, join(broker.results, `${ID}.json`));
    expect(await outcome).to.deep.equal({ kind: 'missed', error: `the broker's files can't be used: ELOOP` });
  });

  it('given no directory for requests, then it is a failure that may pass', async () => {
    rmSync(broker.requests, { recursive: true });
    expect(await asked()).to.deep.equal({ kind: 'missed', error: `the broker's files can't be used: ENOENT` });
  });

  it('when the recorder stops, then the answer is not waited for', async () => {
    const outcome = asked(90_000);
    await request();
    stopping.abort();
    expect(await outcome.catch((error: unknown) => error)).to.have.property('name', 'AbortError');
  });
});
