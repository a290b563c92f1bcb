import { expect } from 'chai';
import fc from 'fast-check';
import { ACTIONS, CLASSES, SEVERITIES, STATES } from '../../machines/vocabulary.ts';
import { HOUR } from '../../src/clock.ts';
import {
  admits,
  apiQuery,
  bulkFilterOf,
  CONTAINMENTS,
  type Filters,
  needsAttention,
  NO_FILTERS,
  readFilters,
  SORTS,
  toggled,
  writeFilters,
} from '../../src/console/filters.ts';
import { readBulkFilter } from '../../src/api/incidents/bulk-filter.ts';
import { readListQuery } from '../../src/api/incidents/list-query.ts';
import { fragmentOf, readRoute, VIEWS } from '../../src/console/route.ts';

const NOW = Date.parse('2026-11-22T07:12:00.000Z');
const time = fc.integer({ min: NOW - 1000 * HOUR, max: NOW }).map((at) => new Date(at).toISOString());

const filters: fc.Arbitrary<Filters> = fc.record(
  {
    classes: fc.subarray([...CLASSES]),
    states: fc.subarray([...STATES]),
    severities: fc.subarray([...SEVERITIES]),
    sources: fc.uniqueArray(fc.string({ minLength: 1, maxLength: 20 }), { maxLength: 3 }),
    words: fc.string({ maxLength: 20 }).map((text) => text.trim()),
    holds: fc.constantFrom(...ACTIONS),
    last: fc.constantFrom('1h', '24h', '7d'),
    since: time,
    until: time,
    attention: fc.constant(true as const),
    snoozed: fc.constant(true as const),
    silenced: fc.boolean(),
    assignee: fc.constantFrom('none', 'ada'),
    by: fc.constant('bo'),
    containment: fc.constantFrom(...CONTAINMENTS),
    sort: fc.constantFrom(...SORTS, '-created' as const),
    grouped: fc.boolean(),
  },
  { requiredKeys: ['classes', 'states', 'severities', 'sources', 'words'] },
);

describe('the filters of the list', () => {
  it('stand in the address and come back from it', () => {
    fc.assert(
      fc.property(filters, (given) => {
        expect(readFilters(writeFilters(given))).to.deep.equal(given);
      }),
    );
  });

  it('pass over what they do not know', () => {
    expect(readFilters('state=closed&class=x&severity=HIGH&last=1y&since=never&foo=bar')).to.deep.equal(
      readFilters(''),
    );
  });

  it('ask the API for what it understands', () => {
    fc.assert(
      fc.property(filters, ({ classes, states, severities, sources, last }) => {
        const given = { classes, states, severities, sources, ...(last !== undefined && { last }) };
        const query = readListQuery(apiQuery({ ...given, words: '' }, NOW).toString(), 0);
        expect(query.states).to.have.members([...given.states]);
        expect(query.sources).to.deep.equal(given.sources);
        expect(query.since === undefined).to.equal(given.last === undefined);
      }),
    );
  });

  it('select for a command what they list, and never everything', () => {
    fc.assert(
      fc.property(filters, (given) => {
        const filter = bulkFilterOf({ ...given, words: 'a', by: undefined, until: undefined }, NOW);
        expect(filter === undefined).to.equal(given.holds !== undefined);
        if (filter === undefined) return;
        const { query } = readBulkFilter(filter, NOW);
        const listed = readListQuery(
          apiQuery({ ...given, words: 'a', by: undefined, until: undefined, sort: undefined }, NOW).toString(),
          NOW,
        );
        for (const name of ['states', 'classes', 'severities', 'sources', 'since', 'until', 'assignees'] as const)
          expect(query[name], name).to.deep.equal(listed[name]);
      }),
    );
    expect(bulkFilterOf(NO_FILTERS, NOW)).to.equal(undefined);
  });

  const incident = {
    class: 'prompt_injection',
    state: 'open',
    severity: 'high',
    source: 'airlock',
    created_at: new Date(NOW - HOUR / 2).toISOString(),
    actions: ['freeze_agent'],
  } as const;

  for (const [query, expected] of [
    ['', true],
    ['state=open&state=contained', true],
    ['state=resolved', false],
    ['severity=high&class=prompt_injection&source=airlock', true],
    ['severity=low', false],
    ['source=vault', false],
    ['holds=freeze_agent', true],
    ['holds=log_alert', false],
    ['last=1h', true],
    ['since=2026-11-22T07:00:00Z', false],
    ['until=2026-11-22T07:00:00Z', true],
  ] as const) {
    it(`${expected ? 'admit' : 'do not admit'} an incident under ${query || 'nothing'}`, () => {
      expect(admits(readFilters(query), incident, NOW)).to.equal(expected);
    });
  }

  it('know what needs attention', () => {
    const { ...open } = incident;
    const taken = { ...open, state: 'acknowledged' } as const;
    for (const [one, expected] of [
      [open, true],
      [{ ...open, state: 'contained' }, true],
      [taken, false],
      [{ ...taken, containment: 'overdue' }, true],
      [{ ...taken, containment: 'degraded' }, true],
      [{ ...taken, needs_recovery: true }, true],
      [{ ...open, snoozed_until: '2026-11-22T08:00:00.000Z' }, false],
      [{ ...open, silenced: true }, false],
      [{ ...open, drill: true }, false],
      [{ ...open, state: 'resolved' }, false],
    ] as const) {
      expect(needsAttention(one), JSON.stringify(one)).to.equal(expected);
    }
  });

  it('take a word out that is in, and put one in that is not', () => {
    const open = toggled(readFilters(''), 'states', 'open');
    expect(open.states).to.deep.equal(['open']);
    expect(toggled(open, 'states', 'open').states).to.deep.equal([]);
  });
});

describe('the address of a view', () => {
  it('leads back to it', () => {
    const id = fc.string({ minLength: 1 }).filter((text) => text.isWellFormed());
    const given = fc.record(
      { view: fc.constantFrom(...VIEWS), query: filters.map(writeFilters), id },
      { requiredKeys: ['view', 'query'] },
    );
    fc.assert(
      fc.property(given, (route) => {
        expect(readRoute(fragmentOf(route))).to.deep.equal(route);
      }),
    );
  });

  it('is the list of what needs attention when it is none', () => {
    for (const fragment of ['', '#', '#/nowhere', '#/../x']) {
      expect(readRoute(fragment)).to.deep.equal({ view: 'incidents', query: 'attention=true' });
    }
  });
});
