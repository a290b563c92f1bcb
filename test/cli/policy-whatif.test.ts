import { expect } from 'chai';
import { decidedIn } from '../../src/cli/policy-whatif.ts';

const report = { class: 'prompt_injection', source: 'gateway', description: 'd' } as const;
const rule = { auto_contain: true, actions: ['freeze_agent'], default_severity: 'high' } as const;
const raised = { class: 'prompt_injection', reports: 3, within_ms: 1, to: 'critical' } as const;

describe('what was decided about an incident at its first report', () => {
  it('is in its first entry, without what the number of reports did', () => {
    const severity = 'low';
    expect(decidedIn([{ event: 'incident.reported', data: { severity, report, rule } }])).to.deep.equal({
      severity,
      report,
      rule,
    });
    const data = { severity: 'critical', report, rule, escalated_by: raised } as const;
    expect(decidedIn([{ event: 'incident.reported', data }])).to.include({ severity: 'high' });
  });

  it('is in the entry that carries it over, behind entries that have stayed', () => {
    const [severity, lower] = ['critical', { ...rule, default_severity: 'low' }] as const;
    const history = [
      { event: 'incident.recurred', data: { severity, report, rule: lower } },
      { event: 'incident.contained', data: {} },
      { event: 'incident.carried', data: { report, rule } },
    ];
    expect(decidedIn(history)).to.deep.equal({ severity: 'high', report, rule });
  });

  it('is nothing for one of another recorder, and where its entries are gone', () => {
    expect(decidedIn([{ event: 'incident.imported', data: { report, rule } }])).to.equal(undefined);
    const carried = { event: 'incident.carried', data: { report, rule } };
    expect(decidedIn([{ event: 'incident.imported', data: { report, rule } }, carried])).to.equal(undefined);
    expect(decidedIn([{ event: 'incident.contained', data: {} }])).to.equal(undefined);
    expect(decidedIn([])).to.equal(undefined);
  });
});
