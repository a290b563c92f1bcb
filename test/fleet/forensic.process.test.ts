/** Forensic exports that the fleet makes of one machine, and signs. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { sql } from 'kysely';
import { chainHash } from '../../src/audit/chain-hash.ts';
import { readKey } from '../../src/audit/key.ts';
import { verifyForensic } from '../../src/forensic/verify-forensic.ts';
import { newSigner, type Signer, verifierKeyOf } from '../../src/signed-note.ts';
import { run } from '../cli/support/command-line.ts';
import { type Answer, TOKEN } from '../support/service-client.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';
import { AUDIT_KEY, MachineLog } from './support/machine-log.ts';
import { SmallFleet, tokenOf } from './support/small-fleet.ts';

const PEOPLE = {
  emmy: { roles: ['auditor'], machines: { site: 'berlin' } },
  grace: { roles: ['reader', 'operator'], machines: 'any' },
} as const;

describe('forensic exports of the fleet', () => {
  const directory = temporaryDirectories();
  let fleet: SmallFleet;

  beforeEach(async () => {
    fleet = await SmallFleet.start(directory(), { people: PEOPLE, env: { FLEET_READ_EVIDENCE: 'restricted' } });
  });
  afterEach(() => fleet.stop());

  const ask = (query: string, token = TOKEN): Promise<Answer> =>
    fleet.send('GET', `/api/v1/forensic/export?${query}`, { token });
  const exported = async (query: string, token = TOKEN): Promise<Answer> => {
    const answer = await ask(query, token);
    expect(answer.status, answer.text).to.equal(200);
    return answer;
  };
  const verdictOn = (text: string, signer: Signer = fleet.fleet.signer, key?: Uint8Array) =>
    verifyForensic(Buffer.from(text), { fleet: [signer], hashes: key === undefined ? [] : [chainHash(key)] });

  it('hold what the fleet has of a machine in the form of the recorder’s, and say who signs', async () => {
    const machine = await fleet.add('oven-1', { labels: { site: 'berlin' } });
    const evidence = { ip: '203.0.113.7' };
    const { id } = (await machine.recorder.report({ class: 'tool_call_burst', evidence })).json;
    const { id: other } = (await machine.recorder.report({ source: 'other' })).json;
    await machine.recorder.post('/api/v1/incidents/resolve', { id: other, resolution: 'false_positive', note: 'n' });
    await fleet.until(
      () => fleet.send('GET', `/api/v1/incidents/get?machine=oven-1&id=${other}`),
      ({ json }) => json?.state === 'resolved',
    );
    // The policy comes with the status of the machine.
    const { policy } = await fleet.until(
      () => fleet.read('/api/v1/machines/oven-1'),
      ({ policy: { digest } }) => digest !== null,
    );
    const { text, json, headers } = await exported('machine=oven-1', tokenOf('emmy'));
    expect(Number(headers['content-length'])).to.equal(Buffer.byteLength(text));
    expect(Object.keys(json)).to.deep.equal([
      'exported_at',
      'incidents',
      'audit_entries',
      'system_state',
      'policy_digest',
      'canonical_payload',
      'bundle_hash',
      'signature',
    ]);
    expect(json.incidents.map((incident: { id: string }) => incident.id)).to.deep.equal([id, other]);
    expect(json.incidents[0].evidence).to.deep.equal(evidence);
    const lines = readFileSync(machine.home.log, 'utf8').trimEnd().split('\n');
    expect(json.audit_entries).to.deep.equal(lines.slice(0, json.audit_entries.length));
    expect(json.audit_entries.length).to.be.at.least(4);
    expect(json.system_state).to.include({
      service: 'incident-fleet',
      signed_by: 'fleet fleet.example',
      fleet_key: verifierKeyOf(fleet.fleet.signer),
      machine: 'oven-1',
      standing: 'current',
      hashes: 'unverified',
      unverified_from: '1',
      total_incidents: '2',
      open_incidents: '1',
      omitted: '0',
      audit_entries_omitted: '0',
      audit_entries_altered: '0',
      audit_entries_unverified: String(json.audit_entries.length),
    });
    expect(json.system_state.log_anchor).to.match(/^fleet\.example\/oven-1\//);
    expect(json.policy_digest).to.equal(policy.digest);

    expect(verdictOn(text)).to.deep.include({ valid: true, faults: [], proved_by: ['signature'], incidents: 2 });
    const key = readKey(machine.home.key);
    expect(verdictOn(text, fleet.fleet.signer, key).proved_by).to.deep.equal(['signature', 'audit key (lines)']);
    expect(verdictOn(text, fleet.fleet.signer, Buffer.alloc(32)).valid).to.equal(false);
    const acts = await fleet.fleet.db
      .selectFrom('acts')
      .select(['who', 'what'])
      .where('what', 'like', 'exp%')
      .execute();
    expect(acts).to.deep.equal([{ who: 'emmy', what: 'export_forensic' }]);

    const token = join(directory(), 'token');
    writeFileSync(token, TOKEN, { mode: 0o600 });
    const to = join(directory(), 'export.json');
    const at = ['--url', `http://127.0.0.1:${fleet.port}`, '--no-prove', '--token-file', token, '--machine', 'oven-1'];
    const saved = await run(['forensic-export', '--to', to, ...at]);
    expect(saved.status, saved.stderr).to.equal(0);
    const checked = await run([
      'verify-forensic',
      '--fleet-key',
      verifierKeyOf(fleet.fleet.signer),
      '--audit-key',
      machine.home.key,
      to,
    ]);
    expect(checked.status, checked.stdout).to.equal(0);
    for (const word of [
      'proved by   signature and audit key (lines)',
      'signed by   fleet fleet.example',
      'machine     oven-1',
    ])
      expect(checked.stdout).to.include(word);
    const refused = await run(['verify-forensic', '--fleet-key', verifierKeyOf(newSigner('fleet.example')), to]);
    expect(refused.status).to.equal(1);
  });

  it('are not valid when anything in them was changed, or another one has signed', async () => {
    await fleet.enrol('a-1');
    await fleet.take('a-1', new MachineLog('a').fill(40));
    const { text, json } = await exported('machine=a-1');
    expect(verdictOn(text, fleet.fleet.signer, AUDIT_KEY)).to.deep.include({ valid: true, faults: [] });
    expect(json.system_state).to.include({ hashes: 'verified', unverified_from: '', audit_entries_unverified: '0' });
    for (const [before, after] of [
      ['Ignores its rules', 'Ignores no rules'],
      ['"machine":"a-1"', '"machine":"a-2"'],
      ['"omitted":"0"', '"omitted":"1"'],
    ] as const) {
      expect(text).to.include(before);
      expect(verdictOn(text.replace(before, after)).faults.join(), before).to.include('it was changed');
    }
    const flipped = json.signature.startsWith('0') ? `1${json.signature.slice(1)}` : `0${json.signature.slice(1)}`;
    expect(verdictOn(text.replace(json.signature, flipped)).faults).to.deep.equal(['the signature does not hold']);
    expect(verdictOn(text, newSigner('fleet.example')).faults).to.deep.equal([
      'it is signed with another key than the one that is given',
    ]);
    expect(verifyForensic(Buffer.from(text), {})).to.include({ valid: true });
    // Whoever expects one of a recorder takes none that somebody has signed as a fleet.
    const ofRecorder = verifyForensic(Buffer.from(text), { key: Buffer.alloc(32) });
    expect(ofRecorder).to.deep.include({ valid: false, proved_by: [] });
    expect(ofRecorder.faults.join()).to.include('a fleet has made it');
    expect(verifyForensic(Buffer.from(text), { hashes: [chainHash(AUDIT_KEY)] })).to.include({ valid: false });
    for (const cut of ['', '{}', text.slice(0, -1), `${text} `])
      expect(verifyForensic(Buffer.from(cut), {}).valid).to.equal(false);
  });

  it('are of one history of one machine, for auditors who see it', async () => {
    await Promise.all([fleet.enrol('a-1', { site: 'berlin' }), fleet.enrol('a-2', { site: 'paris' })]);
    const log = new MachineLog('a').fill(60);
    await fleet.take('a-1', log);
    await fleet.take('a-2', new MachineLog('b').fill(1300));
    const copy = log.copyThrough(30);
    copy.fill(80);
    await fleet.take('a-1', copy, 31, log.id);
    const now = await exported('machine=a-1', tokenOf('emmy'));
    const history = log.id.slice(0, 12);
    expect(now.json.system_state).to.include({
      history: `${history}~2`,
      standing: 'current',
      diverged_from: history,
      diverged_at_seq: '31',
    });
    expect(now.json.audit_entries).to.deep.equal(copy.lines);
    expect(verdictOn(now.text, fleet.fleet.signer, AUDIT_KEY)).to.deep.include({ valid: true, faults: [] });
    const left = await exported(`machine=a-1&log=${history}`);
    expect(left.json.system_state).to.include({ history, standing: 'left', diverged_from: '' });
    expect(left.json.audit_entries).to.deep.equal(log.lines);
    expect(verdictOn(left.text, fleet.fleet.signer, AUDIT_KEY)).to.deep.include({ valid: true, faults: [] });
    const long = await exported('machine=a-2');
    expect(long.json.audit_entries).to.have.length(1000);
    expect(verdictOn(long.text, fleet.fleet.signer, AUDIT_KEY)).to.deep.include({ valid: true, faults: [] });

    const status = async (query: string, token?: string) => (await ask(query, token)).status;
    expect(await status('')).to.equal(400);
    expect(await status('', tokenOf('emmy'))).to.equal(200);
    expect(await status('machine=a-2', tokenOf('emmy'))).to.equal(404);
    expect(await status('machine=a-1', tokenOf('grace'))).to.equal(403);
    expect(await status('machine=a-1', 'nobody')).to.equal(403);
    expect(await status(`machine=a-2&log=${history}`)).to.equal(404);
    expect(await status('machine=a-1&id=1')).to.equal(400);
  });

  it('leave out what does not fit into the largest file, and count it', async () => {
    await fleet.enrol('a-1');
    const log = new MachineLog('a').fill(1200);
    await fleet.take('a-1', log);
    // As a machine with long evidence has it.
    await sql`UPDATE documents SET document = replace(document, 'Ignores its rules', repeat('é', 40000))`.execute(
      fleet.fleet.db,
    );
    await sql`UPDATE incidents SET bytes = bytes + 80000`.execute(fleet.fleet.db);
    const { text, json } = await exported('machine=a-1');
    expect(Buffer.byteLength(text)).to.be.within(60 * 1024 * 1024, 64 * 1024 * 1024);
    const { total_incidents: total, omitted } = json.system_state;
    expect(json.incidents.length).to.equal(Number(total) - Number(omitted));
    expect(Number(omitted)).to.be.above(0);
    expect(json.audit_entries).to.deep.equal(log.lines.slice(-1000));
    expect(verdictOn(text, fleet.fleet.signer, AUDIT_KEY)).to.deep.include({ valid: true, faults: [] });
  });
});
