/** Evidence bundles that the fleet makes and signs, from the lines that a real shipper has sent. */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { expect } from 'chai';
import { anchorText } from '../../src/anchor.ts';
import { chainHash } from '../../src/audit/chain-hash.ts';
import { readKey } from '../../src/audit/key.ts';
import { exportKeyOf } from '../../src/bundle/export-key.ts';
import { type Bundle, fieldHash, hashedManifest, type Manifest, signedText } from '../../src/bundle/format.ts';
import { redactBundle } from '../../src/bundle/redact-bundle.ts';
import { readBundle, verifyBundle } from '../../src/bundle/verify-bundle.ts';
import { newSigner, type Signer, signNote, verifierKeyOf } from '../../src/signed-note.ts';
import { run } from '../cli/support/command-line.ts';
import { ROOT } from '../support/programs.ts';
import { type Answer, TOKEN } from '../support/service-client.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';
import { AUDIT_KEY, MachineLog } from './support/machine-log.ts';
import { type SmallMachine, SmallFleet, tokenOf } from './support/small-fleet.ts';

const PEOPLE = {
  emmy: { roles: ['auditor'], machines: { site: 'berlin' } },
  grace: { roles: ['reader', 'operator'], machines: 'any' },
} as const;
const EVIDENCE = { ip: '203.0.113.7', process: { name: 'bash' } };

describe('evidence bundles of the fleet', () => {
  const directory = temporaryDirectories();
  let fleet: SmallFleet;

  beforeEach(async () => {
    fleet = await SmallFleet.start(directory(), { people: PEOPLE, env: { FLEET_READ_EVIDENCE: 'restricted' } });
  });
  afterEach(() => fleet.stop());

  const ask = (query: string, token = TOKEN): Promise<Answer> =>
    fleet.send('GET', `/api/v1/incidents/bundle?${query}`, { token });
  const bundle = async (query: string, token = TOKEN): Promise<string> => {
    const { status, text } = await ask(query, token);
    expect(status, text).to.equal(200);
    return text;
  };
  const manifestOf = (text: string): Manifest => JSON.parse(readBundle(Buffer.from(text)).manifest) as Manifest;
  const verdictOn = (text: string, signer: Signer = fleet.fleet.signer, key?: Uint8Array) =>
    verifyBundle(Buffer.from(text), { fleet: [signer], hash: key && chainHash(key) });
  /** An incident with a few entries, which the fleet has. */
  const reported = async ({ name, recorder }: SmallMachine, notes = 3): Promise<string> => {
    const { id } = (await recorder.report({ evidence: EVIDENCE })).json;
    for (let n = 0; n < notes; n++) await recorder.post('/api/v1/incidents/note', { id, note: `note ${n}` });
    const { version } = (await recorder.get(`/api/v1/incidents/get?id=${id}`)).json;
    await fleet.until(
      () => fleet.send('GET', `/api/v1/incidents/get?machine=${name}&id=${id}`),
      ({ json }) => json?.version === version,
    );
    return id;
  };
  /** What somebody with a key could make of a bundle. */
  const forged = (text: string, signer: Signer, change: (manifest: Manifest, whole: Bundle) => unknown): string => {
    const whole = JSON.parse(text) as Bundle;
    const manifest = JSON.stringify(change(JSON.parse(whole.manifest) as Manifest, whole));
    const key = exportKeyOf(signer);
    const manifest_hash = createHash('sha256').update(hashedManifest(manifest)).digest('hex');
    const signature = key.sign(Buffer.from(signedText({ manifest, manifest_hash })));
    return `${JSON.stringify({ ...whole, manifest, manifest_hash, signature, public_key: key.publicKey })}\n`;
  };

  it('are what the recorder makes, but for who signs, and verify offline with the fleet’s public key', async () => {
    const machine = await fleet.add('oven-1', { labels: { site: 'berlin' } });
    const id = await reported(machine);
    const text = await bundle(`machine=oven-1&id=${id}`, tokenOf('emmy'));
    const manifest = manifestOf(text);
    const own = await machine.recorder.send('GET', `/api/v1/incidents/bundle?id=${id}`);
    const recorders = JSON.parse(own.text) as Bundle;
    const { fields } = JSON.parse(text) as Bundle;
    const same = Object.keys(recorders.fields).filter((name) => name !== 'page');
    expect(Object.keys(fields).toSorted()).to.deep.equal(Object.keys(recorders.fields).toSorted());
    for (const name of same) expect(fields[name]!.value, name).to.equal(recorders.fields[name]!.value);

    const { signer } = fleet.fleet;
    expect(manifest.signed_by).to.deep.equal({ fleet: 'fleet.example', key: verifierKeyOf(signer) });
    expect(manifest.machine).to.deep.include({
      name: 'oven-1',
      standing: 'current',
      diverged: null,
      hashes: 'unverified',
      unverified_from: 1,
    });
    expect(manifest).to.deep.include({ proofs: ['signature'], signer: exportKeyOf(signer).fingerprint });
    expect(manifest.made_for).to.include({ principal: 'emmy', role: 'auditor' });
    expect(manifest.log.id).to.equal((JSON.parse(recorders.manifest) as Manifest).log.id);
    expect(manifest.machine!.history).to.equal(manifest.log.id!.slice(0, 12));
    for (const word of ['fleet.example', 'not by the recorder', 'oven-1', 'From entry 1 on it has verified the links'])
      expect(fields.page!.value).to.include(word);

    const verdict = verdictOn(text);
    expect(verdict).to.deep.include({ valid: true, faults: [], proved_by: ['signature'] });
    expect(verdict.anchor).to.include({
      fleet: 'fleet.example',
      machine: 'oven-1',
      signature: 'verified',
      covers: 'log',
    });
    const withKey = verdictOn(text, signer, readKey(machine.home.key));
    expect(withKey).to.deep.include({ valid: true, proved_by: ['signature', 'audit key (lines)'] });
    expect(verdictOn(text, signer, Buffer.alloc(32, 1)).valid).to.equal(false);
    expect(verifyBundle(Buffer.from(text), {})).to.include({ valid: true });
    // Whoever has the audit key alone takes none that somebody has signed as a fleet, with lines of the recorder in it.
    const unpinned = verifyBundle(Buffer.from(text), { hash: chainHash(readKey(machine.home.key)) });
    expect(unpinned.valid).to.equal(false);
    expect(unpinned.faults.join()).to.include('a fleet has made it');
    const { publicKey: pem } = exportKeyOf(signer);
    expect(verifyBundle(Buffer.from(text), { publicKey: pem })).to.include({ valid: true });
    const less = redactBundle(readBundle(Buffer.from(text)), [`incident/${id}/evidence/*`]).text;
    expect(less).to.not.include('203.0.113.7');
    expect(verdictOn(less)).to.include({ valid: true });

    // By a program that knows the description alone, and by the command line.
    const file = join(directory(), 'bundle.json');
    writeFileSync(file, text);
    const script = join(ROOT, 'test/support/verify-bundle.py');
    if (spawnSync('python3', ['--version']).status === 0) {
      expect(spawnSync('python3', [script, file]).status).to.equal(0);
      expect(spawnSync('python3', [script, file, '--key', machine.home.key]).status).to.equal(0);
    }
    const readme = readFileSync(join(ROOT, 'src/bundle/README.md'), 'utf8');
    const recipe = /^```sh\n(key=.*?)^```$/ms.exec(readme)![1]!;
    const input = recipe.replace('$(incident-recorder fleet pubkey)', `'${verifierKeyOf(signer)}'`);
    expect(spawnSync('sh', ['-e'], { cwd: directory(), input: `${input}cat fleet.pub` }).stdout.toString()).to.equal(
      pem,
    );
    const said = await run(['verify-bundle', '--fleet-key', verifierKeyOf(signer), '--key', machine.home.key, file]);
    expect(said.status, said.stdout).to.equal(0);
    for (const word of [
      'signed by   fleet fleet.example',
      'machine     oven-1',
      'from entry 1 on',
      'audit key (lines)',
    ])
      expect(said.stdout).to.include(word);

    const { rows } = await actsOf('oven-1');
    expect(rows).to.deep.equal([
      {
        who: 'emmy',
        what: 'export_bundle',
        detail: { principal: 'emmy', role: 'auditor', history: manifest.machine!.history, incidents: [id] },
      },
    ]);
    expect(readdirSync(join(fleet.directory, 'var/fleet/exports'))).to.deep.equal([]);
  });

  const actsOf = async (machine: string) => ({
    rows: await fleet.fleet.db
      .selectFrom('acts')
      .select(['who', 'what', 'detail'])
      .where('machine', '=', machine)
      .where('what', 'like', 'export%')
      .execute(),
  });

  it('are saved by the command line', async () => {
    const machine = await fleet.add('oven-1');
    const id = await reported(machine);
    const token = join(directory(), 'token');
    writeFileSync(token, TOKEN, { mode: 0o600 });
    const to = join(directory(), 'bundle.json');
    const at = ['--url', `http://127.0.0.1:${fleet.port}`, '--no-prove', '--token-file', token, '--machine', 'oven-1'];
    const saved = await run(['export', id, '--to', to, ...at]);
    expect(saved.status, saved.stderr).to.equal(0);
    expect(saved.stdout).to.include('proved by signature of the fleet fleet.example');
    expect(verdictOn(readFileSync(to, 'utf8'))).to.include({ valid: true });
    const key = verifierKeyOf(newSigner('fleet.example'));
    const other = await run(['verify-bundle', '--fleet-key', key, to]);
    expect(other.status).to.equal(1);
    expect(other.stdout).to.include('it is signed with another key than the one that is given');
  });

  it('are not valid when anything in them was changed', async () => {
    await Promise.all([fleet.enrol('a-1'), fleet.enrol('a-2')]);
    const [log, second] = [new MachineLog('a').fill(40), new MachineLog('b').fill(40)];
    await fleet.take('a-1', log);
    await fleet.take('a-2', second);
    const id = 'INC-20261101-a000002';
    const text = await bundle(`machine=a-1&id=${id}`);
    const { signer } = fleet.fleet;
    const verdict = verdictOn(text, signer, AUDIT_KEY);
    expect(verdict).to.deep.include({ valid: true, faults: [], proved_by: ['signature', 'audit key (lines)'] });
    expect(verdict.manifest!.machine).to.include({ hashes: 'verified', unverified_from: null });
    const faultsOf = (changed: string, key?: Uint8Array) => verdictOn(changed, signer, key).faults.join('\n');

    // A line, a field, the manifest.
    expect(faultsOf(text.replace('Ignores its rules', 'Ignores no rules'))).to.include('was changed');
    expect(faultsOf(text.replace(String.raw`\"seen\"`, String.raw`\"sean\"`))).to.include('was changed');
    for (const [before, after] of [
      [String.raw`\"name\":\"a-1\"`, String.raw`\"name\":\"a-2\"`],
      [String.raw`\"unverified_from\":null`, String.raw`\"unverified_from\":9`],
      [String.raw`\"made_for\":{\"principal\":\"root\"`, String.raw`\"made_for\":{\"principal\":\"nobody\"`],
    ] as const) {
      expect(text).to.include(before);
      expect(faultsOf(text.replace(before, after)), before).to.include('the manifest was changed, or its hash');
    }
    // By another key, which says that it is the fleet's, or that it is its own.
    const stranger = newSigner('fleet.example');
    expect(faultsOf(forged(text, stranger, (manifest) => manifest))).to.include('signed with another key');
    const fingerprint = exportKeyOf(stranger).fingerprint;
    const asFleet = forged(text, stranger, (manifest) => ({ ...manifest, signer: fingerprint }));
    expect(faultsOf(asFleet)).to.include('signed with another key than the one that is given');
    const asItself = forged(text, stranger, (manifest) => ({
      ...manifest,
      signer: fingerprint,
      signed_by: { fleet: 'fleet.example', key: verifierKeyOf(stranger) },
    }));
    expect(faultsOf(asItself)).to.include('signed with another key than the one that is given');
    // Its anchor is still one of the fleet that it has taken the name of.
    expect(verifyBundle(Buffer.from(asItself), {}).faults.join()).to.include('its anchor: the note has no signature');

    // What the fleet itself could write: the lines are the machine's, and the anchors of each machine its own.
    const withLine = forged(text, signer, (manifest, whole) => {
      const name = Object.keys(whole.fields).find((each) => each.startsWith('entry/'))!;
      const field = { ...whole.fields[name]!, value: whole.fields[name]!.value.replace('Ignores its', 'Ignores no') };
      (whole.fields as Record<string, object>)[name] = field;
      return { ...manifest, fields: { ...manifest.fields, [name]: fieldHash(name, field) } };
    });
    expect(faultsOf(withLine, AUDIT_KEY)).to.include('entry_hash does not match its contents');
    const other = manifestOf(await bundle('machine=a-2&id=INC-20261101-b000002'));
    const withAnchor = (anchor: unknown) =>
      forged(text, signer, (manifest) => ({ ...manifest, log: { ...manifest.log, anchor } }));
    expect(faultsOf(withAnchor(other.log.anchor))).to.include('its anchor is not of this log');
    const own = manifestOf(text).log;
    const { entry } = own.anchor!;
    const [, , root64] = own.anchor!.note.split('\n') as [string, string, string];
    const about = {
      fleet: 'fleet.example',
      machine: 'a-2',
      log: own.id!,
      seq: entry.seq,
      hash: entry.entry_hash,
      root: Buffer.from(root64, 'base64').toString('hex'),
      time: '2026-11-30T00:00:00.000Z',
    };
    const note = signNote(anchorText(about), signer);
    expect(faultsOf(withAnchor({ note, entry }))).to.include('its anchor is one of a-2 by fleet.example');
    const without = forged(text, signer, ({ signed_by: _, ...manifest }) => manifest);
    expect(faultsOf(without)).to.include('does not say which fleet signs');
  });

  it('are of the history that has the incident, also of one that the machine has left', async () => {
    await fleet.enrol('a-1');
    const log = new MachineLog('a').fill(60);
    await fleet.take('a-1', log);
    const [kept, lost] = ['INC-20261101-a000001', 'INC-20261101-a000020'];
    const before = manifestOf(await bundle(`id=${lost}`));
    expect(before.machine).to.include({ standing: 'current', diverged: null });
    // Restored from an old image: the machine goes on with another past.
    const copy = log.copyThrough(30);
    copy.fill(80);
    await fleet.take('a-1', copy, 31, log.id);

    const text = await bundle(`id=${lost}`);
    const left = manifestOf(text);
    expect(left.machine).to.deep.equal({ ...before.machine, standing: 'left' });
    expect(left.log.head).to.deep.equal({ seq: 60, entry_hash: log.hashOf(60) });
    expect((JSON.parse(text) as Bundle).fields.page!.value).to.include('has left this history');
    expect(verdictOn(text, fleet.fleet.signer, AUDIT_KEY)).to.deep.include({ valid: true, faults: [] });

    const now = await bundle(`id=${kept}`);
    const history = before.machine!.history;
    expect(manifestOf(now).machine).to.deep.include({
      history: `${history}~2`,
      standing: 'current',
      diverged: { from: history, at_seq: 31 },
      hashes: 'verified',
    });
    expect(manifestOf(now).log.head).to.deep.equal({ seq: copy.through, entry_hash: copy.hashOf(copy.through) });
    expect(verdictOn(now, fleet.fleet.signer, AUDIT_KEY)).to.deep.include({ valid: true, faults: [] });
    // What the machine said before of an incident that it still knows.
    expect(manifestOf(await bundle(`id=${kept}&log=${history}`)).machine).to.include({ history, standing: 'left' });
    expect(manifestOf(await bundle(`id=${kept}&log=${history}~2`)).machine).to.include({ standing: 'current' });
    expect(manifestOf(await bundle(`id=${kept}&log=${log.id}`)).machine).to.include({ standing: 'current' });
    const both = await ask(`id=${kept}&id=${lost}`);
    expect([both.status, both.json.error]).to.deep.equal([
      400,
      `a bundle holds incidents of one machine and one history of its log: ${kept} is of a-1, history ${history}~2; ${lost} is of a-1, history ${history}`,
    ]);
    expect(manifestOf(await bundle(`id=${kept}&id=${lost}&log=${history}`)).incidents).to.have.length(2);
  });

  it('are for auditors, of machines that they see', async () => {
    await Promise.all([fleet.enrol('a-1', { site: 'berlin' }), fleet.enrol('a-2', { site: 'paris' })]);
    const id = 'INC-20261101-a000001';
    await fleet.take('a-1', new MachineLog('a').fill(10));
    expect((await ask(`id=${id}`, tokenOf('emmy'))).status).to.equal(200);
    await fleet.take('a-2', new MachineLog('a').fill(10));
    await fleet.holds('a-2', id);
    const ambiguous = await ask(`id=${id}`);
    expect(ambiguous.status).to.equal(400);
    expect(ambiguous.json).to.deep.include({ machines: ['a-1', 'a-2'] });
    expect((await ask(`id=${id}&site=paris`)).status).to.equal(200);
    const status = async (query: string, token?: string) => (await ask(query, token)).status;
    const head = async (query: string, token: string): Promise<number> => {
      const url = `http://127.0.0.1:${fleet.port}/api/v1/incidents/bundle?${query}`;
      return (await fetch(url, { method: 'HEAD', headers: { authorization: `Bearer ${token}` } })).status;
    };
    // Who is bound to Berlin sees one of them.
    expect(await status(`id=${id}`, tokenOf('emmy'))).to.equal(200);
    expect(await status(`machine=a-2&id=${id}`, tokenOf('emmy'))).to.equal(404);
    expect(await status(`machine=a-1&id=${id}`, tokenOf('grace'))).to.equal(403);
    expect(await status(`machine=a-1&id=${id}`, 'nobody')).to.equal(403);
    expect(await status(`machine=a-1&id=INC-20260101-000000000000`)).to.equal(404);
    expect(await status(`machine=a-1`)).to.equal(400);
    expect(await status(`machine=a-1&id=${id}&id=${id}`)).to.equal(400);
    expect(await status(`machine=a-1&id=${id}&log=..`)).to.equal(400);
    expect(await head(`machine=a-1&id=${id}`, TOKEN)).to.equal(200);
    expect(await head(`machine=a-2&id=${id}`, tokenOf('emmy'))).to.equal(404);
    expect((await actsOf('a-2')).rows).to.have.length(1);
  });

  it('place entries in a log of many tiles, again and when it has grown, and end when their reader leaves', async () => {
    await fleet.enrol('a-1');
    const log = new MachineLog('a').fill(2600);
    await fleet.take('a-1', log);
    const ids = ['INC-20261101-a000001', 'INC-20261101-a000700', 'INC-20261101-a000500'];
    const query = `machine=a-1&${ids.map((id) => `id=${id}`).join('&')}`;
    const valid = { valid: true, faults: [] };
    const [first, again] = [await bundle(query), await bundle(query)];
    expect(verdictOn(first, fleet.fleet.signer, AUDIT_KEY)).to.deep.include(valid);
    expect(manifestOf(again).log).to.deep.equal(manifestOf(first).log);
    const before = log.through;
    log.fill(before + 1200);
    await fleet.take('a-1', log, before + 1);
    const grown = await bundle(query);
    expect(verdictOn(grown, fleet.fleet.signer, AUDIT_KEY)).to.deep.include(valid);
    expect(manifestOf(grown).log.head.seq).to.equal(log.through);

    for (let n = 0; n < 3; n++) {
      await new Promise<void>((resolve) => {
        const { port } = fleet;
        const headers = { authorization: `Bearer ${TOKEN}` };
        const sent = request({ port, path: `/api/v1/incidents/bundle?${query}`, headers });
        sent.on('error', () => {});
        sent.on('close', resolve).end();
        setTimeout(() => sent.destroy(new Error('left')), 20);
      });
    }
    // As many as may be made at once: those whose readers have left are over.
    await fleet.until(
      () => Promise.all([ask(query), ask(query)]),
      (answers) => answers.every(({ status }) => status === 200),
    );
    const several = await Promise.all(Array.from({ length: 4 }, () => ask(query)));
    expect(several.map(({ status }) => status)).to.have.members([200, 200, 503, 503]);
    // An entry that was changed in the database leads to no root that the fleet has taken; here one that is read again.
    const changed = log.through - 5;
    await fleet.fleet.db
      .updateTable('entries')
      .set({ line: log.lines[changed - 1]!.replace(/"entry_hash":"..../, '"entry_hash":"0000') })
      .where('machine', '=', 'a-1')
      .where('seq', '=', changed)
      .execute();
    expect(await ask(query)).to.include({ status: 500 });
  });
});
