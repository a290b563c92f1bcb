import { expect } from 'chai';
import { RecorderError } from '../../src/errors.ts';
import { BUILT_IN_RULES } from '../../src/policy/defaults.ts';
import { digestPolicy } from '../../src/policy/digest.ts';
import { policyDocument } from '../../src/policy/document.ts';
import { parseFile, parsePolicy } from '../../src/policy/parse.ts';
import { partsOf } from '../../src/policy/parts.ts';

const faultsOf = (text: string): readonly string[] => {
  try {
    parsePolicy(`version: 1\n${text}`, 'p.yaml');
    return [];
  } catch (error) {
    const { faults } = (error as RecorderError).fields as { readonly faults: readonly { message: string }[] };
    return faults.map(({ message }) => message);
  }
};

const WHOLE = `version: 1
rules:
  prompt_injection: { runbook: "https://runbooks.example/prompt-injection" }
targets:
  freeze_agent:
    engage: { url: "http://127.0.0.1:1/freeze", action: freeze }
    drill: true
notify:
  - { url: "http://127.0.0.1:2/alive", heartbeat: 60s }
expect:
  - { source: runtime-attestor, every: 5m }
`;

describe('guards, heartbeats, drills and runbooks in the policy', () => {
  it('are read, shown and named as parts, and no rule of an incident holds its runbook', () => {
    const { content, classes } = parseFile(WHOLE, 'p.yaml');
    expect(content.expect).to.deep.equal([{ source: 'runtime-attestor', every: 300_000 }]);
    expect(content.targets.freeze_agent?.drill).to.equal(true);
    expect(content.notify[0]?.heartbeat).to.equal(60_000);
    expect(content.runbooks).to.deep.equal({ prompt_injection: 'https://runbooks.example/prompt-injection' });
    expect(content.rules).to.deep.equal(BUILT_IN_RULES);
    const parts = partsOf(content, classes);
    expect(parts).to.include.members([
      'expect.runtime-attestor',
      'rules.prompt_injection.runbook',
      'targets.freeze_agent.drill',
    ]);
    const document = policyDocument({
      ...content,
      source: 'file',
      path: 'p.yaml',
      digest: digestPolicy(content),
      parts,
      loaded_at: '2026-11-22T07:12:00.123Z',
    });
    expect(document.rules.prompt_injection.runbook).to.equal('https://runbooks.example/prompt-injection');
    expect(document.rules.tool_call_burst).to.not.have.property('runbook');
    expect(document.expect).to.deep.equal([{ source: 'runtime-attestor', every: 300_000 }]);
    expect(document.notify).to.deep.equal([{ url: 'http://127.0.0.1:2/alive', heartbeat: 60_000 }]);
    expect(document.targets.freeze_agent).to.include({ drill: true });
  });

  it('change the digest, and a policy without them has the digest that it had', () => {
    const digest = (text: string): string => digestPolicy(parsePolicy(text, 'p.yaml'));
    expect(digest('version: 1')).to.equal('62620e39f43204abf0e34c849ff9f00518e182f594238ca33e62489747791fc1');
    expect(digest('version: 1\nexpect: []')).to.equal(digest('version: 1'));
    const others = [
      'expect: [{ source: a, every: 5m }]',
      'rules: { tool_call_burst: { runbook: "unplug it" } }',
      'rules: { tool_call_burst: { runbook: "plug it in" } }',
    ].map((text) => digest(`version: 1\n${text}`));
    expect(new Set([...others, digest('version: 1')])).to.have.lengthOf(4);
  });

  it('are refused with what is allowed', () => {
    expect(faultsOf('expect: [{ source: a, every: 100ms }]')[0]).to.contain('must be a time from 1s to 168h');
    expect(faultsOf('expect: [{ source: " a", every: 5m }]')[0]).to.contain('must not begin or end with a space');
    expect(faultsOf('expect: [{ source: a, every: 5m }, { source: a, every: 1m }]')[0]).to.contain('is listed before');
    expect(faultsOf('expect: [{ source: a, every: 5m, often: 1 }]')[0]).to.contain('unknown key "often"');
    // What only looks like a list has no length that can be compared.
    expect(faultsOf('expect: { length: {} }')[0]).to.contain('must be a list of guards');
    expect(faultsOf('notify: { length: {} }')[0]).to.contain('must be a list of webhooks');
    expect(faultsOf('expect: runtime-attestor')[0]).to.contain('must be a list of guards');
    const many = Array.from({ length: 33 }, (_, n) => `{ source: s${n}, every: 5m }`).join(', ');
    expect(faultsOf(`expect: [${many}]`)[0]).to.contain('at most 32 guards');
    expect(faultsOf(`rules: { tool_call_burst: { runbook: "${'x'.repeat(1001)}" } }`)[0]).to.contain('1 to 1000');
    expect(faultsOf('rules: { tool_call_burst: { runbook: " " } }')[0]).to.contain('must be a URL or a text');
    expect(faultsOf('targets: { freeze_agent: { drill: true } }')[0]).to.contain('needs engage or broker');
    expect(faultsOf('notify: [{ url: "http://127.0.0.1:2/", heartbeat: 10ms }]')[0]).to.contain('from 1s to 24h');
  });
});
