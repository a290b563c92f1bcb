import { expect } from 'chai';
import { auditLines, readAuditFilters, writeAuditFilters } from '../../../src/console/audit/audit-lines.ts';
import type { Entry } from '../../../src/domain/entries.ts';

const entry = (seq: number, event: string, data: object, second = seq) => {
  const timestamp = new Date(Date.UTC(2026, 10, 22, 7, 0, second)).toISOString();
  const one = { timestamp, event, data: { seq, incident: `INC-${seq}`, version: 1, ...data } } as unknown as Entry;
  return { entry: one, line: JSON.stringify(one) };
};
const report = (seq: number, source: string) =>
  entry(seq, 'incident.reported', { report: { class: 'tool_call_burst', source, description: `number ${seq}` } });
const delivery = (seq: number) =>
  entry(seq, 'containment.confirmed', { action: 'freeze_agent', directive: 'engage', receipt: { by: 'answer' } });
const NONE = new Set<string>();

describe('the lines of the audit view', () => {
  it('have one line for a burst, and one where deliveries are hidden', () => {
    const log = [1, 2, 3, 4, 5].flatMap((n) => [report(2 * n, 'firewall'), delivery(2 * n + 1)]);
    const lines = auditLines([entry(1, 'service.started', {}), ...log], readAuditFilters(''), NONE);
    expect(lines.map((line) => [line.kind, line.kind === 'entry' ? 1 : line.all.length])).to.deep.equal([
      ['noise', 5],
      ['burst', 5],
      ['entry', 1],
    ]);
    const [noise, burst] = lines;
    const all = auditLines(log, readAuditFilters(''), new Set([noise!.key, burst!.key]));
    expect(all.map(({ key }) => key)).to.deep.equal(['11', '10', '9', '8', '7', '6', '5', '4', '3', '2']);
  });

  it('keep their order where fewer than a burst are alike', () => {
    const log = [report(1, 'a'), report(2, 'b'), report(3, 'a'), report(4, 'b')];
    expect(auditLines(log, readAuditFilters(''), NONE).map(({ key }) => key)).to.deep.equal(['4', '3', '2', '1']);
  });

  it('are filtered by event, person, role, incident, time and text', () => {
    const log = [
      report(1, 'firewall'),
      entry(2, 'incident.noted', { note: 'the journal', by: 'kim', principal: 'kim', role: 'operator' }),
      entry(3, 'incident.acknowledged', { intents: [], by: 'bo', principal: 'bo', role: 'recovery' }),
      delivery(4),
    ];
    const keys = (query: string) => auditLines(log, readAuditFilters(query), NONE).map(({ key }) => key);
    expect(keys('event=incident')).to.deep.equal(['3', '2', '1']);
    expect(keys('event=incident.noted')).to.deep.equal(['2']);
    expect(keys('who=KIM')).to.deep.equal(['2']);
    expect(keys('role=recovery')).to.deep.equal(['3']);
    expect(keys('incident=INC-1')).to.deep.equal(['1']);
    expect(keys('q=journal')).to.deep.equal(['2']);
    expect(keys('since=2026-11-22T07:00:03Z')).to.deep.equal(['noise 4', '3']);
    expect(keys('until=2026-11-22T07:00:02Z')).to.deep.equal(['1']);
    expect(keys('noise=true&event=containment')).to.deep.equal(['4']);
    expect(writeAuditFilters(readAuditFilters('who=kim&q=x&noise=true'))).to.equal('who=kim&q=x&noise=true');
  });
});
