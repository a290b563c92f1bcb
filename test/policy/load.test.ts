import { chmodSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { RecorderError } from '../../src/errors.ts';
import { BUILT_IN_RULES } from '../../src/policy/defaults.ts';
import { loadPolicy } from '../../src/policy/load.ts';

const clock = { now: () => Date.UTC(2026, 10, 22, 7, 12, 0, 123), monotonic: () => 0 };

describe('loading the policy', () => {
  let folder: string;
  let path: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'policy-'));
    path = join(folder, 'incident-containment.yaml');
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  const load = (file = path) => loadPolicy(file, clock);

  const expectRefusal = (message: RegExp, file = path) =>
    expect(() => load(file))
      .to.throw(RecorderError, message)
      .with.property('code', 'invalid_policy');

  it('returns the rules of the file, with its path and the time', () => {
    writeFileSync(path, 'version: 1\nrules: {tool_call_burst: {auto_contain: false}}\n');

    const policy = load();

    expect(policy).to.include({ version: 1, source: 'file', path, loaded_at: '2026-11-22T07:12:00.123Z' });
    expect(policy.rules.tool_call_burst.auto_contain).to.equal(false);
    expect(policy.rules.prompt_injection).to.deep.equal(BUILT_IN_RULES.prompt_injection);
  });

  it('returns the built-in rules when there is no file', () => {
    expect(load()).to.deep.include({ source: 'built-in', path: undefined, rules: BUILT_IN_RULES });
  });

  it('gives equal rules the same digest, and other rules another', () => {
    const digests = [
      'version: 1',
      '# the same\nrules: {}\nversion: 1',
      'version: 1\nrules: {tool_call_burst: {auto_contain: false}}',
    ].map((text) => {
      writeFileSync(path, text);
      return load().digest;
    });

    expect(digests[0]).to.match(/^[0-9a-f]{64}$/);
    expect(digests[1]).to.equal(digests[0]);
    expect(digests[2]).to.not.equal(digests[0]);
    expect(load(join(folder, 'missing.yaml')).digest).to.equal(digests[0]);
  });

  it('gives another digest when targets or webhooks differ', () => {
    const target = (port: number) => `targets: {freeze_agent: {engage: {url: "http://127.0.0.1:${port}/", action: x}}}`;
    const digests = [
      'rules: {}',
      target(1),
      target(2),
      `${target(1)}\nnotify: [{url: "http://127.0.0.1:1/"}]`,
      `${target(1)}\nnotify: [{url: "http://127.0.0.1:1/", events: [alert.raised]}]`,
    ].map((text) => {
      writeFileSync(path, `version: 1\n${text}\n`);
      return load().digest;
    });

    expect(new Set(digests)).to.have.property('size', digests.length);
    expect(digests[0]).to.equal(load(join(folder, 'missing.yaml')).digest);
  });

  it('names the file in the faults', () => {
    writeFileSync(path, 'version: 1\nrule: {}\n');

    expectRefusal(/incident-containment\.yaml:2: rule: unknown key "rule"/);
  });

  it('refuses a folder, a path through a file and a link in a circle', () => {
    const circle = join(folder, 'circle');
    symlinkSync(circle, circle);
    writeFileSync(path, 'version: 1\n');

    expectRefusal(/can't be read: it is not a regular file/, folder);
    expectRefusal(/can't be read: ENOTDIR/, join(path, 'further'));
    expectRefusal(/can't be read: ELOOP/, circle);
  });

  it('refuses a file that it may not read', () => {
    writeFileSync(path, 'version: 1\n');
    chmodSync(path, 0);
    const asRoot = process.geteuid?.() === 0;

    // Root may read everything, so it steps aside as nobody.
    if (asRoot) process.seteuid?.(65534);
    try {
      expectRefusal(/can't be read: EACCES/);
    } finally {
      if (asRoot) process.seteuid?.(0);
    }
  });

  it('takes a file of 256 KiB and refuses a longer one', () => {
    writeFileSync(path, 'version: 1\n#'.padEnd(256 * 1024, '.'));
    expect(load().source).to.equal('file');

    writeFileSync(path, 'version: 1\n#'.padEnd(256 * 1024 + 1, '.'));
    expectRefusal(/it has 262145 bytes; at most 262144 are allowed/);
  });

  it('refuses bytes that are not UTF-8, with their line', () => {
    writeFileSync(path, Buffer.from('version: 1\n# caf\xe9\n', 'latin1'));

    expectRefusal(/incident-containment\.yaml:2: .*not UTF-8/);
  });
});
