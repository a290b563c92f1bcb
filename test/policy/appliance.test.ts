import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { CLASSES } from '../../machines/vocabulary.ts';
import { MINUTE, SECOND } from '../../src/clock.ts';
import { parsePolicy } from '../../src/policy/parse.ts';
import { ROOT } from '../support/programs.ts';

describe('the policy of the appliance', () => {
  const path = join(ROOT, 'policy/examples/appliance.yaml');

  it('raises an incident by the number of reports', () => {
    const { escalate = [] } = parsePolicy(readFileSync(path, 'utf8'), path);
    expect(escalate).to.deep.equal([
      { class: 'prompt_injection', reports: 3, within: 5 * MINUTE, to: 'critical' },
      { class: 'tool_call_burst', reports: 5, within: 1 * MINUTE, to: 'high' },
      { class: 'policy_bypass_attempt', reports: 2, within: 10 * MINUTE, to: 'critical' },
      { class: 'forbidden_airlock_request', reports: 5, within: 5 * MINUTE, to: 'high' },
      { class: 'model_behavior_anomaly', reports: 3, within: 15 * MINUTE, to: 'critical' },
    ]);
  });

  it('asks for an acknowledgement on the four latched classes, and contains what it contained', () => {
    const { rules } = parsePolicy(readFileSync(path, 'utf8'), path);
    const latched = CLASSES.filter((name) => rules[name].recovery !== undefined);
    expect(latched).to.have.members([
      'attestation_failure',
      'integrity_violation',
      'unauthorized_access',
      'manifest_mismatch',
    ]);
    for (const name of latched) expect(rules[name].recovery).to.deep.equal({ acknowledge: true });
    const shipped = join(ROOT, 'policy/incident-containment.yaml');
    const before = parsePolicy(readFileSync(shipped, 'utf8'), shipped).rules;
    for (const name of CLASSES)
      expect({ ...rules[name], recovery: undefined, answer_after: undefined }).to.deep.equal({
        ...before[name],
        recovery: undefined,
        answer_after: undefined,
      });
    expect(rules.integrity_violation).to.include({ answer_after: 35 * SECOND });
  });

  it('sends each action with the token of its own service, and nothing that undoes one', () => {
    const { targets, expect: guards = [] } = parsePolicy(readFileSync(path, 'utf8'), path);
    const tokens = '/run/credentials/secure-ai-incident-recorder.service';
    expect(Object.values(targets).map((target) => target?.release)).to.deep.equal(Array(4).fill('manual'));
    expect(targets.freeze_agent).to.include({
      timeout: 40 * SECOND,
      token_path: `${tokens}/agent-containment-token`,
    });
    expect(targets.disable_airlock).to.include({ token_path: `${tokens}/airlock-containment-token` });
    expect(targets.quarantine_model).to.deep.include({
      token_path: `${tokens}/registry-containment-token`,
      done_when: [404],
    });
    expect(targets.force_vault_relock?.broker).to.include({ action: 'relock' });
    expect(guards.map(({ source }) => source)).to.have.members([
      'runtime-attestor',
      'integrity-monitor',
      'canary-tripwire',
      'gpu-integrity-watch',
    ]);
  });
});
