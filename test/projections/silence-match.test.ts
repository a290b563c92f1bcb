import { expect } from 'chai';
import { HOUR, timestamp } from '../../src/clock.ts';
import type { SilenceOnRecord } from '../../src/domain/silence-terms.ts';
import { isSilenced, type Silenceable, silencesFor } from '../../src/query/silence-match.ts';

const NOW = Date.parse('2026-11-22T12:00:00.000Z');

const INCIDENT: Silenceable = {
  id: 'INC-20261122-000000000001',
  class: 'prompt_injection',
  severity: 'high',
  source: 'tool-firewall',
  description: 'ＡＧＥＮＴ refusé: \u202Eevil',
};

const silence = (more: Partial<SilenceOnRecord>): SilenceOnRecord => ({
  silence: 'SIL-20261122-000000000001',
  seq: 1,
  class: [],
  source: [],
  severity: [],
  from: timestamp(NOW - HOUR),
  until: timestamp(NOW + HOUR),
  reason: 'a test',
  added_at: timestamp(NOW - HOUR),
  ...more,
});

describe('silencesFor', () => {
  const matches = (more: Partial<SilenceOnRecord>, incident: Silenceable = INCIDENT): boolean =>
    isSilenced(incident, [silence(more)], NOW);

  it('gives the active silences of which an incident meets every member', () => {
    const all = [
      silence({ class: ['prompt_injection', 'tool_call_burst'] }),
      silence({ source: ['tool-firewall'], severity: ['high'], q: 'agent' }),
      silence({ source: ['tool-firewall'], severity: ['low'] }),
      silence({ severity: ['high'], from: timestamp(NOW + 1) }),
      silence({ severity: ['high'], until: timestamp(NOW) }),
      silence({ severity: ['high'], ended: { at: timestamp(NOW), seq: 2 } }),
    ];
    expect(silencesFor(INCIDENT, all, NOW)).to.deep.equal(all.slice(0, 2));
    expect(silencesFor(INCIDENT, [], NOW)).to.deep.equal([]);
  });

  it('takes sources exactly, and words as the list does, whatever their case, width and accents', () => {
    expect(matches({ source: ['tool-firewal'] })).to.equal(false);
    expect(matches({ source: ['TOOL-FIREWALL'] })).to.equal(false);
    expect(matches({ source: ['tool-*'] })).to.equal(false);
    expect(matches({ q: 'agent REFUSE' })).to.equal(true);
    expect(matches({ q: 'refus*' })).to.equal(true);
    expect(matches({ q: 'refus' })).to.equal(false);
    expect(matches({ q: 'evil' })).to.equal(true);
    expect(matches({ q: 'firewall tool' })).to.equal(true);
    expect(matches({ q: '000000000001' })).to.equal(true);
  });

  it('looks at the incident as it is now: its severity, and its latest report', () => {
    const latest_report = { severity: 'critical', description: 'now from 198.51.100.7' } as const;
    const now: Silenceable = { ...INCIDENT, severity: 'critical', latest_report };
    expect(matches({ severity: ['high'] }, now)).to.equal(false);
    expect(matches({ q: '198.51.100.7' })).to.equal(false);
    expect(matches({ q: '198.51.100.7' }, now)).to.equal(true);
  });
});
