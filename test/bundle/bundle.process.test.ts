import { execFileSync, spawnSync } from 'node:child_process';
import { generateKeyPairSync, sign } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { chainHash } from '../../src/audit/chain-hash.ts';
import { readKey } from '../../src/audit/key.ts';
import { type Bundle, type Field, fieldHash, type Manifest, signedText } from '../../src/bundle/format.ts';
import { redactBundle } from '../../src/bundle/redact-bundle.ts';
import { readBundle, verifyBundle } from '../../src/bundle/verify-bundle.ts';
import { systemClock } from '../../src/clock.ts';
import { rotateKey } from '../../src/incidents/key-rotation.ts';
import { needsPrograms } from '../cli/support/needs-programs.ts';
import { LocalService } from '../support/local-service.ts';
import { ROOT, ServiceHome } from '../support/running-service.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';

const PATH = '/api/v1/incidents/bundle';
const HOSTILE = '<script>alert(1)</script> \u202Egnp.exe \u2028 \u{1F600} "quoted" \\ /';

describe('an evidence bundle', () => {
  const directory = temporaryDirectories();
  let home: ServiceHome;
  let service: LocalService;
  let ids: readonly string[];

  const start = async (env: Readonly<Record<string, string>> = {}): Promise<void> => {
    home = new ServiceHome(directory());
    service = await LocalService.start(home, { env });
    const evidence = { ip: '203.0.113.7', 'a/b~c': 1e21, nested: { secret: 'swordfish-7' }, excerpt: HOSTILE };
    const [one, other] = [
      await service.report({ class: 'attestation_failure', description: HOSTILE, evidence }),
      await service.report({ class: 'prompt_injection' }),
    ];
    ids = [one.json.id, other.json.id];
    await service.post('/api/v1/incidents/acknowledge', { id: ids[0], by: 'ada', note: 'looking at swordfish-7' });
    await service.report();
  };
  const signingKey = (): string => {
    const path = join(directory(), 'export-key');
    const { privateKey } = generateKeyPairSync('ed25519');
    writeFileSync(path, privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
    return path;
  };
  const bundle = async (...some: readonly string[]): Promise<string> => {
    const { status, text } = await service.send('GET', `${PATH}?${some.map((id) => `id=${id}`).join('&')}`);
    expect(status, text).to.equal(200);
    return text;
  };
  const verdictOn = (text: string | Buffer, withKey = true) =>
    verifyBundle(Buffer.from(text), { hash: withKey ? chainHash(readKey(home.key)) : undefined });
  const manifestOf = (text: string): Manifest => JSON.parse((JSON.parse(text) as Bundle).manifest) as Manifest;
  needsPrograms('python3', 'openssl');
  afterEach(() => service.stop());

  it('holds the incident as it is, its lines verbatim, its statechart and a page, and verifies with the audit key', async () => {
    await start();
    const text = await bundle(...ids);
    const { fields } = JSON.parse(text) as Bundle;
    const verdict = verdictOn(text);
    expect(verdict).to.deep.include({ valid: true, faults: [], proved_by: ['audit key'], left_out: [] });
    const { json } = await service.get(`/api/v1/incidents/get?id=${ids[0]}`);
    expect(JSON.parse(fields[`incident/${ids[0]}/evidence/ip`]!.value)).to.equal('203.0.113.7');
    expect(fields[`incident/${ids[0]}/evidence/a~1b~0c`]!.value).to.equal('1e+21');
    expect(JSON.parse(fields[`incident/${ids[0]}/note`]!.value)).to.equal(json.note);
    const lines = readFileSync(home.log, 'utf8')
      .split('\n')
      .filter((line) => line.includes(ids[0]!) && !line.includes('bundle.requested'));
    const { incidents } = manifestOf(text);
    expect(incidents[0]!.entries.map(({ seq }) => fields[`entry/${seq}`]!.value)).to.deep.equal(lines);
    expect(fields[`statechart/${ids[0]}`]!.value).to.include('<svg');
    const page = fields.page!.value;
    expect(page).to.include('&lt;script&gt;').and.to.include('U+202E').and.to.include('looking at swordfish-7');
    expect(page).to.not.include('<script');
    const last = readFileSync(home.log, 'utf8').trim().split('\n').at(-1)!;
    expect(JSON.parse(last)).to.deep.include({ event: 'bundle.requested' });
    expect((JSON.parse(last) as { data: { incidents: unknown } }).data.incidents).to.deep.equal(ids);
  });

  it('is not valid where nothing shows who made it', async () => {
    await start();
    const verdict = verdictOn(await bundle(ids[0]!), false);
    expect(verdict.valid).to.equal(false);
    expect(verdict.faults.join()).to.include('the audit key is not given');
  });

  for (const withKey of [true, false]) {
    it(`is not valid with any byte changed, ${withKey ? 'by the audit key' : 'by the signature'}`, async () => {
      await start({ EXPORT_KEY_PATH: signingKey() });
      const bytes = Buffer.from(await bundle(ids[1]!));
      expect(verdictOn(bytes, withKey)).to.deep.include({ valid: true, faults: [] });
      for (let at = 0; at < bytes.length; at += withKey ? 97 : 89) {
        const changed = Buffer.from(bytes);
        changed[at]! ^= 1;
        expect(verdictOn(changed, withKey).valid, `byte ${at} of ${bytes.length}`).to.equal(false);
      }
      for (const changed of [
        bytes.subarray(0, -1),
        Buffer.concat([bytes, Buffer.from('\n')]),
        Buffer.from(` ${String(bytes)}`),
      ]) {
        expect(verdictOn(changed, withKey).valid).to.equal(false);
      }
    });
  }

  it('is not valid with its signature taken off, or another one put on', async () => {
    await start({ EXPORT_KEY_PATH: signingKey() });
    const text = await bundle(ids[0]!);
    const { signature, public_key: publicKey, ...rest } = JSON.parse(text) as Bundle;
    expect(verdictOn(`${JSON.stringify(rest)}\n`).faults.join()).to.include('its signature is missing');
    const { publicKey: other } = generateKeyPairSync('ed25519');
    const pem = String(other.export({ type: 'spki', format: 'pem' }));
    expect(verdictOn(`${JSON.stringify({ ...rest, signature, public_key: pem })}\n`, false).valid).to.equal(false);
    expect(verifyBundle(Buffer.from(text), { publicKey: pem }).faults.join()).to.include('another key');
    expect(verifyBundle(Buffer.from(text), { publicKey }).valid).to.equal(true);
  });

  it('verifies with fields left out, and shows nothing of them', async () => {
    await start({ EXPORT_KEY_PATH: signingKey() });
    const whole = readBundle(Buffer.from(await bundle(...ids)));
    const { text, left_out: out, unknown } = redactBundle(whole, [`incident/${ids[0]}/evidence/nested`]);
    expect(unknown).to.deep.equal([]);
    expect(out)
      .to.include('page')
      .and.to.include(`entry/${manifestOf(JSON.stringify(whole)).incidents[0]!.entries[0]!.seq}`);
    expect(out).to.include(`incident/${ids[0]}/note`);
    expect(text).to.not.include('swordfish-7');
    for (const withKey of [true, false]) {
      expect(verdictOn(text, withKey)).to.deep.include({ valid: true, left_out: out });
    }
    expect(Object.keys((JSON.parse(text) as Bundle).fields)).to.include(`incident/${ids[0]}/evidence/ip`);
  });

  it('names what another incident still shows of what is left out', async () => {
    await start();
    const { json } = await service.report({ description: 'came from 203.0.113.7, too' });
    const whole = readBundle(Buffer.from(await bundle(ids[0]!, json.id)));
    const { still_in: stillIn } = redactBundle(whole, [`incident/${ids[0]}/evidence/ip`]);
    expect(stillIn).to.include(`incident/${json.id}/description`);
  });

  it('is not valid with another signature, even for whoever has the audit key', async () => {
    await start({ EXPORT_KEY_PATH: signingKey() });
    const { format, fields, manifest, manifest_hash } = JSON.parse(await bundle(ids[0]!)) as Bundle;
    const rest = { format, fields, manifest, manifest_hash };
    const { privateKey, publicKey } = generateKeyPairSync('ed25519');
    const forged = {
      ...rest,
      signature: sign(null, Buffer.from(signedText(rest)), privateKey).toString('base64'),
      public_key: String(publicKey.export({ type: 'spki', format: 'pem' })),
    };
    const verdict = verdictOn(`${JSON.stringify(forged)}\n`);
    expect(verdict.valid).to.equal(false);
    expect(verdict.faults.join()).to.include('another key than its manifest names');
  });

  it('ends in a verdict, whatever a stranger has put into it', async () => {
    await start();
    const text = await bundle(ids[1]!);
    const { seq } = manifestOf(text).incidents[0]!.entries[0]!;
    for (const value of ['null', '1', '[]', '{"data":null}', '{"data":7,"entry_hash":null}', '{']) {
      const made = JSON.parse(text) as { fields: Record<string, Field>; manifest: string };
      const manifest = JSON.parse(made.manifest) as { fields: Record<string, string> };
      const field = { ...made.fields[`entry/${seq}`]!, value };
      made.fields[`entry/${seq}`] = field;
      manifest.fields[`entry/${seq}`] = fieldHash(`entry/${seq}`, field);
      made.manifest = JSON.stringify(manifest);
      const verdict = verdictOn(`${JSON.stringify(made)}\n`, false);
      expect(verdict.valid).to.equal(false);
      expect(verdict.faults.join()).to.include(`the line of entry ${seq}`);
    }
    for (const changed of [
      text.replace('"fields":{', '"fields":{"__proto__":null,'),
      text.replace('"fields":{', '"fields":{"__proto__":{"salt":"","value":""},'),
      text.replace('{"format"', '{"__proto__":{"format":"x"},"format"'),
      text.replace('{"format"', '{"format":"x","format"'),
      '[]\n',
      'null\n',
      `${'['.repeat(100_000)}\n`,
    ]) {
      expect(verdictOn(changed).valid).to.equal(false);
    }
  });

  it('makes several at once, and refuses a third', async () => {
    await start();
    for (let n = 0; n < 1100; n += 100) await Promise.all(Array.from({ length: 100 }, () => service.report()));
    const answers = await Promise.all(
      [1, 2, 3].map(() => service.send('GET', `${PATH}?${ids.map((id) => `id=${id}`).join('&')}`)),
    );
    expect(answers.map(({ status }) => status)).to.have.members([200, 200, 503]);
    for (const { status, text } of answers) if (status === 200) expect(verdictOn(text).faults).to.deep.equal([]);
    expect(verdictOn(await bundle(ids[0]!)).faults).to.deep.equal([]);
  });

  it('holds evidence with many keys in one field', async () => {
    await start();
    const evidence = Object.fromEntries(Array.from({ length: 10_000 }, (_, n) => [`k${n}`, n]));
    const { json } = await service.report({ evidence });
    const text = await bundle(json.id);
    const { fields } = JSON.parse(text) as Bundle;
    expect(JSON.parse(fields[`incident/${json.id}/evidence`]!.value)).to.deep.equal(evidence);
    expect(verdictOn(text).faults).to.deep.equal([]);
  });

  it('keeps room for the newest lines of each of many incidents, and draws all of them', async () => {
    await start();
    const many: string[] = [];
    for (let n = 0; n < 50; n++) {
      const { json } = await service.report({ dedup_key: `many-${n}` });
      many.push(json.id);
      await Promise.all(Array.from({ length: 54 }, () => service.report({ dedup_key: `many-${n}` })));
    }
    const text = await bundle(...many);
    expect(verdictOn(text).faults).to.deep.equal([]);
    const { fields } = JSON.parse(text) as Bundle;
    for (const { id, entries, missing, version } of manifestOf(text).incidents) {
      expect(entries.length).to.equal(40);
      expect(missing!.entries).to.equal(version - 40);
      const last = JSON.parse(fields[`entry/${entries.at(-1)!.seq}`]!.value) as { data: { version: number } };
      expect(last.data.version).to.equal(version);
      expect(fields).to.have.property(`statechart/${id}`);
    }
  });

  it('is verified by a program that knows its description alone, and by openssl', async () => {
    await start({ EXPORT_KEY_PATH: signingKey() });
    const file = join(directory(), 'bundle.json');
    const text = await bundle(...ids);
    const verifier = join(ROOT, 'test/support/verify-bundle.py');
    const check = (content: string | Buffer, ...rest: readonly string[]) => {
      writeFileSync(file, content);
      return spawnSync('python3', [verifier, file, ...rest], { encoding: 'utf8' });
    };
    for (const rest of [[], ['--key', home.key]]) {
      const { status, stdout, stderr } = check(text, ...rest);
      expect(status, stderr).to.equal(0);
      expect((JSON.parse(stdout) as { incidents: unknown }).incidents).to.deep.equal(ids);
    }
    const redacted = redactBundle(readBundle(Buffer.from(text)), [`incident/${ids[0]}/evidence/*`]).text;
    expect(check(redacted).status).to.equal(0);
    const bytes = Buffer.from(text);
    for (let at = 5; at < bytes.length; at += Math.ceil(bytes.length / 12)) {
      const changed = Buffer.from(bytes);
      changed[at]! ^= 1;
      expect(check(changed).status, `byte ${at}`).to.equal(1);
    }
  });

  it('says what is missing of incidents with many lines, and places entries in a log of many tiles', async () => {
    await start();
    const { json } = await service.report({ dedup_key: 'much' });
    for (let n = 0; n < 2300; n += 100) {
      await Promise.all(Array.from({ length: 100 }, () => service.report({ dedup_key: 'much' })));
    }
    const text = await bundle(json.id, ids[0]!);
    const verdict = verdictOn(text);
    expect(verdict.faults).to.deep.equal([]);
    const [much, few] = manifestOf(text).incidents;
    expect(much!.missing!.entries)
      .to.equal(much!.version - much!.entries.length)
      .and.to.be.above(100);
    expect(much!.entries.length + few!.entries.length).to.equal(2000);
    expect(few!.missing).to.equal(undefined);
    // The tiles are known now.
    expect(verdictOn(await bundle(ids[0]!)).faults).to.deep.equal([]);
  });

  it('shows of long texts the beginning, and puts many keys of evidence together: it fits in memory', async () => {
    await start();
    const hidden = '\u202e'.repeat(40_000);
    const keys = Object.fromEntries(Array.from({ length: 6000 }, (_, at) => [`k${at}`, 1]));
    const [long, many] = [
      await service.report({ description: hidden, evidence: { excerpt: 'é'.repeat(60_000) } }),
      await service.report({ evidence: keys }),
    ];
    const text = await bundle(long.json.id, many.json.id, ids[0]!);
    const { fields } = JSON.parse(text) as Bundle;
    expect(verdictOn(text)).to.deep.include({ valid: true, left_out: [] });
    expect(fields.page!.value.length).to.be.below(800_000);
    expect(fields.page!.value)
      .to.include('characters more, which the bundle holds')
      .and.to.include('more are in the fields of the bundle');
    expect(JSON.parse(fields[`incident/${long.json.id}/description`]!.value)).to.equal(hidden);
    expect(JSON.parse(fields[`incident/${many.json.id}/evidence`]!.value)).to.deep.equal(keys);
    expect(fields).to.have.property(`incident/${ids[0]}/evidence/ip`);
  });

  it('is made with the new key after a rotation, and the old one does not prove it', async () => {
    await start();
    await service.stop();
    const made = join(directory(), 'new-key');
    writeFileSync(made, 'f'.repeat(64), { mode: 0o600 });
    const [oldHash, newHash] = [chainHash(readKey(home.key)), chainHash(readKey(made))];
    await rotateKey({ path: home.log, beside: home.log, oldHash, newHash, clock: systemClock });
    service = await LocalService.start(home, { env: { AUDIT_HMAC_KEY_PATH: made } });
    const text = await bundle(ids[0]!);
    expect(verifyBundle(Buffer.from(text), { hash: newHash }).faults).to.deep.equal([]);
    expect(verifyBundle(Buffer.from(text), { hash: oldHash }).valid).to.equal(false);
    expect(manifestOf(text).incidents[0]!.missing!.reason).to.equal('they are in the archive');
  });

  it('is not proved by a log without a key', async () => {
    await start({ AUDIT_HMAC_KEY_PATH: '' });
    const text = await bundle(ids[0]!);
    expect(manifestOf(text)).to.deep.include({ proofs: [], signer: null });
    expect(verdictOn(text, false).faults.join()).to.include('it carries no proof');
  });

  it('refuses what it can not make, and leaves nothing behind', async () => {
    await start();
    const status = async (query: string): Promise<unknown> => {
      const answer = await service.send('GET', `${PATH}${query}`);
      return [answer.status, (answer.json as { error: string }).error];
    };
    expect(await status('')).to.deep.equal([400, 'id parameter required']);
    expect(await status(`?id=${ids[0]}&id=${ids[0]}`)).to.deep.equal([400, 'each id may be given only once']);
    expect(await status(`?id=${ids[0]}&id=INC-20261122-000000000000`)).to.deep.equal([
      404,
      'incident INC-20261122-000000000000 is not on record',
    ]);
    expect(await status(`?id=${ids[0]}&format=pdf`)).to.have.property('0', 400);
    expect(execFileSync('ls', [home.directory], { encoding: 'utf8' })).to.not.include('bundle');
  });
});
