import { expect } from 'chai';
import { parseFile } from '../../src/policy/parse.ts';
import { partsOf, removedParts } from '../../src/policy/parts.ts';

const parts = (text: string): readonly string[] => {
  const { content, classes } = parseFile(`version: 1\n${text}`, 'policy.yaml');
  return partsOf(content, classes);
};
const removed = (before: string, after: string): readonly string[] => removedParts(parts(before), parts(after));

const RULES = `rules:
  forbidden_airlock_request: { auto_contain: true, actions: [disable_airlock, log_alert], min_severity: high }
  tool_call_burst: { auto_contain: true }
`;
const TARGETS = `targets:
  freeze_agent:
    engage: { url: "http://127.0.0.1:1/freeze", action: freeze }
    release: { url: "http://127.0.0.1:1/unfreeze", action: unfreeze }
    secret_path: /secret
`;
const hook = (more: string): string => `notify: [ { url: "http://127.0.0.1:2/SECRET"${more} } ]\n`;

describe('the parts of a policy', () => {
  it('are all gone where a file was cut behind its version, and no secret is in their names', () => {
    const whole = `${RULES}${TARGETS}${hook('')}attention_after: 2h\nburst: { reports: 3, within: 1m }\nreport_bytes_per_day: 5\narchive_after: 90d\n`;
    const found = removed(whole, '');
    expect(found.map((part) => part.replace(/#[\da-f]{8}/, '#'))).to.deep.equal([
      'rules.forbidden_airlock_request',
      'rules.tool_call_burst',
      'rules.forbidden_airlock_request.auto_contain',
      'rules.forbidden_airlock_request.actions.disable_airlock',
      'rules.forbidden_airlock_request.min_severity',
      'targets.freeze_agent',
      'notify.http://127.0.0.1:2#',
      'attention_after',
      'burst',
      'report_bytes_per_day',
      'archive_after',
    ]);
    expect(found.join()).to.not.include('SECRET');
    expect(removed('', whole)).to.deep.equal([]);
    expect(removed(whole, whole)).to.deep.equal([]);
  });

  it('may be gone from a target that stays', () => {
    const cut = TARGETS.replace(/ {4}release.*\n.*\n/, '');
    expect(removed(TARGETS, cut)).to.deep.equal(['targets.freeze_agent.release', 'targets.freeze_agent.secret_path']);
  });

  it('are not gone where only an address changed, but another webhook is another webhook', () => {
    expect(removed(TARGETS, TARGETS.replaceAll(':1/', ':3/'))).to.deep.equal([]);
    const found = removed(hook(''), hook('').replace('SECRET', 'OTHER'));
    expect(found).to.have.length(1);
    expect(found[0]).to.match(/^notify\.http:\/\/127\.0\.0\.1:2#[\da-f]{8}$/);
  });

  it('are events that a webhook gets no longer', () => {
    const tail = (found: readonly string[]) => found.map((part) => part.replace(/.*#[\da-f]{8}/, ''));
    const two = hook(', events: [alert.raised, incident.contained]');
    expect(tail(removed(two, hook(', events: [alert.raised]')))).to.deep.equal(['.events.incident.contained']);
    expect(tail(removed(two, hook('')))).to.deep.equal([]);
    expect(tail(removed(hook(''), two))).to.deep.equal(['.events.*']);
    expect(tail(removed(hook(', token_path: /t'), hook('')))).to.deep.equal(['.token_path']);
  });

  it('are containment of a class, and the actions of its rule', () => {
    expect(removed('', 'rules: { tool_call_burst: { auto_contain: false } }')).to.deep.equal([
      'rules.tool_call_burst.auto_contain',
    ]);
    expect(removed('', 'rules: { unauthorized_access: { actions: [log_alert] } }')).to.deep.equal([
      'rules.unauthorized_access.actions.freeze_agent',
      'rules.unauthorized_access.actions.force_vault_relock',
    ]);
  });
});
