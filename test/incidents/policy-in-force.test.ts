import { readFileSync, renameSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { answering, listeningTargets } from '../support/target.ts';
import { localServices } from '../support/local-service.ts';
import { ServiceHome } from '../support/service-home.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';

const RULES = `version: 1
rules:
  forbidden_airlock_request: { auto_contain: true, actions: [disable_airlock], default_severity: critical }
`;
const TARGETS = `targets:
  disable_airlock: { engage: { url: "http://127.0.0.1:9/x", action: disable } }
notify: [ { url: "http://127.0.0.1:9/SECRET" } ]
`;

const isOfPolicy = (warning: string): boolean => !warning.startsWith('no access file');

describe('a reload of the policy', () => {
  const directory = temporaryDirectories();
  const start = localServices();
  const listen = listeningTargets();
  let home: ServiceHome;
  let policy: string;

  beforeEach(() => {
    home = new ServiceHome(directory());
    policy = join(home.directory, 'policy.yaml');
  });

  const begin = () => start(home, { env: { CONTAINMENT_POLICY_PATH: policy } });

  for (const [what, takeAway] of [
    ['missing', () => unlinkSync(policy)],
    [
      'a link to nothing',
      () => {
        renameSync(policy, `${policy}.kept`);
        symlinkSync('nothing', policy);
      },
    ],
    ['behind a directory that is gone', () => renameSync(join(policy, '..'), join(home.directory, 'moved'))],
  ] as const) {
    it(`given a file that is ${what}, then it keeps what is in force and says so`, async () => {
      policy = join(directory(), 'policy.yaml');
      writeFileSync(policy, `${RULES}${TARGETS}`);
      const service = await begin();
      const before = (await service.get('/api/v1/policy')).json;
      takeAway();
      const { status, json } = await service.post('/api/v1/reload');
      expect([status, json.error]).to.deep.equal([
        422,
        `containment policy refused:\n  ${policy}:1: the file is not there, or is a link to nothing; the policy in force stays`,
      ]);
      await service.reload();
      expect((await service.get('/api/v1/policy')).json).to.deep.equal(before);
      const warnings = async (): Promise<string> => (await service.get('/health')).json.warnings.join('\n');
      expect(await warnings()).to.include(
        `${policy} was missing or faulty at the last reload: the policy of ${before.loaded_at} stays in force`,
      );
      const report = { class: 'forbidden_airlock_request', source: 's', description: 'during the gap' };
      expect((await service.report(report)).json).to.include({ state: 'contained', severity: 'critical' });
      expect(readFileSync(home.log, 'utf8')).to.not.include('policy.reloaded');
    });
  }

  it('given a file that is there again, then it is in force, and the warning is gone', async () => {
    writeFileSync(policy, RULES);
    const service = await begin();
    unlinkSync(policy);
    await service.post('/api/v1/reload');
    writeFileSync(policy, RULES);
    const { status, json } = await service.post('/api/v1/reload');
    expect([status, json.removed, json.warnings.filter(isOfPolicy)]).to.deep.equal([200, [], []]);
  });

  it('given a file that was missing at the start already, then the built-in table stays in force', async () => {
    const service = await begin();
    const { status, json } = await service.post('/api/v1/reload');
    expect([status, json.policy.source]).to.deep.equal([200, 'built-in']);
    expect(json.warnings.join()).to.match(/^no policy file at/);
  });

  for (const [what, content] of [
    ['empty', ''],
    ['of NUL bytes', '\0'.repeat(4096)],
    ['cut within a value', `${RULES}${TARGETS}`.slice(0, -10)],
    ['of another format version', 'version: 2\n'],
  ] as const) {
    it(`given a file that is ${what}, then it keeps what is in force and says so`, async () => {
      writeFileSync(policy, `${RULES}${TARGETS}`);
      const service = await begin();
      const before = (await service.get('/api/v1/policy')).json;
      writeFileSync(policy, content);
      expect((await service.post('/api/v1/reload')).status).to.equal(422);
      expect((await service.get('/api/v1/policy')).json).to.deep.equal(before);
      expect((await service.get('/health')).json.warnings.join()).to.include(
        'was missing or faulty at the last reload',
      );
    });
  }

  it('given a file that was cut and is still a policy, then it names what is gone, until the next reload', async () => {
    writeFileSync(policy, `${RULES}${TARGETS}`);
    const service = await begin();
    writeFileSync(policy, 'version: 1\n');
    const { json } = await service.post('/api/v1/reload');
    expect(json.removed.map((part: string) => part.replace(/#[\da-f]{8}$/, '#'))).to.deep.equal([
      'rules.forbidden_airlock_request',
      'rules.forbidden_airlock_request.auto_contain',
      'rules.forbidden_airlock_request.actions.disable_airlock',
      'targets.disable_airlock',
      'notify.http://127.0.0.1:9#',
    ]);
    const warning = `the last reload took away ${json.removed.join(', ')}: if that was not meant, put it back and reload`;
    expect(json.warnings).to.include(warning);
    expect((await service.get('/health')).json.warnings).to.include(warning);
    const entries = readFileSync(home.log, 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(entries.find(({ event }) => event === 'policy.reloaded').data.removed).to.deep.equal(json.removed);
    expect(await service.said('took away')).to.include('targets.disable_airlock');
    const again = (await service.post('/api/v1/reload')).json;
    expect([again.removed, again.warnings.filter(isOfPolicy)]).to.deep.equal([[], []]);
    expect((await service.get('/health')).json.warnings).to.not.include(warning);
  });

  it('given a target that is gone while deliveries wait for it, then that is said until nothing waits', async () => {
    const agent = await listen(0, answering(503));
    const target = `targets: { freeze_agent: { engage: { url: "${agent.url('/')}", action: freeze } } }\n`;
    writeFileSync(policy, `version: 1\n${target}`);
    const service = await begin();
    await service.report({ class: 'tool_call_burst', source: 's', description: 'd' });
    await agent.receives(1);
    writeFileSync(policy, 'version: 1\n');
    const stranded = /the policy has no target for freeze_agent any more, and 1 delivery waits for it/;
    const { json } = await service.post('/api/v1/reload');
    expect(json.removed).to.deep.equal(['targets.freeze_agent']);
    expect(json.warnings.join()).to.match(stranded);
    await service.post('/api/v1/reload');
    const warnings = async (): Promise<string> => (await service.get('/health')).json.warnings.join();
    expect(await warnings()).to.match(stranded);
    expect((await service.post('/api/v1/containment/retry', { action: 'freeze_agent' })).json).to.include({
      retried: 1,
    });
    expect(await warnings()).to.not.match(/no target/);
  });
});
