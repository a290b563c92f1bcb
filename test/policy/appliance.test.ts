import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { MINUTE } from '../../src/clock.ts';
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
});
