import { expect } from 'chai';
import { type BindAddress, readConfig } from '../src/config.ts';
import { RecorderError } from '../src/errors.ts';

const faultsOf = (env: Readonly<Record<string, string>>): readonly string[] => {
  try {
    readConfig(env);
    return [];
  } catch (error) {
    if (error instanceof RecorderError && error.code === 'config') return error.fields['faults'] as string[];
    throw error;
  }
};

const tcp = (host: string, port: number): BindAddress => ({ kind: 'tcp', host, port });

/** Addresses that BIND_ADDR can't have. */
const MALFORMED =
  '8515 :8515 127.0.0.1 127.0.0.1: 127.0.0.1:65536 127.0.0.1:-1 ::1:8515 [::1] [::g]:1 [127.0.0.1]:1 http://[::1]:1'
    .split(' ')
    .concat('127.0.0.1:8515 ', 'local host:8515');

describe('readConfig', () => {
  it('has a value for everything that is not set', () => {
    expect(readConfig({})).to.deep.equal({
      bind: [{ kind: 'tcp', host: '127.0.0.1', port: 8515 }],
      allowNonLoopback: false,
      policyPath: '/etc/secure-ai/policy/incident-containment.yaml',
      logPath: '/var/lib/secure-ai/logs/incident-recorder-audit.jsonl',
      tokenPath: '/run/secure-ai/service-token',
      accessPath: '/etc/secure-ai/policy/incident-access.yaml',
      keyPath: undefined,
      sharedLogDirectory: false,
      stateDirectory: undefined,
      trustedBelow: '/',
      readAccess: 'open',
      readEvidence: 'open',
      maxBodyBytes: 256 * 1024,
      segmentBytes: 64 * 1024 * 1024,
      liveActors: 512,
      logLevel: 'info',
      attestor: undefined,
    });
  });

  it('takes what is set', () => {
    expect(
      readConfig({
        BIND_ADDR: 'unix:/run/recorder.sock',
        ALLOW_NON_LOOPBACK: '1',
        CONTAINMENT_POLICY_PATH: '/p',
        AUDIT_LOG_PATH: '/l',
        SERVICE_TOKEN_PATH: '/t',
        ACCESS_PATH: 'none',
        AUDIT_HMAC_KEY_PATH: '/k',
        FORENSIC_HMAC_KEY_PATH: '/f',
        READ_ACCESS: 'token',
        ALLOW_SHARED_LOG_DIRECTORY: '1',
        STATE_DIRECTORY: '/s',
        READ_EVIDENCE: 'restricted',
        MAX_BODY_BYTES: '65536',
        AUDIT_SEGMENT_BYTES: '1024',
        LIVE_ACTORS: '1',
        LOG_LEVEL: 'silent',
        RUNTIME_ATTESTOR_URL: 'http://[::1]:8505/attestor/',
        RUNTIME_ATTESTOR_TOKEN_PATH: '/a',
        ATTESTATION_HMAC_KEY_PATH: '/h',
      }),
    ).to.deep.equal({
      bind: [{ kind: 'unix', path: '/run/recorder.sock' }],
      allowNonLoopback: true,
      policyPath: '/p',
      logPath: '/l',
      tokenPath: '/t',
      accessPath: 'none',
      keyPath: '/k',
      forensicKeyPath: '/f',
      sharedLogDirectory: true,
      stateDirectory: '/s',
      trustedBelow: '/',
      readAccess: 'token',
      readEvidence: 'restricted',
      maxBodyBytes: 65_536,
      segmentBytes: 1024,
      liveActors: 1,
      logLevel: 'silent',
      attestor: { host: '::1', port: 8505, path: '/attestor', tokenPath: '/a', keyPath: '/h' },
    });
  });

  it('treats an empty variable as not set', () => {
    const names = [
      'BIND_ADDR',
      'ALLOW_NON_LOOPBACK',
      'CONTAINMENT_POLICY_PATH',
      'AUDIT_LOG_PATH',
      'SERVICE_TOKEN_PATH',
      'ACCESS_PATH',
      'READ_ACCESS',
      'ALLOW_SHARED_LOG_DIRECTORY',
      'STATE_DIRECTORY',
      'MAX_BODY_BYTES',
    ];
    const empty = [
      ...names,
      'AUDIT_HMAC_KEY_PATH',
      'FORENSIC_HMAC_KEY_PATH',
      'AUDIT_SEGMENT_BYTES',
      'LIVE_ACTORS',
      'LOG_LEVEL',
    ].map((name) => [name, '']);
    expect(readConfig(Object.fromEntries(empty) as Record<string, string>)).to.deep.equal(readConfig({}));
  });

  describe('the attestor', () => {
    const files = { RUNTIME_ATTESTOR_TOKEN_PATH: '/t', ATTESTATION_HMAC_KEY_PATH: '/k' };

    for (const [text, host, port, path] of [
      ['http://127.0.0.1:8505', '127.0.0.1', 8505, ''],
      ['http://127.0.0.1:8505/', '127.0.0.1', 8505, ''],
      ['http://127.255.255.254', '127.255.255.254', 80, ''],
      ['http://[::1]:1/a/b.c', '::1', 1, '/a/b.c'],
    ] as const) {
      it(`may be at ${text}`, () => {
        expect(readConfig({ RUNTIME_ATTESTOR_URL: text, ...files }).attestor).to.deep.equal({
          host,
          port,
          path,
          tokenPath: '/t',
          keyPath: '/k',
        });
      });
    }

    for (const text of [
      'http://localhost:8505',
      'http://10.0.0.7:8505',
      'http://128.0.0.1:8505',
      'http://0.0.0.0:8505',
      'http://[::]:8505',
      'http://[::ffff:127.0.0.1]:8505',
      'http://127.1:8505',
      'http://127.0.0.256:8505',
      'http://127.0.0.01:8505',
      'http://2130706433:8505',
      'http://0x7f.0.0.1:8505',
      'http://127.0.0.1.example.org:8505',
      'http://127.0.0.1@example.org:8505',
      'http://user:secret@127.0.0.1:8505',
      'http://127.0.0.1:0',
      'http://127.0.0.1:65536',
      'http://127.0.0.1:8505/?a=b',
      'http://127.0.0.1:8505/#a',
      'http://127.0.0.1:8505//x',
      'https://127.0.0.1:8505',
      'HTTP://127.0.0.1:8505',
      'unix:/run/attestor.sock:/',
      '127.0.0.1:8505',
      'http://127.0.0.1:8505\n',
      'http://',
    ]) {
      it(`may not be at ${JSON.stringify(text)}`, () => {
        expect(faultsOf({ RUNTIME_ATTESTOR_URL: text, ...files })).to.deep.equal([
          `RUNTIME_ATTESTOR_URL must be http://127.x.x.x:port or http://[::1]:port, by number, not ${JSON.stringify(text)}`,
        ]);
      });
    }

    it('is where that of the appliance listens when only its files are named', () => {
      expect(readConfig(files).attestor).to.include({ host: '127.0.0.1', port: 8505, path: '' });
    });

    it('needs a token and a key', () => {
      const url = { RUNTIME_ATTESTOR_URL: 'http://127.0.0.1:8505' };
      expect(faultsOf(url).map((fault) => fault.split(' ')[0])).to.deep.equal([
        'RUNTIME_ATTESTOR_TOKEN_PATH',
        'ATTESTATION_HMAC_KEY_PATH',
      ]);
      expect(faultsOf({ ...url, ...files, ATTESTATION_HMAC_KEY_PATH: 'key' })).to.deep.equal([
        'ATTESTATION_HMAC_KEY_PATH must be an absolute path, not "key"',
      ]);
    });
  });

  describe('BIND_ADDR', () => {
    for (const [text, address] of [
      ['127.0.0.1:0', tcp('127.0.0.1', 0)],
      ['127.255.255.254:65535', tcp('127.255.255.254', 65535)],
      ['localhost:80', tcp('localhost', 80)],
      ['[::1]:8515', tcp('::1', 8515)],
      ['[0:0:0:0:0:0:0:1]:8515', tcp('0:0:0:0:0:0:0:1', 8515)],
      ['unix:/run/a b.sock', { kind: 'unix', path: '/run/a b.sock' }],
      [`unix:/${'s'.repeat(106)}`, { kind: 'unix', path: `/${'s'.repeat(106)}` }],
    ] as const) {
      it(`takes ${text}`, () => {
        expect(readConfig({ BIND_ADDR: text }).bind).to.deep.equal([address]);
      });
    }

    for (const text of [
      '0.0.0.0:8515',
      '[::]:8515',
      '10.0.0.7:8515',
      '[fe80::1]:8515',
      'example.org:8515',
      '127.1:8515',
    ]) {
      it(`takes ${text} only when other machines are meant to reach it`, () => {
        expect(faultsOf({ BIND_ADDR: text })).to.have.length(1);
        expect(faultsOf({ BIND_ADDR: text })[0]).to.match(/^BIND_ADDR must be on the loopback.*ALLOW_NON_LOOPBACK=1/);
        expect(readConfig({ BIND_ADDR: text, ALLOW_NON_LOOPBACK: '1' }).bind[0]).to.include({ kind: 'tcp' });
      });
    }

    for (const text of MALFORMED) {
      it(`refuses ${JSON.stringify(text)}`, () => {
        const faults = faultsOf({ BIND_ADDR: text, ALLOW_NON_LOOPBACK: '1' });
        expect(faults).to.deep.equal([
          `BIND_ADDR must be host:port, [::1]:port or unix:/path, not ${JSON.stringify(text)}`,
        ]);
      });
    }

    it('takes several addresses, each once', () => {
      const { bind } = readConfig({ BIND_ADDR: '127.0.0.1:8515,[::1]:8515,unix:/run/recorder.sock' });
      expect(bind).to.deep.equal([
        tcp('127.0.0.1', 8515),
        tcp('::1', 8515),
        { kind: 'unix', path: '/run/recorder.sock' },
      ]);
      expect(faultsOf({ BIND_ADDR: '127.0.0.1:8515,127.0.0.1:8515' })).to.deep.equal([
        'BIND_ADDR names "127.0.0.1:8515" twice',
      ]);
      expect(faultsOf({ BIND_ADDR: '127.0.0.1:8515,,unix:s' })).to.have.length(2);
      expect(faultsOf({ BIND_ADDR: '127.0.0.1:8515,0.0.0.0:8516' })[0]).to.include('must be on the loopback');
    });

    it('refuses a socket path that is relative or longer than the system can bind', () => {
      expect(faultsOf({ BIND_ADDR: 'unix:run/sock' })[0]).to.include('absolute');
      expect(faultsOf({ BIND_ADDR: 'unix:' })[0]).to.include('absolute');
      expect(faultsOf({ BIND_ADDR: `unix:/${'é'.repeat(54)}` })[0]).to.include('at most 107 bytes');
    });
  });

  describe('sockets that systemd passes', () => {
    const passed = { LISTEN_PID: String(process.pid), LISTEN_FDS: '2', LISTEN_FDNAMES: 'tcp:unix' };
    const sockets = [
      { kind: 'inherited', fd: 3, name: 'tcp', loopbackOnly: true },
      { kind: 'inherited', fd: 4, name: 'unix', loopbackOnly: true },
    ];

    it('are where it listens, before what BIND_ADDR names', () => {
      expect(readConfig(passed).bind).to.deep.equal(sockets);
      expect(readConfig({ ...passed, BIND_ADDR: '127.0.0.1:1' }).bind).to.deep.equal([...sockets, tcp('127.0.0.1', 1)]);
      expect(readConfig({ ...passed, ALLOW_NON_LOOPBACK: '1' }).bind[0]).to.include({ loopbackOnly: false });
    });

    it('need no names', () => {
      expect(readConfig({ ...passed, LISTEN_FDNAMES: '' }).bind).to.deep.equal(
        sockets.map((one) => ({ ...one, name: '' })),
      );
    });

    it('are not taken when they are for another process', () => {
      for (const other of [{ LISTEN_PID: '1' }, { LISTEN_PID: '' }, { LISTEN_FDS: '0' }, { LISTEN_FDS: 'x' }]) {
        expect(readConfig({ ...passed, ...other }).bind).to.deep.equal([tcp('127.0.0.1', 8515)]);
      }
    });
  });

  for (const [name, values] of Object.entries({
    ALLOW_NON_LOOPBACK: ['true', 'yes', '2', ' 1'],
    MAX_BODY_BYTES: ['0', '1023', '262145', '256k'],
    LIVE_ACTORS: ['0', '-1', '1.5', '1e3', '100001', '9'.repeat(400), 'many', ' 5'],
    LOG_LEVEL: ['verbose', 'INFO', 'constructor'],
    CONTAINMENT_POLICY_PATH: ['policy.yaml', './p', '/a\0b'],
    AUDIT_LOG_PATH: ['log'],
    SERVICE_TOKEN_PATH: ['~/token'],
    ACCESS_PATH: ['access.yaml', 'None'],
    AUDIT_HMAC_KEY_PATH: ['key'],
    FORENSIC_HMAC_KEY_PATH: ['key'],
  })) {
    for (const value of values) {
      it(`refuses ${name}=${JSON.stringify(value.slice(0, 20))}`, () => {
        const faults = faultsOf({ [name]: value });
        expect(faults).to.have.length(1);
        expect(faults[0])
          .to.match(new RegExp(`^${name} must be `))
          .and.have.length.below(200);
      });
    }
  }

  it('names every fault at once', () => {
    const env = { BIND_ADDR: '0.0.0.0:1', ALLOW_NON_LOOPBACK: 'on', AUDIT_LOG_PATH: 'log', LOG_LEVEL: 'loud' };
    const named = faultsOf(env).map((fault) => fault.split(' ')[0]);
    expect(named).to.have.members(Object.keys(env));
    expect(() => readConfig(env)).to.throw(RecorderError, faultsOf(env).join('\n'));
  });
});
