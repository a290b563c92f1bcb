import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { begin } from '../../machines/decision.ts';
import { missingSteps } from '../../machines/incident.ts';
import { CLASSES } from '../../machines/vocabulary.ts';
import { BUILT_IN_RULES } from '../../src/policy/defaults.ts';
import { digestPolicy } from '../../src/policy/digest.ts';
import { parseFile, parsePolicy } from '../../src/policy/parse.ts';
import { partsOf, removedParts } from '../../src/policy/parts.ts';
import { ROOT } from '../support/programs.ts';

const policy = (recovery: string) => `version: 1\nrules:\n  tool_call_burst:\n    recovery: ${recovery}\n`;
const parsed = (recovery: string) => parsePolicy(policy(recovery), 'policy.yaml');
const digestOf = (recovery: string): string => digestPolicy(parsed(recovery));
const faultOf = (recovery: string): string => {
  try {
    parsed(recovery);
  } catch (error) {
    return (error as Error).message;
  }
  return 'none';
};

describe('the recovery in a policy', () => {
  it('is asked for by no built-in rule', () => {
    for (const rule of Object.values(BUILT_IN_RULES)) expect(rule).to.not.have.property('recovery');
    const shipped = parsePolicy(readFileSync(join(ROOT, 'policy/incident-containment.yaml'), 'utf8'), 'policy.yaml');
    for (const name of CLASSES) expect(shipped.rules[name]).to.not.have.property('recovery');
  });

  it('has only the steps that are asked for', () => {
    expect(parsed('{ acknowledge: true }').rules.tool_call_burst.recovery).to.deep.equal({ acknowledge: true });
    expect(parsed('{ attest: true, acknowledge: false }').rules.tool_call_burst.recovery).to.deep.equal({
      attest: true,
    });
    expect(parsed('{ attest: false }').rules.tool_call_burst).to.not.have.property('recovery');
    expect(parsed('{}').rules.tool_call_burst).to.not.have.property('recovery');
    // Without a step there is nothing to be done from anywhere.
    expect(parsed('{ from_fleet: true }').rules.tool_call_burst).to.not.have.property('recovery');
    expect(parsed('{ attest: true, from_fleet: false }').rules.tool_call_burst.recovery).to.deep.equal({
      attest: true,
    });
    expect(parsed('{ attest: true, from_fleet: true }').rules.tool_call_burst.recovery).to.deep.equal({
      attest: true,
      from_fleet: true,
    });
  });

  it('is part of the digest when it asks for something, and else leaves it as it is', () => {
    const plain = digestPolicy(parsePolicy('version: 1\n', 'policy.yaml'));
    expect(['{}', '{ attest: false }'].map(digestOf)).to.deep.equal([plain, plain]);
    const asking = ['{ acknowledge: true }', '{ attest: true }', '{ acknowledge: true, attest: true }'].map(digestOf);
    expect(new Set([plain, ...asking])).to.have.property('size', 4);
    expect(digestOf('{ attest: true, acknowledge: true }')).to.equal(asking[2]);
  });

  it('is named when it is gone', () => {
    const [both, one] = ['{ acknowledge: true, attest: true }', '{ attest: true }'].map((recovery) => {
      const { content, classes } = parseFile(policy(recovery), 'policy.yaml');
      return partsOf(content, classes);
    });
    expect(removedParts(both!, one!)).to.deep.equal(['rules.tool_call_burst.recovery.acknowledge']);
  });

  it('is refused with its line where it says something else', () => {
    expect(faultOf('{ acknowledge: yes }')).to.include(
      'policy.yaml:4: rules.tool_call_burst.recovery.acknowledge: must',
    );
    expect(faultOf('{ ack: true }')).to.include('unknown step "ack"').and.include('allowed: acknowledge, attest');
    expect(faultOf('true')).to.include('must be a mapping of acknowledge, attest, from_fleet, found true');
  });

  it('of the appliance asks for an acknowledgement of the latched classes', () => {
    const path = join(ROOT, 'policy/examples/appliance.yaml');
    const { rules } = parsePolicy(readFileSync(path, 'utf8'), path);
    const asking = CLASSES.filter((name) => missingSteps(begin(rules[name]).snapshot.context).includes('acknowledge'));
    expect(asking).to.have.members([
      'attestation_failure',
      'integrity_violation',
      'unauthorized_access',
      'manifest_mismatch',
    ]);
  });
});
