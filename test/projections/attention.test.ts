import { join } from 'node:path';
import { expect } from 'chai';
import fc from 'fast-check';
import { CLASSES, SEVERITIES, STATES } from '../../machines/vocabulary.ts';
import { HOUR, timestamp } from '../../src/clock.ts';
import { needsAttention } from '../../src/domain/attention.ts';
import type { EntryOf } from '../../src/domain/entries.ts';
import type { Incident, IncidentRecord } from '../../src/domain/incident.ts';
import { MOST_OVER, silencesAfter } from '../../src/domain/silence.ts';
import type { SilenceOnRecord } from '../../src/domain/silence-terms.ts';
import { Attention } from '../../src/projections/attention.ts';
import { type AttentionFilter } from '../../src/query/list-query.ts';
import { Database } from '../../src/projections/database.ts';
import { IncidentList } from '../../src/projections/incident-list.ts';
import { type Cursor, SORTS } from '../../src/query/list-query.ts';
import { Incidents } from '../../src/projections/incidents.ts';
import { isSilenced } from '../../src/query/silence-match.ts';
import { Silences } from '../../src/projections/silences.ts';
import { Tally } from '../../src/domain/tally.ts';
import { Statistics } from '../../src/projections/statistics.ts';
import { recordOf } from './support/record.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';

const NOW = Date.parse('2026-11-22T12:00:00.000Z');
const SOURCES = ['airlock', 'gpu-watcher', 'tool-firewall'] as const;
const TEXTS = [
  'Gateway refusé: tool_call',
  'GATEWAY 10.0.0.7',
  'Straße gesperrt ﬁle',
  'ΣΊΣΥΦΟΣ',
  '機密情報を外部に送信',
  'агент украл ключ',
  'كَتَبَ',
  'a"b OR c* NEAR(d) -- \\',
] as const;
const WORDS = [
  'gateway',
  'REFUSE',
  'gate*',
  'tool call',
  '10.0.0.7',
  'STRASSE',
  'file',
  'σισυφος',
  '情報',
  '送',
  'АГЕНТ ключ',
  'كتب',
  'near(d)',
  'OR',
  'absent',
] as const;

const incidentOf = (seq: number, fields: Partial<Incident>): IncidentRecord =>
  recordOf(seq, fields, timestamp(NOW - HOUR + seq * 1000));

let added = 0;
const entryOf = (silence: Partial<SilenceOnRecord>): EntryOf<'silence.added'> => {
  added += 1;
  return {
    timestamp: timestamp(NOW - HOUR),
    event: 'silence.added',
    data: {
      seq: added,
      silence: `SIL-20261122-${String(added).padStart(12, '0')}`,
      class: [],
      source: [],
      severity: [],
      from: timestamp(NOW - HOUR),
      until: timestamp(NOW + HOUR),
      reason: 'a test',
      ...silence,
    },
    prev_hash: '',
    entry_hash: '',
    algorithm: 'sha256',
  };
};

const kind = fc.record({
  class: fc.constantFrom(...CLASSES.slice(0, 3)),
  severity: fc.constantFrom(...SEVERITIES),
  state: fc.constantFrom(...STATES),
  source: fc.constantFrom(...SOURCES),
  description: fc.constantFrom(...TEXTS),
  drill: fc.constantFrom(undefined, undefined, true as const),
  snoozed_until: fc.constantFrom(undefined, undefined, timestamp(NOW + HOUR)),
  containment: fc.constantFrom(
    undefined,
    { status: 'overdue' as const, actions: [] },
    { status: 'degraded' as const, actions: [] },
    { status: 'confirmed' as const, actions: [] },
  ),
});
const someOf = <Value>(values: readonly Value[]) => fc.subarray([...values]);
const silence = fc.record(
  {
    class: someOf(CLASSES.slice(0, 3)),
    source: someOf(SOURCES),
    severity: someOf(SEVERITIES),
    q: fc.constantFrom(...WORDS),
    from: fc.constantFrom(timestamp(NOW - HOUR), timestamp(NOW), timestamp(NOW + 1)),
    until: fc.constantFrom(timestamp(NOW), timestamp(NOW + 1), timestamp(NOW + HOUR)),
  },
  { requiredKeys: ['class', 'source', 'severity', 'from', 'until'] },
);
const filter = fc.record(
  {
    needed: fc.boolean(),
    silenced: fc.boolean(),
    at: fc.constant(NOW),
  },
  { requiredKeys: ['at'] },
);

describe('Attention', () => {
  const directory = temporaryDirectories();

  const recorded = (fields: readonly Partial<Incident>[], silences: readonly Partial<SilenceOnRecord>[]) => {
    const database = Database.open(join(directory(), 'audit.sqlite'));
    const incidents = new Incidents(database);
    const statistics = new Statistics(database);
    const onRecord = new Silences(database);
    database.begin();
    const records = fields.map((one, at) => incidentOf(at + 1, JSON.parse(JSON.stringify(one)) as Partial<Incident>));
    for (const now of records) {
      const tally = new Tally();
      tally.follow(now, undefined);
      incidents.store([{ before: undefined, now }]);
      statistics.add(tally);
    }
    for (const one of silences) onRecord.follow(entryOf(JSON.parse(JSON.stringify(one)) as Partial<SilenceOnRecord>));
    // Another reader of the table.
    const attention = new Attention(database, new Silences(database), () => records.length);
    return { database, records, attention, list: new IncidentList(database, attention), silences: onRecord };
  };

  const pagesOf = (list: IncidentList, query: Partial<Parameters<IncidentList['read']>[0]>): readonly string[] => {
    const ids: string[] = [];
    for (let after: Cursor | undefined; ;) {
      const { documents, next } = list.read({
        classes: [],
        states: [],
        severities: [],
        sources: [],
        limit: 3,
        ...query,
        ...(after && { after }),
      });
      ids.push(...documents.map((one) => (JSON.parse(Buffer.from(one).toString()) as Incident).id));
      if (next === undefined) return ids;
      after = next;
    }
  };

  it('lists and counts what the rules say, whatever the incidents and the silences', () => {
    fc.assert(
      fc.property(
        fc.array(kind, { minLength: 1, maxLength: 24 }),
        fc.array(silence, { maxLength: 4 }),
        filter,
        someOf(SOURCES),
        fc.constantFrom(...SORTS),
        (fields, given, attention, sources, sort) => {
          const parts = recorded(fields as readonly Partial<Incident>[], given);
          try {
            const silences = parts.silences.all();
            const isNeeding = ({ incident }: IncidentRecord): boolean =>
              needsAttention(incident) && !isSilenced(incident, silences, NOW);
            const { needed, silenced } = attention as AttentionFilter;
            const wanted = parts.records.filter(
              (one) =>
                (needed !== true || isNeeding(one)) &&
                (silenced === undefined || isSilenced(one.incident, silences, NOW) === silenced) &&
                (sources.length === 0 || (sources as readonly string[]).includes(one.incident.source)),
            );
            const rank = ({ incident }: IncidentRecord): number => SEVERITIES.indexOf(incident.severity);
            const expected = wanted
              .toSorted((one, other) => rank(one) - rank(other) || other.seq - one.seq)
              .map(({ incident }) => incident.id);
            const found = pagesOf(parts.list, { sources, attention: attention });
            expect(found).to.deep.equal(expected);
            expect(pagesOf(parts.list, { sources, attention, sort }).toSorted()).to.deep.equal(expected.toSorted());
            if (needed === true && silenced !== true && sources.length === 0) {
              const all = { classes: [], states: [], severities: [], sources: [], limit: 1, attention };
              expect(parts.list.read(all).total).to.equal(expected.length);
            }
            const query = { classes: [], states: [], severities: [], sources, attention, limit: 1 };
            const walked = [...parts.list.walk(query)].flatMap(({ outlines }) => outlines.map(({ id }) => id));
            expect(walked).to.deep.equal(expected);
            expect(parts.attention.count(NOW)).to.equal(parts.records.filter(isNeeding).length);
            for (const one of silences) {
              const alone = [{ ...one, from: timestamp(NOW), until: timestamp(NOW + 1) }];
              expect(parts.attention.matches(one, NOW)).to.equal(
                parts.records.filter(({ incident }) => needsAttention(incident) && isSilenced(incident, alone, NOW))
                  .length,
              );
            }
          } finally {
            parts.database.close();
          }
        },
      ),
      { numRuns: 80 },
    );
  });

  it('lists in any order what silences by words leave, where it is much', () => {
    const fields = Array.from({ length: 2600 }, (_, at) => ({
      description: at % 5 === 0 ? 'a test' : 'not one',
      source: SOURCES[at % 3]!,
      severity: SEVERITIES[at % 4]!,
      state: STATES[at % 4]!,
    }));
    const { list, database, records } = recorded(fields, [
      { q: 'test', severity: ['low', 'high'] },
      { source: ['airlock'] },
    ]);
    try {
      const isHidden = ({ incident }: IncidentRecord): boolean =>
        incident.source === 'airlock' ||
        (incident.description === 'a test' && ['low', 'high'].includes(incident.severity));
      for (const silenced of [true, false]) {
        const expected = records.filter((one) => isHidden(one) === silenced).map(({ incident }) => incident.id);
        for (const sort of SORTS) {
          const found = pagesOf(list, { sort, attention: { silenced, at: NOW }, limit: 900 });
          expect(found.toSorted(), `${sort} ${silenced}`).to.deep.equal(expected);
          if (sort === 'created' || sort === 'updated') expect(found).to.deep.equal(expected);
        }
      }
    } finally {
      database.close();
    }
  }).timeout(60_000);

  it('asks for attention again once a silence is over, and not before it begins', () => {
    const { attention, list, database } = recorded(
      [{}, { source: 'gpu-watcher' }],
      [{ source: ['airlock'], from: timestamp(NOW), until: timestamp(NOW + HOUR) }],
    );
    try {
      const at = (time: number) => [
        attention.count(time),
        pagesOf(list, { attention: { needed: true, at: time } }).length,
      ];
      expect(at(NOW - 1)).to.deep.equal([2, 2]);
      expect(at(NOW)).to.deep.equal([1, 1]);
      expect(at(NOW + HOUR - 1)).to.deep.equal([1, 1]);
      expect(at(NOW + HOUR)).to.deep.equal([2, 2]);
    } finally {
      database.close();
    }
  });

  it('needs a person for acknowledged incidents only where something is overdue, broken or to be done', () => {
    const { incident } = incidentOf(1, { state: 'acknowledged' });
    const recovery = { required: ['acknowledge' as const], missing: ['acknowledge' as const] };
    expect(needsAttention(incident)).to.equal(false);
    expect(needsAttention({ ...incident, recovery })).to.equal(true);
    expect(needsAttention({ ...incident, recovery: { ...recovery, missing: [] } })).to.equal(false);
    expect(needsAttention({ ...incident, recovery, snoozed_until: timestamp(NOW) })).to.equal(false);
    expect(needsAttention({ ...incident, state: 'resolved', recovery })).to.equal(false);
  });

  it('forgets the oldest silences that are over, and none that is not', () => {
    let known: readonly SilenceOnRecord[] = [];
    const lasting = entryOf({});
    known = silencesAfter(known, lasting);
    for (let count = 0; count < 2 * MOST_OVER; count++)
      known = silencesAfter(known, entryOf({ until: timestamp(NOW - HOUR) }));
    expect(known[0]?.silence).to.equal(lasting.data.silence);
    expect(known).to.have.length(MOST_OVER + 2);
  });
});
