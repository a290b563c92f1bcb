import { expect } from 'chai';
import type { Entry } from '../../src/domain/entries.ts';
import { journalText, journalTexts } from '../../src/domain/journal-line.ts';

const INCIDENT = { class: 'prompt_injection', severity: 'high' } as const;
const entry = (event: string, data: object): Entry =>
  ({ timestamp: '2026-11-30T08:00:00.000Z', event, data: { seq: 7, incident: 'INC-1', version: 3, ...data } }) as never;
const textsOf = (event: string, data: object): readonly string[] => journalTexts(entry(event, data), INCIDENT);

const delivery = { action: 'freeze_agent', directive: 'engage' };
const alert = { class: 'prompt_injection', severity: 'high', source: 'gateway' };
const report = { class: 'prompt_injection', source: 'gateway', description: 'SECRET', evidence: { a: 'SECRET' } };
const intents = [delivery, { action: 'log_alert', directive: 'engage' }];
const about = 'INC-1 class=prompt_injection';
const rule = { class: 'prompt_injection', reports: 3, within_ms: 300_000, to: 'critical' };

describe('what the journal says of', () => {
  for (const [what, event, data, text] of [
    [
      'a report that asks for containment',
      'incident.reported',
      { report, severity: 'high', state: 'contained', intents },
      `containment: freeze_agent, log_alert asked for by ${about} severity=high state=contained`,
    ],
    [
      'a report that asks for nothing',
      'incident.reported',
      { report, severity: 'high', state: 'open', intents: [] },
      `incident: ${about} severity=high state=open reported`,
    ],
    [
      'a command that asks for containment',
      'incident.contained',
      { intents },
      `containment: freeze_agent, log_alert asked for by ${about}`,
    ],
    [
      'a rising severity',
      'incident.recurred',
      { attention: 'severity', severity: 'critical' },
      `escalation: ${about} severity=critical`,
    ],
    [
      'a severity that rises by the number of reports',
      'incident.recurred',
      { attention: 'severity', severity: 'critical', escalated_by: rule },
      `escalation: ${about} severity=critical: to critical by the rule prompt_injection: 3 reports within 300 s`,
    ],
    ['a confirmation', 'containment.confirmed', delivery, `containment: freeze_agent engaged for ${about}`],
    [
      'a released action',
      'containment.confirmed',
      { ...delivery, directive: 'release' },
      `containment: freeze_agent released for ${about}`,
    ],
    [
      'a failed attempt, without the words of the service',
      'containment.attempted',
      { ...delivery, attempt: 2, error: 'answered 503: SECRET' },
      `containment: attempt 2 to engage freeze_agent failed for ${about}: answered 503`,
    ],
    [
      'a failure, without the words of the service',
      'containment.failed',
      { ...delivery, error: 'answered 422: SECRET' },
      `containment: engage freeze_agent failed for ${about}: answered 422`,
    ],
    [
      'what needs a person',
      'containment.failed',
      { ...delivery, error: 'no model is named', needs_person: true },
      `containment: engage freeze_agent needs a person for ${about}: no model is named`,
    ],
    ['what is overdue', 'containment.overdue', delivery, `containment: engage freeze_agent is overdue for ${about}`],
    [
      'what is lost',
      'containment.lost',
      { ...delivery, reason: 'silent' },
      `containment: freeze_agent is lost for ${about}: silent`,
    ],
    [
      'what is tried again',
      'containment.retried',
      delivery,
      `containment: engage freeze_agent is tried again for ${about}`,
    ],
    [
      'an alert, without the words of a service',
      'alert.raised',
      { ...alert, reason: 'could not engage freeze_agent: answered 422: SECRET' },
      `ALERT: incident ${about} severity=high source=gateway: could not engage freeze_agent: answered 422`,
    ],
    ['a step of a recovery', 'recovery.acknowledged', { by: 'ada' }, `recovery: acknowledged for ${about} by ada`],
    ['another', 'recovery.attestation_failed', {}, `recovery: attestation failed for ${about}`],
  ] as const) {
    it(what, () => {
      expect(textsOf(event, data)).to.deep.equal([text]);
    });
  }

  it('a report that is raised by the number of reports', () => {
    const data = { report, severity: 'critical', state: 'contained', intents, escalated_by: rule };
    const said = `${about} severity=critical state=contained`;
    expect(textsOf('incident.reported', data)).to.deep.equal([
      `containment: freeze_agent, log_alert asked for by ${said}`,
      `escalation: ${said}: to critical by the rule prompt_injection: 3 reports within 300 s`,
    ]);
  });

  it('an alert that is about no incident', () => {
    const found = {
      event: 'alert.raised',
      data: { seq: 1, finding: 'f', severity: 'critical', reason: 'entries are missing' },
    };
    expect(journalTexts(found as never, undefined)).to.deep.equal(['ALERT: severity=critical: entries are missing']);
  });

  it('an incident that comes back from a snooze, and one that is reopened', () => {
    expect(textsOf('incident.woken', { why: 'due', state: 'open' })).to.deep.equal([
      'incident: INC-1 class=prompt_injection state=open is snoozed no more',
    ]);
    expect(textsOf('incident.reopened', { as: 'INC-2', by: 'ada', note: 'ALERT: x' })).to.deep.equal([
      'incident: INC-1 class=prompt_injection is reopened as INC-2 by ada',
    ]);
  });

  it('other entries: nothing', () => {
    for (const event of ['incident.resolved', 'incident.acknowledged']) {
      expect(textsOf(event, { intents: [{ ...delivery, directive: 'release' }] })).to.deep.equal([]);
    }
    expect(textsOf('incident.recurred', { report })).to.deep.equal([]);
    expect(journalTexts({ event: 'service.started', data: { seq: 1 } } as never, undefined)).to.deep.equal([]);
  });

  it('foreign names hold nothing that is looked for: nobody forges a line with them', () => {
    const forged =
      'ALERT: incident INC-2 class=integrity_violation severity=critical containment: recovery: xALERT: x:y';
    const [text] = textsOf('alert.raised', { ...alert, source: forged, reason: `a source like "${forged}"` });
    expect(text).to.match(
      /^ALERT: incident INC-1 class=prompt_injection severity=high source=ALERT_ incident INC-2 class_i/,
    );
    const [step] = textsOf('recovery.acknowledged', { by: forged });
    for (const line of [text!, step!]) {
      expect(line).to.contain('x:y');
      expect(line.match(/(?:containment|ALERT|recovery|escalation|incident):/g)).to.have.length(1);
      expect(line.match(/class=/g)).to.have.length(1);
    }
  });

  it('foreign text is one short line without what can not be seen', () => {
    const text = journalText('containment', `a\u0007b\u202ec\r\nALERT: d ${'x'.repeat(1000)}`);
    expect(text).to.have.length(400);
    expect(text).to.match(/^containment: a b c {1,2}ALERT: d x+…$/);
  });
});
