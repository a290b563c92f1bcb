import { join } from 'node:path';
import { expect } from 'chai';
import fc from 'fast-check';
import {
  CLASSES,
  type ContainmentStatus,
  CONTAINMENT_STATUSES,
  SEVERITIES,
  STATES,
} from '../../machines/vocabulary.ts';
import { Attention } from '../../src/projections/attention.ts';
import { Silences } from '../../src/projections/silences.ts';
import { Database } from '../../src/projections/database.ts';
import { DETAILS } from '../../src/domain/document.ts';
import type { Incident, IncidentRecord } from '../../src/domain/incident.ts';
import { Tally } from '../../src/domain/tally.ts';
import { Statistics } from '../../src/projections/statistics.ts';
import { Incidents } from '../../src/projections/incidents.ts';
import { readWords } from '../../src/search/search-words.ts';
import { readCursor, writeCursor } from '../../src/api/incidents/cursor.ts';
import { IncidentList } from '../../src/projections/incident-list.ts';
import type { Alike } from '../../src/query/collapsed-page.ts';
import type { Cursor, ListQuery } from '../../src/query/list-query.ts';
import { SORTS } from '../../src/query/list-query.ts';
import { recordOf } from './support/record.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';

const START = Date.parse('2026-11-22T00:00:00.000Z');
const SOURCES = ['airlock', 'gpu-watcher', 'tool-firewall'] as const;

const kind = fc.record({
  class: fc.constantFrom(...CLASSES.slice(0, 3)),
  severity: fc.constantFrom(...SEVERITIES),
  state: fc.constantFrom(...STATES),
  source: fc.constantFrom(...SOURCES),
  description: fc.subarray(['Gateway', 'gate', 'refusé', 'tool_call', '10.0.0.7']).map((words) => words.join(', ')),
});

/** What is searched for, and how an incident shows that it has it. */
const SEARCHES: readonly (readonly [q: string, isIn: (incident: Incident) => boolean])[] = [
  ['gate', ({ description }) => /\bgate\b/.test(description)],
  ['gate*', ({ description }) => /gate/i.test(description)],
  ['REFUSE', ({ description }) => description.includes('refusé')],
  ['call tool', ({ description }) => description.includes('tool_call')],
  ['10.0.0.7 gateway', ({ description }) => /Gateway.*10\.0\.0\.7/.test(description)],
  ['gpu-watcher', ({ source }) => source === 'gpu-watcher'],
  ['INC-20261122-000000000007', ({ id }) => id.endsWith('-000000000007')],
  ['absent', () => false],
];

interface Deeds extends Pick<Incident, 'assignee' | 'acknowledged_by' | 'snoozed_until'> {
  readonly updated: number;
  readonly containment?: ContainmentStatus;
}

const timeAt = (second: number): string => new Date(START + second * 1000).toISOString();

/** All pages of a list as the API sends them, a line each with the place behind it. */
function pagesOf(list: IncidentList, query: ListQuery): string {
  const lines: string[] = [];
  for (let after: Cursor | undefined, done = false; !done;) {
    const { documents, next } = list.read({ ...query, ...(after !== undefined && { after }) });
    lines.push(`[${documents.map((one) => Buffer.from(one).toString()).join()}] ${JSON.stringify(next)}`);
    after = next;
    done = next === undefined;
  }
  return lines.join('\n');
}

/** What people and services do to incidents. */
const deeds = fc.record(
  {
    updated: fc.integer({ min: 0, max: 40 }),
    assignee: fc.constantFrom('ada', 'Ada', 'bob', 'Жанна', 'none of them'),
    acknowledged_by: fc.constantFrom('ada', 'eve'),
    snoozed_until: fc.constant('2026-12-01T00:00:00.000Z'),
    containment: fc.constantFrom(...CONTAINMENT_STATUSES),
  },
  { requiredKeys: ['updated'] },
);

const doneTo = ({ incident, ...rest }: IncidentRecord, { updated, containment, ...fields }: Deeds): IncidentRecord => ({
  ...rest,
  incident: {
    ...incident,
    ...fields,
    ...(containment && { containment: { status: containment, actions: [] } }),
    updated_at: new Date(START + updated * 60_000).toISOString(),
    version: 2,
  },
});

const furtherFilter = fc.record(
  {
    by: fc.subarray(['ada', 'eve', 'bob'], { minLength: 1 }),
    assignees: fc.subarray(['ada', 'bob', 'Жанна', null], { minLength: 1 }),
    snoozed: fc.boolean(),
    containment: fc.subarray([...CONTAINMENT_STATUSES], { minLength: 1 }),
    updatedSince: fc.integer({ min: -1, max: 41 }).map((minutes) => START + minutes * 60_000),
    sort: fc.constantFrom(...SORTS),
  },
  { requiredKeys: [] },
);

/** What the further filters admit, in order, the slow way. */
const furtherExpected = (records: readonly IncidentRecord[], query: ListQuery): readonly string[] => {
  const { by = [], assignees = [], snoozed, containment = [], updatedSince = 0, sort = 'severity' } = query;
  const admitted = records.filter(
    ({ incident }) =>
      (by.length === 0 || by.includes(incident.acknowledged_by ?? '')) &&
      (assignees.length === 0 || assignees.includes(incident.assignee ?? null)) &&
      (snoozed === undefined || snoozed === (incident.snoozed_until !== undefined)) &&
      (containment.length === 0 ||
        (incident.containment !== undefined && containment.includes(incident.containment.status))) &&
      Date.parse(incident.updated_at) >= updatedSince,
  );
  const ids = expected(admitted, query);
  const of = new Map(admitted.map((one) => [one.incident.id, one]));
  const [, minus, key] = /^(-?)(.*)$/.exec(sort)!;
  const isTime = key === 'created' || key === 'updated';
  const valueOf = ({ incident }: IncidentRecord): number | string => {
    if (key === 'severity') return SEVERITIES.indexOf(incident.severity);
    if (key === 'state') return STATES.indexOf(incident.state);
    if (isTime) return Date.parse(incident[`${key as 'created'}_at`]);
    return Buffer.from(incident[key as 'source'] ?? '').toString('hex');
  };
  const sign = minus === '-' ? -1 : 1;
  return ids
    .map((id) => of.get(id)!)
    .toSorted((one, other) => {
      const nobody = (given: IncidentRecord): number =>
        key === 'assignee' && given.incident.assignee === undefined ? 1 : 0;
      if (nobody(one) !== nobody(other)) return nobody(one) - nobody(other);
      const [a, b] = [valueOf(one), valueOf(other)];
      if (a !== b) return sign * (a < b ? -1 : 1);
      return isTime ? sign * (one.seq - other.seq) : other.seq - one.seq;
    })
    .map(({ incident }) => incident.id);
};

const someOf = <Value>(values: readonly Value[]) => fc.subarray([...values]);

const filter = fc.record(
  {
    classes: someOf(CLASSES.slice(0, 3)),
    states: someOf(STATES),
    severities: someOf(SEVERITIES),
    sources: someOf(SOURCES),
    since: fc.integer({ min: -7 * 60, max: 7 * 60 }).map((minutes) => START + minutes * 60_000),
    until: fc.integer({ min: -7 * 60, max: 7 * 60 }).map((minutes) => START + minutes * 60_000),
    limit: fc.integer({ min: 1, max: 20 }),
    search: fc.constantFrom(...SEARCHES),
  },
  { requiredKeys: ['classes', 'states', 'severities', 'sources', 'limit'] },
);

/** What the list should give, the slow way. */
const expected = (
  records: readonly IncidentRecord[],
  query: ListQuery,
  isIn: (incident: Incident) => boolean = () => true,
): readonly string[] => {
  const rank = ({ incident }: IncidentRecord): number => SEVERITIES.indexOf(incident.severity);
  const among = <Value>(values: readonly Value[], value: Value): boolean =>
    values.length === 0 || values.includes(value);
  return records
    .filter(({ incident }) => {
      const at = Date.parse(incident.created_at);
      return (
        isIn(incident) &&
        among(query.classes, incident.class) &&
        among(query.states, incident.state) &&
        among(query.severities, incident.severity) &&
        among(query.sources, incident.source) &&
        at >= (query.since ?? -Infinity) &&
        at < (query.until ?? Infinity)
      );
    })
    .toSorted((one, other) => rank(one) - rank(other) || other.seq - one.seq)
    .map(({ incident }) => incident.id);
};

describe('IncidentList', () => {
  const directory = temporaryDirectories();

  /** Gives a list and a function that puts records on it. */
  const withList = (
    work: (
      list: IncidentList,
      put: (record: IncidentRecord) => void,
      change: (before: IncidentRecord, now: IncidentRecord) => void,
    ) => void,
  ): void => {
    const database = Database.open(join(directory(), 'audit.sqlite'));
    const incidents = new Incidents(database);
    const statistics = new Statistics(database);
    database.begin();
    try {
      const attention = new Attention(database, new Silences(database), () => 0);
      work(
        new IncidentList(database, attention),
        (one) => {
          const tally = new Tally();
          tally.follow(one, undefined);
          incidents.store([{ before: undefined, now: one }]);
          statistics.add(tally);
        },
        (before, now) => incidents.store([{ before, now }]),
      );
    } finally {
      database.close();
    }
  };

  const idsOf = (documents: readonly Uint8Array[]): string[] =>
    documents.map((json) => (JSON.parse(Buffer.from(json).toString()) as Incident).id);

  it('lists what the filters admit, most severe first, then newest, over any number of pages', () => {
    const property = fc.property(
      fc.array(kind, { maxLength: 60, size: 'max' }),
      filter,
      (kinds, { search, ...filters }) => {
        const query: ListQuery = search === undefined ? filters : { ...filters, words: readWords(search[0]) };
        withList((list, put) => {
          const records = kinds.map((fields, index) => recordOf(index + 1, fields));
          for (const one of records) put(one);
          const pages: string[] = [];
          let after: Cursor | undefined;
          do {
            const { documents, next } = list.read(after === undefined ? query : { ...query, after });
            expect(documents.length).to.be.at.most(query.limit);
            pages.push(...idsOf(documents));
            after = next;
          } while (after !== undefined);
          expect(pages).to.deep.equal(expected(records, query, search?.[1]));
          const { total } = list.read(query);
          if (total !== undefined) expect(total).to.equal(pages.length);
          else expect([query.words, query.since, query.until].some((one) => one !== undefined)).to.equal(true);
        });
      },
    );
    fc.assert(property, { numRuns: 100 });
  });

  it('collapses those of one source that are alike into the newest, and counts the others, over any number of pages', () => {
    const property = fc.property(
      fc.array(kind, { maxLength: 60, size: 'max' }),
      filter,
      (kinds, { search, ...filters }) => {
        const query: ListQuery = search === undefined ? filters : { ...filters, words: readWords(search[0]) };
        withList((list, put) => {
          const records = kinds.map((fields, index) => recordOf(index + 1, fields));
          for (const one of records) put(one);
          const keyOf = ({ severity, state, class: ofClass, source }: Incident): string =>
            [severity, state, ofClass, source].join();
          const whole = expected(records, query, search?.[1]).map(
            (id) => records.find(({ incident }) => incident.id === id)!.incident,
          );
          const groups = Map.groupBy(whole, keyOf);
          const found = new Map<string, { id: string; count: number; times: string[] }>();
          let after: Cursor | undefined;
          do {
            const { documents, next } = list.read({ ...query, collapsed: true, ...(after && { after }) });
            expect(documents.length).to.be.at.most(query.limit);
            for (const document of documents) {
              const { alike, ...incident } = JSON.parse(Buffer.from(document).toString()) as Incident & {
                alike?: Alike;
              };
              const times = [incident.created_at, ...(alike === undefined ? [] : [alike.since, alike.until])];
              const known = found.get(keyOf(incident));
              const count = 1 + (alike?.count ?? 0);
              if (known === undefined) found.set(keyOf(incident), { id: incident.id, count, times });
              else Object.assign(known, { count: known.count + count, times: [...known.times, ...times] });
            }
            after = next;
          } while (after !== undefined);
          const earliest = (times: readonly string[]): string => times.toSorted()[0]!;
          expect([...found].map(([key, { id, count, times }]) => [key, id, count, earliest(times)])).to.deep.equal(
            [...groups].map(([key, all]) => [key, all[0]!.id, all.length, earliest(all.map((one) => one.created_at))]),
          );
        });
      },
    );
    fc.assert(property, { numRuns: 100 });
  });

  it('lists in any order, by who did what, by containment and by the latest change, over any number of pages', () => {
    const incident = fc.tuple(kind, fc.option(deeds, { nil: undefined }));
    const property = fc.property(
      fc.array(incident, { maxLength: 40, size: 'max' }),
      filter,
      furtherFilter,
      fc.boolean(),
      (given, { search: _, ...filters }, further, isMany) => {
        const query: ListQuery = { ...filters, ...further };
        withList((list, put, change) => {
          const records = given.map(([fields], at) => recordOf(at + 1, fields));
          for (const one of records) put(one);
          const now = records.map((one, at) => {
            const deed = given[at]![1];
            if (deed === undefined) return one;
            const done = doneTo(one, deed);
            change(one, done);
            return done;
          });
          const head = records.length;
          // What is not admitted must not hide what is, where there is much of it.
          if (isMany)
            for (let seq = 1; seq <= 300; seq++) put(recordOf(head + seq, { source: 'other', state: 'open' }));
          const asked = isMany && query.sources.length === 0 ? { ...query, sources: SOURCES } : query;
          const pages: string[] = [];
          let after: Cursor | undefined;
          do {
            const { documents, next } = list.read({ ...asked, ...(after && { after }) });
            expect(documents.length).to.be.at.most(query.limit);
            pages.push(...idsOf(documents));
            after = next && readCursor(writeCursor(next), query.sort);
          } while (after !== undefined);
          expect(pages, JSON.stringify(query)).to.deep.equal(furtherExpected(now, query));
        });
      },
    );
    fc.assert(property, { numRuns: 200 });
  }).timeout(60_000);

  it('lists very many in each order, from page to page, each once', () => {
    withList((list, put, change) => {
      const records = Array.from({ length: 2600 }, (_, at) =>
        recordOf(at + 1, {
          severity: SEVERITIES[at % 4]!,
          state: STATES[at % 3]!,
          source: `source-${at % 1100}`,
          class: CLASSES[at % 3]!,
        }),
      );
      for (const one of records) put(one);
      const now = records.map((one, at) => {
        const done = doneTo(one, { updated: at % 7, ...(at % 50 === 0 && { assignee: `p${at % 9}` }) });
        change(one, done);
        return done;
      });
      const all = { classes: [], states: [], severities: [], sources: [] };
      for (const sort of SORTS) {
        for (const filters of [{}, { snoozed: false, states: ['open', 'contained'] }] as const) {
          const query: ListQuery = { ...all, ...filters, sort, limit: 700 };
          const pages: string[] = [];
          let after: Cursor | undefined;
          do {
            const { documents, next } = list.read({ ...query, ...(after && { after }) });
            pages.push(...idsOf(documents));
            after = next;
          } while (after !== undefined);
          expect(pages, JSON.stringify([sort, filters])).to.deep.equal(furtherExpected(now, query));
        }
      }
    });
  }).timeout(60_000);

  it('keeps another source in sight behind a flood, on a page that looks at a bounded number', () => {
    withList((list, put) => {
      put(recordOf(1, { source: 'airlock' }));
      for (let seq = 2; seq <= 10_000; seq++) put(recordOf(seq, { source: 'tool-firewall' }));
      const query = { classes: [], states: [], severities: [], sources: [], limit: 1000, collapsed: true };
      const pages: (readonly [string, number])[][] = [];
      let after: Cursor | undefined;
      do {
        const { documents, next } = list.read({ ...query, ...(after && { after }) });
        pages.push(
          documents.map((document) => {
            const { source, alike } = JSON.parse(Buffer.from(document).toString()) as Incident & { alike?: Alike };
            return [source, alike?.count ?? 0] as const;
          }),
        );
        after = next;
      } while (after !== undefined);
      expect(pages).to.deep.equal([
        ...Array.from({ length: 9 }, () => [['tool-firewall', 1023]]),
        [
          ['tool-firewall', 782],
          ['airlock', 0],
        ],
      ]);
    });
  }).timeout(20_000);

  it('fetches on where a stretch is longer than one fetch', () => {
    withList((list, put) => {
      for (let seq = 1; seq <= 500; seq++) put(recordOf(seq, { severity: seq % 2 === 0 ? 'high' : 'low' }));
      const { documents } = list.read({ classes: [], states: [], severities: [], sources: [], limit: 1000 });
      const numbers = Array.from({ length: 250 }, (_, index) => 500 - 2 * index);
      expect(idsOf(documents).map((id) => Number(id.slice(-12)))).to.deep.equal([
        ...numbers,
        ...numbers.map((number) => number - 1),
      ]);
    });
  });

  it('leaves out the details of incidents where that is asked for, after any change', () => {
    const text = fc.string({ unit: 'binary', maxLength: 8 });
    const detailed = fc.record(
      {
        evidence: fc.dictionary(
          text,
          fc.oneof(fc.jsonValue({ maxDepth: 2 }), fc.constant({ evidence: 1, hash: '","hash":"' })),
        ),
        latest_report: fc.record({
          severity: fc.constant('low'),
          description: text,
          evidence: fc.constant({ hash: 'é' }),
        }),
        description: text,
        note: text,
        notes_count: fc.nat(),
        source: fc.constantFrom('é', 'a', '😀"'),
      },
      { requiredKeys: [] },
    );
    const property = fc.property(fc.array(fc.tuple(detailed, detailed), { minLength: 1, maxLength: 8 }), (given) => {
      withList((list, put, change) => {
        for (const [at, [fields, changed]] of given.entries()) {
          const before = recordOf(at + 1, fields as Partial<Incident>);
          put(before);
          if (at % 2 === 1) continue;
          change(before, {
            ...before,
            incident: { ...before.incident, ...(changed as Partial<Incident>), version: 10 },
          });
        }
        const query = { classes: [], states: [], severities: [], sources: [], limit: 1000 };
        const read = (more: object): readonly Record<string, unknown>[] =>
          list.read({ ...query, ...more }).documents.map((one) => JSON.parse(Buffer.from(one).toString()) as never);
        for (const more of [{}, { collapsed: true }, { sort: '-updated' }]) {
          const summaries = read(more).map((one) =>
            Object.fromEntries(Object.entries(one).filter(([name]) => !(DETAILS as readonly string[]).includes(name))),
          );
          expect(read({ ...more, isSummary: true })).to.deep.equal(summaries);
        }
      });
    });
    fc.assert(property, { numRuns: 100 });
  });

  it('joins incidents without details, and ends each page where it would end without that', () => {
    withList((list, put) => {
      for (let seq = 1; seq <= 300; seq++) {
        const severity = SEVERITIES[seq % 4]!;
        put(recordOf(seq, { severity, description: 'é'.repeat(seq === 150 ? 4000 : seq), created_at: timeAt(seq) }));
      }
      const query = { classes: [], states: [], severities: [], sources: [], isSummary: true };
      for (const more of [
        { limit: 1000 },
        { limit: 64 },
        { limit: 7 },
        { limit: 1 },
        { limit: 1000, bytes: 6000 },
        { limit: 40, since: Date.parse(timeAt(31)), until: Date.parse(timeAt(202)) },
        { limit: 90, sort: '-created' as const },
      ]) {
        expect(pagesOf(list, { ...query, ...more, isJoined: true })).to.equal(pagesOf(list, { ...query, ...more }));
      }
      expect(list.read({ ...query, limit: 300, isJoined: true }).documents).to.have.length(5);
    });
  });

  it('gives pages without details of half the length', () => {
    withList((list, put) => {
      for (let seq = 1; seq <= 1000; seq++) put(recordOf(seq, { evidence: { text: 'x'.repeat(900) } }));
      const query = { classes: [], states: [], severities: [], sources: [], limit: 500 };
      const bytesOf = (documents: readonly Uint8Array[]): number =>
        documents.reduce((sum, { length }) => sum + length, 0);
      const [whole, summary] = [list.read(query), list.read({ ...query, isSummary: true })];
      expect(idsOf(summary.documents)).to.deep.equal(idsOf(whole.documents));
      expect(bytesOf(summary.documents)).to.be.below(bytesOf(whole.documents) / 2);
    });
  });

  it('ends a page that has become very long', () => {
    withList((list, put) => {
      for (let seq = 1; seq <= 5; seq++) put(recordOf(seq, { description: 'x'.repeat(300 * 1024) }));
      const first = list.read({ classes: [], states: [], severities: [], sources: [], limit: 1000 });
      expect(first.documents).to.have.length(3);
      const second = list.read({
        classes: [],
        states: [],
        severities: [],
        sources: [],
        limit: 1000,
        after: first.next!,
      });
      expect(idsOf([...first.documents, ...second.documents])).to.have.length(5);
    });
  });

  it('ends a page of a search early where words and filters have little in common, and goes on', () => {
    withList((list, put) => {
      // The state of every other incident is asked for, and the word of the others: nothing but the first has both.
      for (let seq = 1; seq <= 80_000; seq++) {
        const odd = seq % 2 === 1;
        put(recordOf(seq, { state: odd ? 'open' : 'resolved', description: odd && seq > 1 ? 'this' : 'that' }));
      }
      const query = { classes: [], states: ['open'], severities: [], sources: [], words: readWords('that'), limit: 5 };
      let pages = 1;
      let page = list.read(query as ListQuery);
      for (; page.next !== undefined; pages++) {
        expect(page.documents).to.deep.equal([]);
        page = list.read({ ...query, after: page.next } as ListQuery);
      }
      expect(idsOf(page.documents)).to.deep.equal([recordOf(1, {}).incident.id]);
      expect(pages).to.be.greaterThan(1);
    });
  }).timeout(60_000);

  it('gives later pages as if nothing had been reported since the first', () => {
    withList((list, put) => {
      const everything = { classes: [], states: [], severities: [], sources: [], limit: 3 };
      for (let seq = 1; seq <= 6; seq++) put(recordOf(seq, { severity: 'medium' }));
      const first = list.read(everything);
      for (let seq = 7; seq <= 12; seq++) {
        put(recordOf(seq, { severity: seq % 2 === 0 ? 'critical' : 'low' }));
      }
      const second = list.read({ ...everything, after: first.next! });
      expect([...idsOf(first.documents), ...idsOf(second.documents)].map((id) => Number(id.slice(-12)))).to.deep.equal([
        6, 5, 4, 3, 2, 1,
      ]);
      expect(second.next).to.equal(undefined);
    });
  });
});
