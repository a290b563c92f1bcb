import { expect } from 'chai';
import { decide } from '../../machines/decision.ts';
import type { Rule } from '../../machines/vocabulary.ts';
import { Contradiction } from '../../src/domain/contradiction.ts';
import { decide as decideMessage, decideReport } from '../../src/domain/decide-incident.ts';
import type { EntryOf, IncidentDraft, IncidentEntry } from '../../src/domain/entries.ts';
import { fold, type IncidentRecord } from '../../src/domain/incident.ts';
import { carry } from '../../src/domain/whole-incident.ts';

const timestamp = '2026-11-22T07:12:00.123Z';
const rule: Rule = { auto_contain: false, actions: ['freeze_agent'], default_severity: 'medium' };
const report = { class: 'tool_call_burst', source: 'agent', description: 'calls' } as const;
const circumstances = { timestamp, channelOf: () => 'poll' as const };
const about = (record: IncidentRecord) => ({ incident: 'INC-1', version: record.incident.version + 1 });

let seq = 0;
const written = (draft: IncidentDraft): IncidentEntry => {
  seq += 1;
  const data = { ...draft.data, seq };
  return { ...draft, data, prev_hash: '', entry_hash: `hash ${seq}`, algorithm: 'sha256' } as IncidentEntry;
};
const replayed = (...drafts: readonly IncidentDraft[]): IncidentRecord =>
  drafts.reduce<IncidentRecord | undefined>((before, draft) => fold(before, written(draft)), undefined)!;

const open = (): IncidentRecord => replayed(...decideReport('INC-1', report, rule, circumstances));
const acknowledged = (): IncidentRecord => {
  const decision = decideMessage(open(), { type: 'acknowledge' }, { ...circumstances, note: 'seen' });
  if (decision.kind !== 'accepted') throw new Error(decision.kind);
  return fold(open(), written(decision.drafts[0]!));
};

describe('what a person does, in a replay', () => {
  it('given a note in a command of an old log, then it is among the notes', () => {
    expect(acknowledged().incident).to.deep.include({ notes: [{ at: timestamp, note: 'seen' }], notes_count: 1 });
  });

  it('given a name that nothing but the request says, then it is marked as claimed wherever it is shown', () => {
    const said = { by: 'ada', claimed: true, role: 'operator', principal: 'service-token' } as const;
    const until = '2026-11-23T07:12:00.000Z';
    const noted = fold(
      open(),
      written({ timestamp, event: 'incident.noted', data: { ...about(open()), state: 'open', ...said, note: 'n' } }),
    );
    expect(noted.incident.notes).to.deep.equal([
      { at: timestamp, by: 'ada', claimed: true, role: 'operator', note: 'n' },
    ]);
    const assigned = fold(
      noted,
      written({ timestamp, event: 'incident.assigned', data: { ...about(noted), state: 'open', ...said, to: 'tom' } }),
    );
    expect(assigned.incident).to.include({ assignee: 'tom', assigned_by: 'ada', assigned_by_claimed: true });
    const data = { ...about(assigned), ...said, state: 'acknowledged', until } as const;
    const snoozed = fold(assigned, written({ timestamp, event: 'incident.snoozed', data }));
    expect(snoozed.incident).to.include({ snoozed_by: 'ada', snoozed_by_claimed: true });
    const free = {
      ...about(snoozed),
      state: 'acknowledged',
      to: null,
      principal: 'grace',
      role: 'operator',
      by: 'grace',
    } as const;
    const freed = fold(snoozed, written({ timestamp, event: 'incident.assigned', data: free }));
    expect(freed.incident).not.to.have.any.keys('assignee', 'assigned_by', 'assigned_by_claimed');
    const ended = { ...about(freed), state: 'open', why: 'person' } as const;
    const woken = fold(freed, written({ timestamp, event: 'incident.woken', data: ended }));
    expect(woken.incident).not.to.have.any.keys('snoozed_by', 'snoozed_by_claimed');
  });

  it('given an incident that an older version carried over, then its entry is right as it is', () => {
    const record = acknowledged();
    const parts = { report, rule, requests: [], repeats: [], earlier: { note: '', files: [] } };
    const { data, ...draft } = carry(record, parts, timestamp);
    const old = Object.fromEntries(Object.entries(data.record).filter(([name]) => !name.startsWith('notes')));
    const entry = written({ ...draft, data: { ...data, record: old } }) as EntryOf<'incident.carried'>;
    const now = fold(record, entry);
    expect(now.incident).to.include({ note: 'seen' }).and.not.have.any.keys('notes', 'notes_count');
    expect(JSON.parse(JSON.stringify(now.incident))).to.deep.equal(
      JSON.parse(JSON.stringify(fold(undefined, entry).incident)),
    );
    const other = { ...old, note: 'never said' };
    expect(() => fold(record, written({ ...draft, data: { ...data, record: other } }))).to.throw(Contradiction);
  });

  it('given a snooze that the statechart does not allow, or a state that it does not lead to, then a contradiction', () => {
    const until = '2026-11-23T07:12:00.000Z';
    const snoozed = fold(
      open(),
      written({ timestamp, event: 'incident.snoozed', data: { ...about(open()), state: 'acknowledged', until } }),
    );
    expect(snoozed.snapshot.context.snoozed).to.equal(true);
    const woken = { ...about(snoozed), why: 'due' } as const;
    for (const state of ['acknowledged', 'contained'] as const) {
      const entry = written({ timestamp, event: 'incident.woken', data: { ...woken, state } });
      expect(() => fold(snoozed, entry)).to.throw(Contradiction);
    }
    const entry = written({ timestamp, event: 'incident.woken', data: { ...woken, state: 'open' } });
    const now = fold(snoozed, entry);
    expect(now.incident).not.to.have.property('snoozed_until');
    expect(() =>
      fold(now, written({ timestamp, event: 'incident.woken', data: { ...about(now), why: 'due', state: 'open' } })),
    ).to.throw(Contradiction);
    expect(decide(now.snapshot, { type: 'contain' }).kind).to.equal('moved');
  });
});
