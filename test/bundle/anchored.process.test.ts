import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { chainHash } from '../../src/audit/chain-hash.ts';
import { readKey } from '../../src/audit/key.ts';
import { type Bundle, hashedManifest, type Manifest } from '../../src/bundle/format.ts';
import { verifyBundle } from '../../src/bundle/verify-bundle.ts';
import { newSigner } from '../../src/signed-note.ts';
import { needsPrograms } from '../cli/support/needs-programs.ts';
import { LocalService } from '../support/local-service.ts';
import { accessInFleet, MACHINE, Notary } from '../support/notary.ts';
import { ROOT, ServiceHome } from '../support/running-service.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';

describe('an anchored bundle', () => {
  const directory = temporaryDirectories();
  let home: ServiceHome;
  let notary: Notary;
  let service: LocalService;
  let id: string;
  needsPrograms('python3');

  beforeEach(async () => {
    home = new ServiceHome(directory());
    notary = new Notary();
    writeFileSync(home.access, accessInFleet(notary), { mode: 0o600 });
    service = await LocalService.start(home);
    ({ id } = (await service.report()).json);
    for (let n = 0; n < 20; n++) await service.post('/api/v1/incidents/note', { id, note: `note ${n}` });
  });
  afterEach(() => service.stop());

  const anchor = async (): Promise<void> => {
    await notary.fetch(home.log);
    const { status, text } = await service.post('/api/v1/log/anchors', { anchor: notary.note() });
    expect(status, text).to.equal(201);
  };
  const bundle = async (): Promise<string> => {
    const { status, text } = await service.send('GET', `/api/v1/incidents/bundle?id=${id}`);
    expect(status, text).to.equal(200);
    return text;
  };
  const hash = () => chainHash(readKey(home.key));
  const verdictOn = (text: string, fleet = [notary.signer]) => verifyBundle(Buffer.from(text), { hash: hash(), fleet });
  /** What somebody with the audit key could make of it. */
  const forged = (text: string, change: (manifest: Manifest) => Manifest): string => {
    const whole = JSON.parse(text) as Bundle;
    const manifest = JSON.stringify(change(JSON.parse(whole.manifest) as Manifest));
    return `${JSON.stringify({ ...whole, manifest, manifest_hash: hash().digest(hashedManifest(manifest)) })}\n`;
  };

  it('shows how far the fleet has signed the log, and that the log is that one', async () => {
    await anchor();
    await service.post('/api/v1/incidents/note', { id, note: 'after the anchor' });
    const text = await bundle();
    const verdict = verdictOn(text);
    expect(verdict.faults).to.deep.equal([]);
    expect(verdict.anchor).to.deep.equal({
      fleet: 'fleet.example.org',
      machine: MACHINE,
      seq: notary.through,
      time: '2026-11-22T07:12:00.000Z',
      signature: 'verified',
      covers: 'log',
    });
    expect(verdictOn(text, []).anchor).to.include({ signature: 'not checked' });
    expect((JSON.parse(text) as Bundle).fields.page!.value)
      .to.include('Anchored: ')
      .and.to.include('fleet.example.org');
    const file = join(directory(), 'bundle.json');
    writeFileSync(file, text);
    const script = join(ROOT, 'test/support/verify-bundle.py');
    execFileSync('python3', [script, file, '--key', home.key]);
    const said = execFileSync(process.execPath, [
      join(ROOT, 'src/cli/main.ts'),
      'verify-bundle',
      '--key',
      home.key,
      '--fleet-key',
      notary.key,
      file,
    ]).toString();
    expect(said).to.include(`fleet.example.org has signed all entries up to ${notary.through} of ${MACHINE}`);
  });

  it('is not valid with an anchor of another fleet, or another log, or of another past', async () => {
    await anchor();
    const text = await bundle();
    expect(verdictOn(text, [newSigner('fleet.example.org')]).faults.join()).to.include(
      'its anchor: the note has no signature',
    );
    const withNote = (note: string) =>
      forged(text, (manifest) => ({
        ...manifest,
        log: { ...manifest.log, anchor: { ...manifest.log.anchor!, note } },
      }));
    const through = { seq: notary.through };
    const other = withNote(notary.note({ ...through, log: 'a1'.repeat(32) }));
    expect(verdictOn(other).faults).to.deep.equal(['its anchor is not of this log']);
    const rewritten = withNote(notary.note({ ...through, root: 'c3'.repeat(32) }));
    expect(verdictOn(rewritten).faults).to.deep.equal([
      `the entries up to ${notary.through} are others than were anchored`,
    ]);
    expect(verdictOn(withNote(notary.note({ seq: 5 }))).faults).to.deep.equal(['its anchor is not of this log']);
    const file = join(directory(), 'bundle.json');
    writeFileSync(file, rewritten);
    const script = join(ROOT, 'test/support/verify-bundle.py');
    expect(spawnSync('python3', [script, file, '--key', home.key]).status).to.equal(1);
  });

  it('is asked for: without one, a fleet key makes it not valid, and the page says that there is none', async () => {
    const text = await bundle();
    expect(verdictOn(text, [])).to.include({ valid: true }).and.not.to.have.property('anchor');
    expect(verdictOn(text).faults).to.deep.equal(['it has no anchor']);
    expect((JSON.parse(text) as Bundle).fields.page!.value).to.include('Not anchored: ');
    expect(readFileSync(home.log, 'utf8')).to.not.include('log.anchored');
  });
});
