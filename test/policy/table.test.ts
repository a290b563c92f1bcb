import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { CLASSES } from '../../machines/vocabulary.ts';
import { BUILT_IN_RULES } from '../../src/policy/defaults.ts';
import { HOUR, MINUTE } from '../../src/clock.ts';
import { digestPolicy } from '../../src/policy/digest.ts';
import { parsePolicy } from '../../src/policy/parse.ts';

/** The appliance's containment policy: class, contained at once or not, severity, actions in order. */
const TABLE = `
attestation_failure        yes  critical  freeze_agent disable_airlock force_vault_relock
policy_bypass_attempt      yes  high      freeze_agent log_alert
manifest_mismatch          yes  high      quarantine_model freeze_agent
forbidden_airlock_request  no   medium    log_alert
prompt_injection           yes  high      freeze_agent log_alert
tool_call_burst            yes  medium    freeze_agent
model_behavior_anomaly     yes  high      quarantine_model log_alert
integrity_violation        yes  critical  freeze_agent disable_airlock force_vault_relock
unauthorized_access        yes  critical  freeze_agent force_vault_relock log_alert
`;

const expected = Object.fromEntries(
  TABLE.trim()
    .split('\n')
    .map((row) => {
      const [name, automatic, default_severity, ...actions] = row.split(/ +/);
      return [name, { auto_contain: automatic === 'yes', actions, default_severity }];
    }),
);

const SHIPPED = 'policy/incident-containment.yaml';
const shippedText = readFileSync(new URL(`../../${SHIPPED}`, import.meta.url), 'utf8');

describe('the table of the nine classes', () => {
  it('is built in', () => {
    expect(BUILT_IN_RULES).to.deep.include(expected);
  });

  it('is shipped as a file, with every other class, rule for rule', () => {
    expect(parsePolicy(shippedText, SHIPPED).rules).to.deep.equal(BUILT_IN_RULES);
    for (const name of CLASSES) expect(shippedText).to.match(new RegExp(`^  ${name}:$`, 'm'));
  });

  it('has this digest, for as long as its rules stay what they are', () => {
    expect(sha256Of(expected)).to.equal('62620e39f43204abf0e34c849ff9f00518e182f594238ca33e62489747791fc1');
  });

  it('is named by the digest of all built-in rules, in the canonical form', () => {
    expect(
      digestPolicy({ rules: BUILT_IN_RULES, targets: {}, notify: [], attention_after: HOUR, overdue_after: MINUTE }),
    ).to.equal(sha256Of(BUILT_IN_RULES));
  });
});

/** SHA-256 over JSON with sorted keys, which is the canonical form of plain ASCII. */
const sha256Of = (rules: object): string =>
  createHash('sha256')
    .update(
      JSON.stringify(rules, (_, value: unknown) =>
        typeof value === 'object' && value !== null && !Array.isArray(value)
          ? Object.fromEntries(Object.entries(value).toSorted(([one], [other]) => (one < other ? -1 : 1)))
          : value,
      ),
    )
    .digest('hex');
