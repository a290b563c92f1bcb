import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { systemClock } from '../../src/clock.ts';
import { readConfig } from '../../src/config.ts';
import { RecorderError } from '../../src/errors.ts';
import { digestPolicy } from '../../src/policy/digest.ts';
import { loadPolicy } from '../../src/policy/load.ts';
import { policyDocument } from '../../src/policy/document.ts';
import type { Targets } from '../../src/policy/targets.ts';
import { localServices } from '../support/local-service.ts';
import { ServiceHome } from '../support/service-home.ts';
import { listeningTargets } from '../support/target.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';

const CREDENTIALS = '/run/credentials/secure-ai-incident-recorder.service';
/** What the appliance's own unit sets. */
const UNIT = {
  AIRLOCK_CONTAINMENT_TOKEN_PATH: `${CREDENTIALS}/airlock-containment-token`,
  REGISTRY_CONTAINMENT_TOKEN_PATH: `${CREDENTIALS}/registry-containment-token`,
  AGENT_CONTAINMENT_TOKEN_PATH: `${CREDENTIALS}/agent-containment-token`,
  AGENT_SOCKET: '/run/secure-ai/agent/agent.sock',
  VAULT_RELOCK_REQUEST_DIR: '/run/secure-ai/vault-control/requests',
  VAULT_RELOCK_RESULT_DIR: '/run/secure-ai/vault-control/results',
};

const faultsOf = (env: Readonly<Record<string, string>>): readonly string[] => {
  try {
    readConfig(env);
    return [];
  } catch (error) {
    if (error instanceof RecorderError && error.code === 'config') return error.fields['faults'] as string[];
    throw error;
  }
};

/** Where each action is sent, its token, and how it is released. */
const shown = (targets: Targets = {}): object =>
  Object.fromEntries(
    Object.entries(targets).map(([action, target]) => [
      action,
      [target?.engage?.url.text ?? target?.broker, target?.engage?.action, target?.token_path, target?.release],
    ]),
  );

describe('the targets that the environment names', () => {
  const directory = temporaryDirectories();

  it('are those of the appliance with what its unit sets: a token alone stands for its own address', () => {
    const { environmentTargets: targets } = readConfig(UNIT);
    expect(shown(targets)).to.deep.equal({
      freeze_agent: [
        'unix:/run/secure-ai/agent/agent.sock:/api/v1/freeze',
        'freeze',
        UNIT.AGENT_CONTAINMENT_TOKEN_PATH,
        'manual',
      ],
      disable_airlock: [
        'http://127.0.0.1:8490/api/v1/disable',
        'disable',
        UNIT.AIRLOCK_CONTAINMENT_TOKEN_PATH,
        'manual',
      ],
      quarantine_model: [
        'http://127.0.0.1:8470/api/v1/quarantine',
        'quarantine',
        UNIT.REGISTRY_CONTAINMENT_TOKEN_PATH,
        'manual',
      ],
      force_vault_relock: [
        { requests: UNIT.VAULT_RELOCK_REQUEST_DIR, results: UNIT.VAULT_RELOCK_RESULT_DIR, action: 'relock' },
        undefined,
        undefined,
        'manual',
      ],
    });
    expect(targets?.quarantine_model?.done_when).to.deep.equal([404]);
    expect(targets?.freeze_agent).to.not.have.property('done_when');
  });

  it('are none where it names no service', () => {
    expect(readConfig({})).to.not.have.property('environmentTargets');
    expect(readConfig({ AGENT_SOCKET: '', AIRLOCK_URL: '' })).to.not.have.property('environmentTargets');
  });

  it('may be elsewhere, with a slash at the end of a URL or without, and without a token', () => {
    for (const url of [
      'http://127.0.0.1:9490',
      'http://127.0.0.1:9490/',
      'http://[::1]:9490',
      'http://localhost:9490',
    ]) {
      const { environmentTargets: targets } = readConfig({ AIRLOCK_URL: url });
      expect(shown(targets)).to.deep.equal({
        disable_airlock: [`${url.replace(/\/$/, '')}/api/v1/disable`, 'disable', undefined, 'manual'],
      });
    }
    const elsewhere = { REGISTRY_URL: 'https://registry.example', ALLOW_NON_LOOPBACK: '1' };
    expect(shown(readConfig(elsewhere).environmentTargets)).to.deep.equal({
      quarantine_model: ['https://registry.example/api/v1/quarantine', 'quarantine', undefined, 'manual'],
    });
  });

  for (const [env, fault] of [
    [{ AGENT_SOCKET: 'agent.sock' }, /^AGENT_SOCKET must be an absolute path, not "agent.sock"$/],
    [{ AGENT_SOCKET: `/${'a'.repeat(107)}` }, /^AGENT_SOCKET must be the absolute path of a unix socket/],
    [{ AGENT_SOCKET: '/run/a:b' }, /^AGENT_SOCKET must be the absolute path .* without ":"/],
    [{ AGENT_CONTAINMENT_TOKEN_PATH: 'token' }, /^AGENT_CONTAINMENT_TOKEN_PATH must be an absolute path/],
    [{ AIRLOCK_CONTAINMENT_TOKEN_PATH: 'token' }, /^AIRLOCK_CONTAINMENT_TOKEN_PATH must be an absolute path/],
    [{ REGISTRY_CONTAINMENT_TOKEN_PATH: './token' }, /^REGISTRY_CONTAINMENT_TOKEN_PATH must be an absolute path/],
    [{ AIRLOCK_URL: 'airlock' }, /^AIRLOCK_URL must be http:.* not "airlock"$/],
    [{ AIRLOCK_URL: '127.0.0.1:8490' }, /^AIRLOCK_URL must be http:/],
    [{ AIRLOCK_URL: 'http://127.0.0.1:8490/api' }, /^AIRLOCK_URL must be http:.* without a path/],
    [{ AIRLOCK_URL: 'http://127.0.0.1:8490/?a=b' }, /^AIRLOCK_URL must be http:/],
    [{ AIRLOCK_URL: 'http://me@127.0.0.1:8490' }, /^AIRLOCK_URL must be http:/],
    [{ AIRLOCK_URL: 'http://10.0.0.1:8490' }, /^AIRLOCK_URL is not on this machine .*ALLOW_NON_LOOPBACK=1/],
    [{ REGISTRY_URL: 'http://registry.example' }, /^REGISTRY_URL is not on this machine/],
    [{ REGISTRY_URL: 'https://127.0.0.1:8470' }, /^REGISTRY_URL must be .*https is for services on other machines/],
    [{ VAULT_RELOCK_REQUEST_DIR: '/requests' }, /^VAULT_RELOCK_REQUEST_DIR needs VAULT_RELOCK_RESULT_DIR/],
    [{ VAULT_RELOCK_RESULT_DIR: '/results' }, /^VAULT_RELOCK_RESULT_DIR needs VAULT_RELOCK_REQUEST_DIR/],
    [
      { VAULT_RELOCK_RESULT_DIR: '/results', VAULT_RELOCK_REQUEST_DIR: 'requests' },
      /^VAULT_RELOCK_REQUEST_DIR must be an absolute path/,
    ],
  ] as const) {
    it(`are refused for ${JSON.stringify(env).slice(0, 70)}`, () => {
      const faults = faultsOf(env);
      expect(faults).to.have.length(1);
      expect(faults[0]).to.match(fault);
    });
  }

  it('give way to those of the policy file, which alone has the digest, and are shown as what they are', () => {
    const path = join(directory(), 'policy.yaml');
    writeFileSync(
      path,
      'version: 1\ntargets: { freeze_agent: { engage: { url: "http://127.0.0.1:1/", action: freeze } } }\n',
    );
    const alone = loadPolicy(path, systemClock);
    const policy = loadPolicy(path, systemClock, false, readConfig(UNIT).environmentTargets);
    expect(policy.targets.freeze_agent).to.deep.equal(alone.targets.freeze_agent);
    expect(policy.from_environment).to.deep.equal(['disable_airlock', 'force_vault_relock', 'quarantine_model']);
    expect([policy.digest, policy.parts]).to.deep.equal([alone.digest, alone.parts]);
    expect(alone.digest).to.equal(digestPolicy(alone));
    const { targets } = policyDocument(policy);
    expect(targets.freeze_agent).to.not.have.property('from');
    expect(targets.disable_airlock).to.include({ from: 'environment', release: 'manual' });
  });

  describe('of a running service', () => {
    const start = localServices();
    const listen = listeningTargets();

    it('get what is asked for, with their token, and health and policy say where they come from', async () => {
      const home = new ServiceHome(directory());
      const airlock = await listen();
      const token = join(home.directory, 'airlock-token');
      writeFileSync(token, 'the-token-of-the-airlock\n', { mode: 0o600 });
      const env = { AIRLOCK_URL: airlock.url('/'), AIRLOCK_CONTAINMENT_TOKEN_PATH: token };
      const service = await start(home, { env });
      const { id } = (await service.report({ class: 'attestation_failure' })).json;
      const [received] = await airlock.receives(1);
      expect(received).to.deep.include({
        path: '/api/v1/disable',
        body: { action: 'disable', incident_id: id, reason: 'attestation_failure: a test report' },
      });
      expect(received?.headers.authorization).to.equal('Bearer the-token-of-the-airlock');
      expect((await service.get('/health')).json.policy.targets_from_environment).to.deep.equal(['disable_airlock']);
      expect((await service.get('/api/v1/policy')).json.targets.disable_airlock).to.include({ from: 'environment' });
      expect((await service.post('/api/v1/reload')).json).to.include({ status: 'reloaded' });
      expect((await service.get('/health')).json.policy.targets_from_environment).to.deep.equal(['disable_airlock']);
      const started = readFileSync(home.log, 'utf8')
        .split('\n')
        .find((line) => line.includes('service.started'));
      expect(JSON.parse(started ?? '{}').data.policy.targets_from_environment).to.deep.equal(['disable_airlock']);
    });
  });
});
