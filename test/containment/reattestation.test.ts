import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import type { Role, Rule } from '../../machines/vocabulary.ts';
import { DAY, SECOND } from '../../src/clock.ts';
import { attestorAt } from '../../src/containment/attestor.ts';
import { Reattestation } from '../../src/containment/reattestation.ts';
import type { Caller } from '../../src/domain/caller.ts';
import { type Entry, readEntry } from '../../src/domain/entries.ts';
import { RecorderError } from '../../src/errors.ts';
import {
  ATTESTATION_KEY,
  ATTESTOR_TOKEN,
  attesting,
  listeningAttestors,
  type StandInAttestor,
} from '../support/attestor.ts';
import { eventually } from '../support/eventually.ts';
import { parsed, Recording } from '../support/recording.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';

const rules: Record<string, Rule> = {
  integrity_violation: {
    auto_contain: true,
    actions: ['freeze_agent'],
    default_severity: 'critical',
    recovery: { attest: true },
  },
  tool_call_burst: { auto_contain: true, actions: ['freeze_agent'], default_severity: 'medium' },
};
const as = (principal: string, role: Role): Caller => ({ principal, role, by: principal });
const ADA = as('ada', 'recovery');

const refusalOf = async (promise: Promise<unknown>): Promise<RecorderError> => {
  try {
    await promise;
  } catch (error) {
    if (error instanceof RecorderError) return error;
    throw error;
  }
  throw new Error('it was taken');
};

describe('re-attestation', () => {
  const directory = temporaryDirectories();
  const listening = listeningAttestors();
  let home: string;
  let recording: Recording;
  let attestor: StandInAttestor;
  let lane: Reattestation;
  let faults: unknown[];

  const open = async (address?: { readonly port: number } | 'none'): Promise<void> => {
    recording = await Recording.open(home, { rules });
    const { incidents, projections, clock } = recording;
    const tokenPath = join(home, 'secrets', 'attestor.token');
    const keyPath = join(home, 'secrets', 'attestation.key');
    const port = address === 'none' ? 0 : (address ?? attestor).port;
    lane = new Reattestation({
      incidents,
      current: () => projections.current(),
      // The attestor's clock is the real one.
      attestor: address === 'none' ? undefined : attestorAt({ host: '127.0.0.1', port, path: '', tokenPath, keyPath }),
      clock,
      onFault: (error) => void faults.push(error),
    });
  };
  const close = async (): Promise<void> => {
    await lane.stop();
    await recording.close();
  };
  beforeEach(async () => {
    home = directory();
    faults = [];
    mkdirSync(join(home, 'secrets'), { mode: 0o700 });
    writeFileSync(join(home, 'secrets', 'attestor.token'), ATTESTOR_TOKEN, { mode: 0o600 });
    writeFileSync(join(home, 'secrets', 'attestation.key'), ATTESTATION_KEY, { mode: 0o600 });
    attestor = await listening();
    await open();
  });
  afterEach(async () => {
    await close();
    expect(faults).to.deep.equal([]);
  });

  const report = async (name = 'integrity_violation', key?: string): Promise<string> => {
    const more = key === undefined ? {} : { dedup_key: key };
    const about = { class: name, source: 'canary', description: 'x', ...more } as Parameters<
      Recording['recorder']['report']
    >[0];
    return parsed((await recording.recorder.report(about)).incident).id;
  };
  const events = (prefix = 'recovery.'): readonly string[] =>
    readFileSync(Recording.logIn(home), 'utf8')
      .trim()
      .split('\n')
      .map((line): Entry => readEntry(line))
      .filter(({ event }) => event.startsWith(prefix))
      .map(({ event }) => event.slice(prefix.length));
  /** Lets seconds pass for the lane until something holds. */
  const passUntil = (holds: () => boolean): Promise<void> =>
    eventually(() => {
      recording.clock.milliseconds += SECOND;
      lane.look();
      return holds();
    });
  const recoveryOf = (id: string) => recording.incident(id)?.recovery;

  it('asks the attestor once the request is on record, and keeps the evidence', async () => {
    const id = await report();
    let onRecord: readonly string[] = [];
    attestor.behaviours = [
      (response, nonce) => {
        onRecord = events();
        attesting()(response, nonce);
      },
    ];
    const { incident } = await lane.request(id, ADA);
    expect(onRecord).to.deep.equal(['attestation_requested']);
    expect(events()).to.deep.equal(['attestation_requested', 'attested']);
    expect(incident.recovery).to.deep.include({ missing: [] });
    expect(incident.recovery?.attested?.evidence.request_nonce).to.equal(attestor.nonces[0]);
    expect(incident.recovery).to.not.have.property('attestation');
  });

  it('is not asked again for what is attested already', async () => {
    const id = await report();
    await lane.request(id, ADA);
    const { incident } = await lane.request(id, ADA);
    expect(incident.recovery?.attested).to.not.equal(undefined);
    expect(attestor.nonces).to.have.lengthOf(1);
  });

  it('says what was wrong with the answer, records it with an alert, and may be asked for again', async () => {
    const id = await report();
    attestor.behaviours = [attesting({ tpm_quote_verified: false }), attesting()];
    const refused = await refusalOf(lane.request(id, ADA));
    expect([refused.code, refused.status]).to.deep.equal(['attestation_refused', 409]);
    expect(String(refused.fields.faults)).to.include('tpm_quote_verified');
    expect(events()).to.deep.equal(['attestation_requested', 'attestation_failed']);
    expect(events('alert.')).to.deep.equal(['raised']);
    expect(recoveryOf(id)).to.have.nested.property('failed.faults');
    recording.clock.milliseconds += SECOND;
    const { incident } = await lane.request(id, ADA);
    expect(incident.recovery).to.not.have.property('failed');
  });

  it('keeps the request on record while the attestor can not be reached, and asks again', async () => {
    const id = await report();
    attestor.behaviours = [(response) => response.writeHead(503).end(), attesting()];
    const refused = await refusalOf(lane.request(id, ADA));
    expect([refused.code, refused.status]).to.deep.equal(['attestor_unavailable', 503]);
    expect(refused.message).to.include('it answered 503').and.include('stays on record');
    expect(lane.warnings.join()).to.match(
      /^incidents wait for the attestor, which could not be reached since .*: it answered 503$/,
    );
    expect(recoveryOf(id)).to.have.property('attestation');
    await passUntil(() => recoveryOf(id)?.attested !== undefined);
    expect(lane.warnings).to.deep.equal([]);
    expect(events()).to.deep.equal(['attestation_requested', 'attested']);
  });

  it('gives up after a day without an answer', async () => {
    const id = await report();
    attestor.behaviours = [(response) => response.writeHead(503).end()];
    await refusalOf(lane.request(id, ADA));
    recording.clock.milliseconds += DAY;
    await passUntil(() => recoveryOf(id)?.failed !== undefined);
    expect(events()).to.include('attestation_failed');
    expect(recoveryOf(id)).to.not.have.property('attestation');
    expect(recoveryOf(id)?.failed?.last_error).to.equal('it answered 503');
  });

  it('goes on after a crash in between, with another nonce', async () => {
    const id = await report();
    attestor.behaviours = [() => {}, attesting()];
    const waiting = refusalOf(lane.request(id, ADA));
    await eventually(() => attestor.nonces.length === 1);
    await close();
    expect((await waiting).code).to.equal('stopping');
    await open();
    expect(recoveryOf(id)).to.have.property('attestation');
    await passUntil(() => recoveryOf(id)?.attested !== undefined);
    expect(attestor.nonces).to.have.lengthOf(2);
    expect(recoveryOf(id)?.attested?.evidence.request_nonce).to.equal(attestor.nonces[1]);
  });

  it('asks again when the incident changes while the attestor works', async () => {
    const id = await report('integrity_violation', 'same');
    attestor.behaviours = [
      (response, nonce) => void report('integrity_violation', 'same').then(() => attesting()(response, nonce)),
      attesting(),
    ];
    const waiting = lane.request(id, ADA);
    await passUntil(() => recoveryOf(id)?.attested !== undefined);
    const { incident } = await waiting;
    expect(incident.recovery?.attested?.evidence.request_nonce).to.equal(attestor.nonces[1]);
  });

  it('counts one attestation for all incidents that wait when it begins', async () => {
    const ids = [await report(), await report(), await report()];
    attestor.behaviours = [(response) => response.writeHead(503).end(), attesting()];
    const answers = ids.map((id) => lane.request(id, ADA).catch((error: RecorderError) => error.code));
    await passUntil(() => ids.every((id) => recoveryOf(id)?.attested !== undefined));
    await Promise.all(answers);
    expect(attestor.nonces.length).to.be.at.most(3);
  });

  it('answers who waits when the recovery is waived meanwhile', async () => {
    const id = await report();
    attestor.behaviours = [
      (response, nonce) =>
        void recording.record.recoveries
          .waive(id, 'gone', as('root', 'admin'))
          .then(() => attesting()(response, nonce)),
    ];
    let refused: RecorderError | undefined;
    void refusalOf(lane.request(id, ADA)).then((error) => (refused = error));
    await passUntil(() => refused !== undefined);
    expect([refused?.status, refused?.message]).to.deep.equal([
      409,
      'its recovery is waived: no attestation is asked for',
    ]);
  });

  it('is refused where nobody asks for it, and where no attestor is configured', async () => {
    const plain = await report('tool_call_burst');
    expect((await refusalOf(lane.request(plain, ADA))).status).to.equal(409);
    expect((await refusalOf(lane.request('INC-20261122-000000000000', ADA))).status).to.equal(404);
    const id = await report();
    await close();
    await open('none');
    const refused = await refusalOf(lane.request(id, ADA));
    expect([refused.status, refused.message]).to.deep.equal([
      503,
      'RUNTIME_ATTESTOR_URL is not set: there is no attestor to ask',
    ]);
    expect((await refusalOf(lane.request(plain, ADA))).status).to.equal(409);
    expect(events()).to.deep.equal([]);
  });
});
