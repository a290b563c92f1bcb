import { expect } from 'chai';
import { ROLES } from '../../machines/vocabulary.ts';
import { parseAccess } from '../../src/access/access-file.ts';
import type { RecorderError } from '../../src/errors.ts';

const HASH = 'a'.repeat(64);

const faultsOf = (text: string): readonly string[] => {
  try {
    parseAccess(text, 'access.yaml');
  } catch (error) {
    const { faults } = (error as RecorderError).fields as { faults: { line: number; message: string }[] };
    return faults.map(({ line, message }) => `${line}: ${message}`);
  }
  return [];
};

describe('an access file', () => {
  it('gives principals roles, and what they are bound to', () => {
    const { principals, service_token } = parseAccess(
      `version: 1
service_token: { roles: [reporter], sources: any, classes: [tool_call_burst] }
principals:
  ada@soc: { roles: [operator, recovery], token_sha256: ${HASH} }
  attestor:
    roles: [reporter]
    token_path: /run/attestor-token
    sources: [runtime-attestor]
    classes: [attestation_failure]
`,
      'access.yaml',
    );
    expect(service_token).to.deep.equal({ roles: ['reporter'], sources: 'any', classes: ['tool_call_burst'] });
    expect(principals).to.deep.equal({
      'ada@soc': { roles: ['operator', 'recovery'], token_sha256: HASH },
      attestor: {
        roles: ['reporter'],
        token_path: '/run/attestor-token',
        sources: ['runtime-attestor'],
        classes: ['attestation_failure'],
      },
    });
  });

  it('has the same digest however it is written', () => {
    const one = parseAccess(`version: 1\nprincipals:\n  ada: {roles: [operator], token_sha256: ${HASH}}\n`, 'a');
    const other = parseAccess(
      `# people\nprincipals:\n  ada:\n    token_sha256: "${HASH}"\n    roles:\n      - operator\nversion: 1\n`,
      'b',
    );
    expect(one.digest).to.equal(other.digest);
    const changed = parseAccess(`version: 1\nprincipals:\n  ada: {roles: [admin], token_sha256: ${HASH}}\n`, 'a');
    expect(changed.digest).not.to.equal(one.digest);
  });

  it('names the fleet, and what may be done from there', () => {
    const key = 'PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW';
    const { fleet_key, fleet } = parseAccess(
      `version: 1\nfleet_key: ${key}\nfleet: { machine: oven-3, roles: [operator], actions: [freeze_agent] }\n`,
      'a',
    );
    expect(fleet_key).to.equal(key);
    expect(fleet).to.deep.equal({ machine: 'oven-3', roles: ['operator'], actions: ['freeze_agent'] });
    expect(parseAccess(`version: 1\nfleet_key: ${key}\n`, 'a')).to.not.have.property('fleet');
  });

  for (const [what, text, faults] of [
    [
      'a fleet that nobody can know',
      'version: 1\nfleet: { machine: oven-3, roles: [operator] }\n',
      ['2: fleet: needs fleet_key: without it nobody knows what comes from the fleet'],
    ],
    [
      'a fleet that is not one',
      'version: 1\nfleet_key: abc\nfleet:\n  machine: a/b\n  roles: []\n  sources: any\n',
      [
        '2: fleet_key: must be the public key of the fleet (incident-recorder fleet pubkey): NAME+ID+BASE64',
        '4: fleet.machine: must be the name of this machine in the fleet: 1 to 128 letters, digits, ".", "_" or "-", and a letter or digit first',
        `5: fleet.roles: names no role; allowed: ${ROLES.join(', ')}`,
        '6: fleet.sources: unknown key "sources"; allowed: machine, roles, actions',
      ],
    ],
    [
      'a reporter who is bound to nothing',
      `version: 1\nprincipals:\n  a: {roles: [reporter], token_sha256: ${HASH}}\n`,
      [
        '3: principals.a: sources is missing: the role reporter needs a list of sources, or any',
        '3: principals.a: classes is missing: the role reporter needs a list of classes, or any',
      ],
    ],
    [
      'bounds that bind nothing',
      `version: 1\nprincipals:\n  a: {roles: [operator], sources: any, token_sha256: ${HASH}}\n`,
      ['3: principals.a.sources: is for the role reporter, which is not among the roles'],
    ],
    [
      'what it does not know, each by name and line',
      `version: 1
principals:
  a:
    roles: [operater]
    token_path: here
  b:
    roles: [implementer]
    actions: [freeze_agents, freeze_agent]
    token_sha256: abc
who: me
`,
      [
        '4: principals.a.roles[0]: unknown role "operater" (did you mean operator?); allowed: ' +
          'reader, reporter, implementer, operator, recovery, auditor, anchor, admin',
        '5: principals.a.token_path: must be an absolute path, found the text "here"',
        '8: principals.b.actions[0]: unknown action "freeze_agents" (did you mean freeze_agent?); allowed: ' +
          'freeze_agent, disable_airlock, force_vault_relock, quarantine_model, log_alert',
        '9: principals.b.token_sha256: must be the SHA-256 of a token: 64 lower-case hex digits',
        '10: who: unknown key "who"; allowed: version, service_token, principals, fleet_key, fleet',
      ],
    ],
    [
      'a principal without a token, or with two',
      `version: 1\nprincipals:\n  a: {roles: [operator]}\n  b: {roles: [admin], token_path: /t, token_sha256: ${HASH}}\n`,
      [
        '3: principals.a: needs a token: token_path, or token_sha256, and not both',
        '4: principals.b: needs a token: token_path, or token_sha256, and not both',
      ],
    ],
    [
      'two principals with one token',
      `version: 1\nprincipals:\n  a: {roles: [operator], token_path: /t}\n  b: {roles: [admin], token_path: /t}\n`,
      ['4: principals.b.token_path: is the token of a: each principal needs a token of its own'],
    ],
    [
      'roles that are none, or twice the same',
      `version: 1\nprincipals:\n  a: {roles: [], token_path: /t}\n  b: {roles: [admin, admin], token_path: /u}\n`,
      [
        '3: principals.a.roles: names no role; allowed: ' +
          'reader, reporter, implementer, operator, recovery, auditor, anchor, admin',
        '4: principals.b.roles: names a role twice',
      ],
    ],
    [
      'names that could be taken for others',
      `version: 1\nprincipals:\n  "a b": {roles: [admin], token_path: /t}\n  service-token: {roles: [admin], token_path: /u}\n`,
      [
        '3: principals["a b"]: must be named by 1 to 64 letters, digits, ".", "_", "@" or "-", and not service-token',
        '4: principals["service-token"]: must be named by 1 to 64 letters, digits, ".", "_", "@" or "-", ' +
          'and not service-token',
      ],
    ],
    [
      'mappings that have a length, in place of lists',
      `version: 1\nprincipals:\n  a: {roles: {length: {}}, token_path: /t}\n  b: {roles: [reporter], sources: {length: 3}, classes: [{length: {}}], token_path: /u}\n`,
      [
        '3: principals.a.roles: must be a list of roles ' +
          '(reader, reporter, implementer, operator, recovery, auditor, anchor, admin), found a mapping',
        '4: principals.b.sources: must be a list of sources, or any, found a mapping',
        '4: principals.b.classes[0]: must be one of attestation_failure, policy_bypass_attempt, manifest_mismatch, ' +
          'forbidden_airlock_request, prompt_injection, tool_call_burst, model_behavior_anomaly, integrity_violation, ' +
          'unauthorized_access, found a mapping',
      ],
    ],
    [
      'sources that are no names',
      `version: 1\nprincipals:\n  a: {roles: [reporter], sources: [[], b], classes: any, token_path: /t}\n`,
      ['3: principals.a.sources[0]: must be the name of a source, found a list'],
    ],
    [
      'a list',
      '- a\n',
      ['1: the file: must be a mapping of version, service_token, principals, fleet_key, fleet, found a list'],
    ],
    ['nothing', '', ['1: the file is empty; the least that it says is "version: 1", and then nobody may do anything']],
  ] as const) {
    it(`refuses ${what}`, () => {
      expect(faultsOf(text)).to.deep.equal(faults);
    });
  }
});
