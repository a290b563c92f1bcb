import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { TokenFile } from '../src/access/token-file.ts';
import { systemClock } from '../src/clock.ts';
import { readKey } from '../src/audit/key.ts';
import { readConfig } from '../src/config.ts';
import { RecorderError } from '../src/errors.ts';
import { localUseNotice, prepareLocalUse } from '../src/local-use.ts';

const modeOf = (path: string): string => (statSync(path).mode & 0o777).toString(8);

const commandIn = (text: string): string => text.split('\n').at(-1)?.trim() ?? '';

describe('prepareLocalUse', () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'local-use-'));
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  const state = (name = ''): string => join(directory, 'var', name);

  it('makes a token and a key that only the user can read', async () => {
    await prepareLocalUse(directory);
    expect(readdirSync(state())).to.have.members(['service-token', 'audit-hmac-key']);
    expect(modeOf(state())).to.equal('700');
    for (const name of readdirSync(state())) expect(modeOf(state(name))).to.equal('600');
  });

  it('points the configuration at what it made', async () => {
    const config = readConfig(await prepareLocalUse(directory));
    expect(config.policyPath).to.equal(join(directory, 'policy', 'incident-containment.yaml'));
    expect(config.logPath).to.equal(state('incident-recorder-audit.jsonl'));
    expect(
      TokenFile.open(config.tokenPath, 'service token', systemClock).matches(
        readFileSync(state('service-token'), 'utf8').trim(),
      ),
    ).to.equal(true);
    expect(readKey(config.keyPath ?? '').toString()).to.match(/^[\da-f]{64}$/);
  });

  it('makes other secrets in another directory', async () => {
    await prepareLocalUse(directory);
    await prepareLocalUse(state('other'));
    for (const name of ['service-token', 'audit-hmac-key']) {
      expect(readFileSync(state(name))).not.to.deep.equal(readFileSync(state(join('other', 'var', name))));
    }
  });

  it('keeps what an earlier run left', async () => {
    await prepareLocalUse(directory);
    writeFileSync(state('incident-recorder-audit.jsonl'), 'entry\n');
    const before = ['service-token', 'audit-hmac-key'].map((name) => readFileSync(state(name), 'utf8'));
    await prepareLocalUse(directory);
    expect(['service-token', 'audit-hmac-key'].map((name) => readFileSync(state(name), 'utf8'))).to.deep.equal(before);
  });

  it('makes a new token when only that is gone', async () => {
    await prepareLocalUse(directory);
    writeFileSync(state('incident-recorder-audit.jsonl'), 'entry\n');
    rmSync(state('service-token'));
    await prepareLocalUse(directory);
    expect(readdirSync(state())).to.include('service-token');
  });

  it('gets past what a crash left half written', async () => {
    await prepareLocalUse(directory);
    rmSync(state('audit-hmac-key'));
    writeFileSync(state('audit-hmac-key.new'), 'half', { mode: 0o644 });
    await prepareLocalUse(directory);
    expect(readKey(state('audit-hmac-key'))).to.have.length(64);
    expect(modeOf(state('audit-hmac-key'))).to.equal('600');
  });

  for (const left of ['incident-recorder-audit.jsonl', 'incident-recorder-audit.jsonl.checkpoint']) {
    it(`given ${left} without the key, refuses to make another`, async () => {
      await prepareLocalUse(directory);
      writeFileSync(state(left), 'entry\n');
      rmSync(state('audit-hmac-key'));
      expect(await prepareLocalUse(directory).catch((error: unknown) => error))
        .to.be.instanceOf(RecorderError)
        .and.include({ code: 'config' })
        .with.property('message')
        .that.includes(`${state(left)} is there, but the audit key`);
      expect(readdirSync(state())).not.to.include('audit-hmac-key');
    });
  }
});

describe('localUseNotice', () => {
  const LOOPBACK = { kind: 'tcp', host: '127.0.0.1', port: 8515 } as const;
  const FILES = { logPath: '/home/me/recorder/var/audit.jsonl' };

  it('names the state, the console and a command ready to paste, with the token by the whole path of its file', () => {
    expect(
      localUseNotice(LOOPBACK, { ...FILES, tokenPath: '/home/me/recorder/var/service-token' }).split('\n'),
    ).to.deep.equal([
      'Local use: the state is kept in /home/me/recorder/var',
      'Console: http://127.0.0.1:8515/',
      'Report a first incident:',
      `  sed 's/^/Authorization: Bearer /' /home/me/recorder/var/service-token | curl -H @- --json ` +
        `'{"class":"prompt_injection","source":"try-out","description":"A first report"}' ` +
        'http://127.0.0.1:8515/api/v1/incidents/report',
    ]);
  });

  it('puts an IPv6 address in brackets', () => {
    const text = localUseNotice({ kind: 'tcp', host: '::1', port: 80 }, { ...FILES, tokenPath: '/t' });
    expect(text).to.include('Console: http://[::1]:80/\n');
    expect(commandIn(text)).to.include(' http://[::1]:80/api').and.include(' /t |');
  });

  it('over a unix socket, quotes paths for the shell and names no console', () => {
    const text = localUseNotice({ kind: 'unix', path: "/run/it's.sock" }, { ...FILES, tokenPath: '/my files/token' });
    expect(text).not.to.include('Console');
    expect(commandIn(text))
      .to.include(" '/my files/token' |")
      .and.include(String.raw` --unix-socket '/run/it'\''s.sock' http://localhost/api`);
  });
});
