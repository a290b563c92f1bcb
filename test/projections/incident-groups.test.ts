import { join } from 'node:path';
import { expect } from 'chai';
import fc from 'fast-check';
import { CLASSES, SEVERITIES, type State, STATES } from '../../machines/vocabulary.ts';
import type { Incident, IncidentRecord } from '../../src/domain/incident.ts';
import { Attention } from '../../src/projections/attention.ts';
import { Database } from '../../src/projections/database.ts';
import { IncidentGroups } from '../../src/projections/incident-groups.ts';
import { GROUP_MEMBERS, type GroupMember, type GroupsPage } from '../../src/query/incident-groups.ts';
import { IncidentList } from '../../src/projections/incident-list.ts';
import type { ListQuery } from '../../src/query/list-query.ts';
import { Incidents } from '../../src/projections/incidents.ts';
import { readWords } from '../../src/search/search-words.ts';
import { Silences } from '../../src/projections/silences.ts';
import { Tally } from '../../src/domain/tally.ts';
import { Statistics } from '../../src/projections/statistics.ts';
import { recordOf } from './support/record.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';

const START = Date.parse('2026-11-22T00:00:00.000Z');
const SOURCES = ['airlock', 'drill', 'tool-firewall'] as const;
const EVERYTHING: ListQuery = { classes: [], states: [], severities: [], sources: [], limit: 1 };

const kind = fc.record(
  {
    class: fc.constantFrom(...CLASSES.slice(0, 3)),
    severity: fc.constantFrom(...SEVERITIES),
    state: fc.constantFrom(...STATES),
    source: fc.constantFrom(...SOURCES),
    description: fc.constantFrom('Gateway', 'gate', 'tool_call'),
    assignee: fc.constantFrom('ada', 'grace'),
    containment: fc
      .constantFrom('overdue', 'degraded', 'delivering', 'confirmed')
      .map((status) => ({ status, actions: [] })) as fc.Arbitrary<NonNullable<Incident['containment']>>,
    drill: fc.constant(true as const),
  },
  { requiredKeys: ['class', 'severity', 'state', 'source', 'description'] },
);

const someOf = <Value>(values: readonly Value[]) => fc.subarray([...values]);
const minute = fc.integer({ min: -7 * 60, max: 7 * 60 }).map((minutes) => START + minutes * 60_000);

const filter = fc.record(
  {
    classes: someOf(CLASSES.slice(0, 3)),
    states: someOf(STATES),
    severities: someOf(SEVERITIES),
    sources: someOf(SOURCES),
    since: minute,
    until: minute,
    word: fc.constantFrom('gate', 'gateway'),
  },
  { requiredKeys: ['classes', 'states', 'severities', 'sources'] },
);

const members = fc.subarray([...GROUP_MEMBERS], { minLength: 1 });

const memberOf = (incident: Incident, member: GroupMember): unknown =>
  member === 'assignee' ? (incident.assignee ?? null) : incident[member];

/** What a group should be, the slow way. */
const groupsOf = (records: readonly IncidentRecord[], by: readonly GroupMember[]): readonly object[] => {
  const groups = Map.groupBy(records, ({ incident }) => JSON.stringify(by.map((member) => memberOf(incident, member))));
  const all = [...groups.values()].map((some) => {
    const inOrder = some.toSorted((one, other) => one.seq - other.seq);
    const [first, last] = [inOrder[0]!, inOrder.at(-1)!];
    const ranks = some.map(({ incident }) => SEVERITIES.indexOf(incident.severity));
    const unresolved = some.map(({ incident }) => incident).filter(({ state }) => state !== 'resolved');
    const withStatus = (status: string): number =>
      unresolved.filter(({ containment }) => containment?.status === status).length;
    const assigned = Map.groupBy(
      unresolved.filter(({ assignee }) => assignee !== undefined),
      ({ assignee }) => assignee!,
    );
    const counts = STATES.map((state): [State, number] => [
      state,
      some.filter(({ incident }) => incident.state === state).length,
    ]);
    return {
      last: last.seq,
      rank: Math.min(...ranks),
      group: {
        ...Object.fromEntries(by.map((member) => [member, memberOf(last.incident, member)])),
        count: some.length,
        first: first.incident.created_at,
        last: last.incident.created_at,
        severity: SEVERITIES[Math.min(...ranks)],
        states: Object.fromEntries(counts.filter(([, count]) => count > 0)),
        newest: last.incident.id,
        description: last.incident.description,
        ...(unresolved.length > 0 && {
          assignees: Object.fromEntries([...assigned].map(([who, theirs]) => [who, theirs.length])),
          containment: {
            overdue: withStatus('overdue'),
            broken: withStatus('degraded'),
            delivering: withStatus('delivering'),
            confirmed: withStatus('confirmed'),
          },
        }),
      },
    };
  });
  return all.toSorted((one, other) => one.rank - other.rank || other.last - one.last).map(({ group }) => group);
};

describe('IncidentGroups', () => {
  const directory = temporaryDirectories();
  const turn = async (): Promise<void> => {};

  const withGroups = async (
    work: (groups: IncidentGroups, put: (record: IncidentRecord) => void) => Promise<void>,
  ): Promise<void> => {
    const database = Database.open(join(directory(), 'audit.sqlite'));
    const incidents = new Incidents(database);
    const statistics = new Statistics(database);
    database.begin();
    try {
      await work(
        new IncidentGroups(
          database,
          new IncidentList(database, new Attention(database, new Silences(database), () => 0)),
        ),
        (one) => {
          const tally = new Tally();
          tally.follow(one, undefined);
          incidents.store([{ before: undefined, now: one }]);
          statistics.add(tally);
        },
      );
    } finally {
      database.close();
    }
  };

  it('groups what the filters admit by what is asked for, the worst first, over any number of pages', () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(kind, { maxLength: 60, size: 'max' }),
        filter,
        members,
        fc.integer({ min: 1, max: 9 }),
        fc.boolean(),
        (kinds, { word, ...filters }, by, limit, withoutDrills) =>
          withGroups(async (groups, put) => {
            // Drills have a source of their own.
            const records = kinds.map(({ drill, ...fields }, index) =>
              recordOf(index + 1, fields.source === 'drill' && drill === true ? { ...fields, drill } : fields),
            );
            for (const one of records) put(one);
            const among = <Value>(values: readonly Value[], value: Value): boolean =>
              values.length === 0 || values.includes(value);
            const admitted = records.filter(({ incident }) => {
              const at = Date.parse(incident.created_at);
              return (
                among(filters.classes, incident.class) &&
                among(filters.states, incident.state) &&
                among(filters.severities, incident.severity) &&
                among(filters.sources, incident.source) &&
                at >= (filters.since ?? -Infinity) &&
                at < (filters.until ?? Infinity) &&
                (word === undefined || incident.description.toLowerCase() === word) &&
                (!withoutDrills || incident.drill !== true)
              );
            });
            const query: ListQuery = { ...filters, limit: 1, ...(word !== undefined && { words: readWords(word) }) };
            const found: object[] = [];
            let page: GroupsPage;
            do {
              page = await groups.read({ filter: query, by, limit, skip: found.length, withoutDrills }, turn);
              found.push(...page.groups);
            } while (page.groups.length === limit);
            const expected = groupsOf(admitted, by);
            // Which drills are whose does not matter where they are left out.
            const bare = (group: object): object => ({ ...group, assignees: 0, containment: 0 });
            if (withoutDrills) expect(found.map(bare)).to.deep.equal(expected.map(bare));
            else expect(found).to.deep.equal(expected);
            expect([page.incidents, page.total, page.isComplete]).to.deep.equal([
              admitted.length,
              expected.length,
              true,
            ]);
          }),
      ),
      { numRuns: 200 },
    )).timeout(60_000);

  it('counts in slices, and lets others have their turn between them', () =>
    withGroups(async (groups, put) => {
      for (let seq = 1; seq <= 9000; seq++)
        put(
          recordOf(seq, {
            source: seq % 3 === 0 ? 'airlock' : 'tool-firewall',
            state: seq % 2 === 0 ? 'open' : 'resolved',
          }),
        );
      let turns = 0;
      const count = async (): Promise<void> => {
        turns += 1;
        // What comes meanwhile does not count.
        put(recordOf(9000 + turns, {}));
      };
      const { groups: found, incidents } = await groups.read(
        { filter: EVERYTHING, by: ['class', 'source'], limit: 10, skip: 0 },
        count,
      );
      expect(incidents).to.equal(9000);
      expect(found.map(({ source, count: of, states }) => [source, of, states])).to.deep.equal([
        ['airlock', 3000, { open: 1500, resolved: 1500 }],
        ['tool-firewall', 6000, { open: 3000, resolved: 3000 }],
      ]);
      expect(turns).to.be.greaterThan(5);
    })).timeout(20_000);

  it('says at how many it has looked where a group has more unresolved ones than it looks at', () =>
    withGroups(async (groups, put) => {
      for (let seq = 1; seq <= 1500; seq++) put(recordOf(seq, { assignee: 'ada' }));
      const { groups: found } = await groups.read({ filter: EVERYTHING, by: ['class'], limit: 10, skip: 0 }, turn);
      expect(found.map(({ count, assignees, looked_at: looked }) => [count, assignees?.ada, looked])).to.deep.equal([
        [1500, 512, 512],
      ]);
    })).timeout(20_000);

  it('shows the beginning of a long description, and reads no other document', () =>
    withGroups(async (groups, put) => {
      for (let seq = 1; seq <= 5; seq++)
        put(recordOf(seq, { assignee: 'ada', description: '\u{1f525}'.repeat(50_000) }));
      let turns = 0;
      const { groups: found } = await groups.read(
        { filter: EVERYTHING, by: ['assignee'], limit: 10, skip: 0 },
        async () => void (turns += 1),
      );
      expect(found.map(({ count, description }) => [count, description])).to.deep.equal([
        [5, `${'\u{1f525}'.repeat(500)}…`],
      ]);
      expect(turns).to.equal(1);
    }));

  it('reads the newest incidents of many groups in several turns', () =>
    withGroups(async (groups, put) => {
      for (let seq = 1; seq <= 100; seq++) put(recordOf(seq, { source: `source-${seq}`, state: 'resolved' }));
      let turns = 0;
      const query = { filter: EVERYTHING, by: ['source'], limit: 1000, skip: 0, isBare: true } as const;
      const { groups: found } = await groups.read(query, async () => void (turns += 1));
      expect(new Set(found.map(({ source }) => source)).size).to.equal(100);
      expect(turns).to.equal(3);
    }));

  it('keeps a bounded number of groups, and says that there are more', () =>
    withGroups(async (groups, put) => {
      for (let seq = 1; seq <= 10_050; seq++) put(recordOf(seq, { source: `source-${seq}`, state: 'resolved' }));
      const page = await groups.read({ filter: EVERYTHING, by: ['source'], limit: 10, skip: 0 }, turn);
      expect([page.incidents, page.total, page.isComplete]).to.deep.equal([10_050, 10_000, false]);
    })).timeout(30_000);
});
