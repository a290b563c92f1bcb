import { expect } from 'chai';
import fc from 'fast-check';
import { SEVERITIES, STATES } from '../../machines/vocabulary.ts';
import { HOUR } from '../../src/clock.ts';
import { alertOf } from '../../src/containment/formats/alertmanager.ts';
import { pagerdutyEvent } from '../../src/containment/formats/pagerduty.ts';
import { slackFallback, slackMessage, slackReminder } from '../../src/containment/formats/slack.ts';
import { bounded } from '../../src/containment/formats/text.ts';
import type { Incident } from '../../src/domain/incident.ts';
import { isStillSo, passes, severitiesOf } from '../../src/domain/notice.ts';
import { expectTaken } from './support/vendor-schemas.ts';

const KEY = '0123456789abcdef0123456789abcdef';
const INCIDENT: Incident = {
  id: 'INC-20261122-4f2a9c01d3e8',
  created_at: '2026-11-22T07:12:00.123Z',
  updated_at: '2026-11-22T07:12:00.123Z',
  class: 'prompt_injection',
  severity: 'critical',
  state: 'contained',
  source: 'web-gateway',
  description: 'ignore all previous instructions',
  occurrences: 1,
  version: 1,
  hash: '0'.repeat(64),
};
const CONSOLE = { console_url: 'https://console.example/recorder/' };
const LINK = `https://console.example/recorder/#/incidents/${INCIDENT.id}`;

/** What somebody may write who wants the message to do something. */
const HOSTILE =
  '<!channel> <!here> <@U024BE7LH> <https://evil.example|the console> & *bold* `code` @channel \u202Egnirts\u0000\n\u200B';

// oxlint-disable-next-line typescript/no-explicit-any -- tests look into bodies of every shape
type Body = any;

const slack = (incidents: readonly Incident[], more = 0, settings = {}): Body =>
  slackMessage({ counts: { new: incidents.length + more, again: 0, resolved: 0 }, incidents, more }, settings);

const foreign = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 3000 }),
  fc.string({ maxLength: 9000 }),
  fc.constant(HOSTILE),
);
const anyIncident = fc
  .record({
    description: foreign,
    source: fc.string({ minLength: 1, maxLength: 128 }),
    severity: fc.constantFrom(...SEVERITIES),
    state: fc.constantFrom(...STATES),
    drill: fc.boolean(),
  })
  .map(({ drill, ...some }): Incident => ({ ...INCIDENT, ...some, ...(drill ? { drill } : {}) }));

describe('notices in the form of a vendor', () => {
  it('are what the vendors have published, whatever the incident', () => {
    fc.assert(
      fc.property(fc.array(anyIncident, { minLength: 1, maxLength: 20 }), fc.boolean(), (incidents, hasConsole) => {
        const settings = hasConsole ? CONSOLE : {};
        expectTaken('slack', slack(incidents, 290, settings));
        expectTaken(
          'slack',
          slackReminder(incidents, 'unattended', settings, Date.parse(INCIDENT.created_at) + 3 * HOUR),
        );
        expectTaken('pagerduty', pagerdutyEvent(incidents[0]!, settings, KEY));
        expectTaken(
          'alertmanager',
          incidents.map((one) => alertOf(one, settings)),
        );
      }),
      { numRuns: 100 },
    );
    expectTaken('slack', slackFallback());
  });

  it('cut text with an ellipsis, also where it is escaped, and name hidden characters', () => {
    expect(bounded('abc', 3)).to.equal('ab…');
    expect(bounded('abc', 4)).to.equal('abc');
    expect(bounded('\u202Ea\nb', 20)).to.equal('[U+202E]a b');
    expect(bounded('\u{1F600}'.repeat(9), 5)).to.equal('\u{1F600}\u{1F600}…');
    expect(bounded('&&&', 12, () => '&amp;')).to.equal('&amp;&amp;…');
  });

  describe('for Slack', () => {
    it('neither mention anybody nor link anywhere, whatever a reporter writes', () => {
      const text = JSON.stringify(slack([{ ...INCIDENT, source: 'x <!everyone>', description: HOSTILE }]));
      expect(text).to.not.match(/<[!@#h]/);
      expect(text).to.include('&lt;!channel&gt;').and.include('&amp;').and.include('[U+202E]').and.include('[U+0000]');
      expect(text).to.include('[U+200B]').and.not.include('\u202E');
      const { blocks, text: preview } = slack([{ ...INCIDENT, description: HOSTILE }]);
      const marked = blocks.filter((one: Body) => one.text?.type === 'mrkdwn');
      expect(marked.length).to.be.above(0);
      for (const { text: own } of marked) {
        expect(own.verbatim).to.equal(true);
        expect(own.text).to.not.match(/channel|bold/);
      }
      expect(preview).to.not.match(/channel|gateway/);
    });

    it('say how many there are, show the worst ten, and link to the console', () => {
      const many = Array.from({ length: 10 }, (_, n) => ({ ...INCIDENT, severity: SEVERITIES[n % 4]! }));
      const { blocks, text } = slack(many, 290, CONSOLE);
      expect(text).to.equal('Incidents: 300 new (critical; prompt_injection)');
      expect(blocks[0].text.text).to.equal('300 new: prompt_injection from web-gateway');
      expect(blocks[1].text.text).to.equal(`*critical*, contained <${LINK}|${INCIDENT.id}>`);
      expect(blocks.at(-1).elements[0].text).to.equal('and 290 more');
    });

    it('say that an incident is a drill, or what it turned out to be', () => {
      const drill = slack([{ ...INCIDENT, drill: true }]);
      expect(drill.text).to.match(/^DRILL: /);
      expect(drill.blocks[0].text.text).to.match(/^DRILL: /);
      const over = { ...INCIDENT, state: 'resolved', resolution: 'false_positive' } as const;
      expect(slack([over]).blocks[1].text.text).to.equal(`*critical*, resolved as false_positive ${INCIDENT.id}`);
    });

    it('say for how long nobody has attended to an incident', () => {
      const reminder: Body = slackReminder([INCIDENT], 'unattended', {}, Date.parse(INCIDENT.created_at) + 3 * HOUR);
      expect(reminder.blocks[0].text.text).to.equal('1 still unattended: prompt_injection from web-gateway');
      expect(reminder.blocks[1].text.text).to.equal(`*critical*, contained, unattended for 3 h ${INCIDENT.id}`);
    });
  });

  describe('for PagerDuty', () => {
    it('trigger, acknowledge and resolve one alert under the identifier of the incident', () => {
      for (const [state, action] of [
        ['open', 'trigger'],
        ['contained', 'trigger'],
        ['acknowledged', 'acknowledge'],
        ['resolved', 'resolve'],
      ] as const) {
        const event = pagerdutyEvent({ ...INCIDENT, state }, {}, KEY);
        expect(event).to.include({ event_action: action, dedup_key: INCIDENT.id, routing_key: KEY });
      }
    });

    it('say what it is, with the severities of PagerDuty', () => {
      const event: Body = pagerdutyEvent(INCIDENT, CONSOLE, KEY);
      expect(event).to.include({ client: 'incident-recorder', client_url: LINK });
      expect(event.links).to.deep.equal([{ href: LINK, text: 'Open in the console' }]);
      expect(event.payload).to.deep.include({
        summary: 'prompt_injection from web-gateway: ignore all previous instructions',
        source: 'web-gateway',
        severity: 'critical',
        timestamp: INCIDENT.created_at,
        component: 'incident-recorder',
        class: 'prompt_injection',
      });
      expect(event.payload.custom_details).to.include({ incident: INCIDENT.id, state: 'contained' });
      const severities = SEVERITIES.map(
        (severity) => (pagerdutyEvent({ ...INCIDENT, severity }, {}, KEY) as Body).payload.severity,
      );
      expect(severities).to.deep.equal(['critical', 'error', 'warning', 'info']);
    });
  });

  describe('for Alertmanager', () => {
    it('have an end when the incident is resolved, and none before', () => {
      const alert: Body = alertOf(INCIDENT, CONSOLE);
      expect(alert.labels).to.deep.equal({
        alertname: 'SecurityIncident',
        class: 'prompt_injection',
        severity: 'critical',
        source: 'web-gateway',
        incident: INCIDENT.id,
      });
      expect(alert).to.include({ startsAt: INCIDENT.created_at, generatorURL: LINK }).and.not.have.property('endsAt');
      const over = { ...INCIDENT, state: 'resolved', resolved_at: '2026-11-22T08:00:00.000Z' } as const;
      expect(alertOf(over, {})).to.include({ endsAt: over.resolved_at });
      const before = { ...over, resolved_at: '2026-11-22T07:00:00.000Z' };
      expect(alertOf(before, {}), 'with a clock that was set back').to.include({ endsAt: INCIDENT.created_at });
    });
  });
});

describe('what a notice is about', () => {
  it('is as it is now: what a later notice says is not said before', () => {
    expect(isStillSo('new', { state: 'contained' })).to.equal(true);
    expect(isStillSo('new', { state: 'acknowledged' })).to.equal(false);
    expect(isStillSo('attended', { state: 'open' })).to.equal(false);
    expect(isStillSo('resolved', { state: 'resolved' })).to.equal(true);
  });

  it('passes by severity, at least or in a list, by class, and as a drill only where that is asked for', () => {
    expect(severitiesOf('high')).to.deep.equal(['critical', 'high']);
    expect(severitiesOf(['low', 'critical'])).to.deep.equal(['critical', 'low']);
    expect(passes({ severity: 'high' }, { ...INCIDENT, severity: 'medium' })).to.equal(false);
    expect(passes({ severity: ['medium'] }, { ...INCIDENT, severity: 'medium' })).to.equal(true);
    expect(passes({ class: ['tool_call_burst'] }, INCIDENT)).to.equal(false);
    expect(passes({}, { ...INCIDENT, drill: true })).to.equal(false);
    expect(passes({ drills: true }, { ...INCIDENT, drill: true })).to.equal(true);
  });
});
