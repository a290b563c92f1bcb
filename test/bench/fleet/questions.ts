/** What readers ask a fleet for, by kind: paths that are asked in turn, and how long each may take. */
import { sql } from 'kysely';
import { CLASSES, SEVERITIES, STATES } from '../../../machines/vocabulary.ts';
import { HOUR } from '../../../src/clock.ts';
import { PlaceSeal } from '../../../src/fleet/api/cursor.ts';
import type { FleetDatabase } from '../../../src/fleet/database.ts';
import { type Sort, SORTS, type SortedBy } from '../../../src/query/list-query.ts';
import { newSigner } from '../../../src/signed-note.ts';

/** In milliseconds, 99 times of a hundred. */
const WANTED = { list: 50, search: 200, stats: 100 } as const;

export interface Question {
  readonly kind: keyof typeof WANTED;
  readonly name: string;
  readonly paths: readonly string[];
  /** Asked by somebody who sees the machines of one site alone. */
  readonly isBound?: true;
}

export const wantedOf = ({ kind }: Question): number => WANTED[kind];

const LIST = '/api/v1/incidents';
/** How many places of a list are looked at. */
const DEEP = 25;

interface Sampled {
  readonly machine: string;
  readonly id: string;
  readonly number: number;
  readonly class: string;
  readonly rank: number;
  readonly state: string;
  readonly source: string;
  readonly assignee: string | null;
  readonly created_at: Date;
  readonly updated_at: Date;
}

/** @param now milliseconds since the epoch: the end of the month that the database holds */
export async function questionsOf(db: FleetDatabase, now: number): Promise<readonly Question[]> {
  const { rows: some } = await sql<Sampled>`
    SELECT machine, id, number, class, rank, state, source, assignee, created_at, updated_at FROM incidents
    ORDER BY md5(machine || id) LIMIT ${sql.lit(4 * DEEP)}`.execute(db);
  // What the copies have of their own.
  const { rows: words } = await sql<{ word: string }>`
    SELECT substr(l.word, 2) AS word FROM (SELECT * FROM words ORDER BY md5(id || machine) LIMIT 100) AS w
    CROSS JOIN LATERAL (
      SELECT word FROM unnest(tsvector_to_array(w.search)) AS word WHERE word ~ '^c[0-9a-f]{10}$' LIMIT 1) AS l LIMIT 25`.execute(
    db,
  );
  const { rows: largest } = await sql<{
    machine: string;
  }>`SELECT machine FROM logs ORDER BY through DESC LIMIT 1`.execute(db);
  const large = largest[0]!.machine;
  const { rows: ofLarge } = await sql<{ id: string; version: number }>`
    SELECT id, version FROM incidents WHERE machine = ${large} ORDER BY version DESC LIMIT 1`.execute(db);
  const [long] = ofLarge;
  const { rows: campaigns } = await sql<{ campaign: string }>`SELECT campaign FROM campaigns LIMIT 25`.execute(db);
  const places = new PlaceSeal(newSigner('bench'));
  const list = (name: string, ...queries: string[]): Question => ({
    kind: 'list',
    name: `list ${name}`,
    paths: queries.map((query) => `${LIST}?${query}`),
  });
  const search = (name: string, ...queries: string[]): Question => ({
    kind: 'search',
    name: `search ${name}`,
    paths: queries.map((query) => `${LIST}?${query}`),
  });
  const stats = (name: string, ...paths: string[]): Question => ({ kind: 'stats', name, paths });
  const other = (name: string, ...paths: string[]): Question => ({ kind: 'list', name, paths });
  const ago = (hours: number): string => encodeURIComponent(new Date(now - hours * HOUR).toISOString());
  const each = <Value>(values: readonly Value[], query: (value: Value, at: number) => string): string[] =>
    values.map(query);
  const [machines, sources, people] = [
    [...new Set(some.map(({ machine }) => machine))].slice(0, DEEP),
    [...new Set(some.map(({ source }) => source))],
    ['ada', 'grace', 'hedy'],
  ];
  /** Places all over a list. */
  const deep = (sort: Sort, filter = ''): string[] =>
    some
      .slice(0, DEEP)
      .map((one) => `sort=${sort}&cursor=${places.write(placeIn(sort, one))}${filter && `&${filter}`}`);
  const combined = [
    'state=open&severity=low',
    'class=attestation_failure&state=open',
    'class=prompt_injection&source=browser-sandbox',
    'source=vault&assignee=ada',
    'containment=overdue&class=tool_call_burst',
    'resolution=false_positive&class=integrity_violation',
    'assignee=none&state=acknowledged',
    'state=acknowledged&class=model_behavior_anomaly&assignee=hedy',
    'snoozed=false&state=contained',
    `since=${ago(30)}&source=vault`,
    `updated_since=${ago(5)}&class=prompt_injection`,
    'label.role=lab&state=open',
    'site=berlin&class=attestation_failure&state=acknowledged',
    'containment=confirmed&severity=critical&state=resolved',
    'containment=confirmed&source=airlock&assignee=ada',
  ];
  const general: Question[] = [
    ...SORTS.map((sort) => list(`sort=${sort}, first`, `sort=${sort}`, `sort=${sort}&limit=1000`)),
    ...SORTS.map((sort) => list(`sort=${sort}, deep`, ...deep(sort))),
    list('class, first', ...each(CLASSES, (one) => `class=${one}`)),
    list('class, deep', ...CLASSES.flatMap((one) => deep('severity', `class=${one}`).slice(0, 4))),
    list('state, first', ...each(STATES, (one) => `state=${one}`)),
    list('state, deep', ...STATES.flatMap((one) => deep('created', `state=${one}`).slice(0, 6))),
    list('severity', ...each(SEVERITIES, (one) => `severity=${one}`)),
    list('source, first', ...each(sources, (one) => `source=${one}`)),
    list('source, deep', ...sources.flatMap((one) => deep('-created', `source=${one}`).slice(0, 2))),
    list('assignee', ...each(people, (one) => `assignee=${one}`), 'assignee=none', ...deep('severity', 'assignee=ada')),
    list('containment', ...['delivering', 'overdue', 'confirmed', 'degraded'].map((one) => `containment=${one}`)),
    list(
      'resolution',
      'resolution=false_positive',
      'resolution=true_positive',
      ...deep('-updated', 'resolution=false_positive'),
    ),
    list(
      'attention',
      'attention=true',
      'attention=true&silenced=false',
      'silenced=true',
      'attention=true&sort=-created',
    ),
    list(
      'times',
      ...[1, 5, 30, 200, 600].flatMap((hours) => [
        `since=${ago(hours)}`,
        `until=${ago(hours)}`,
        `since=${ago(hours + 1)}&until=${ago(hours)}`,
      ]),
    ),
    list('updated since', ...[0.1, 1, 10, 100, 500].map((hours) => `updated_since=${ago(hours)}`)),
    list('combined', ...combined),
    list('combined, created', ...combined.map((one) => `${one}&sort=-created`)),
    list('combined, updated', ...combined.map((one) => `${one}&sort=-updated`)),
    list('of one machine', ...each(machines, (one) => `machine=${one}`)),
    list('of one machine, filters', ...each(machines, (one, at) => `machine=${one}&${combined[at % combined.length]}`)),
    list(
      'site',
      ...['berlin', 'oslo', 'turin'].flatMap((one) => [
        `site=${one}`,
        `site=${one}&sort=-created`,
        `site=${one}&sort=source`,
        `site=${one}&state=acknowledged`,
      ]),
    ),
    list('site, deep', ...deep('-created', 'site=oslo'), ...deep('severity', 'site=lyon')),
    list('collapsed', 'collapse=source', 'collapse=source&state=acknowledged', 'collapse=source&sort=-created'),
    list('summary', 'fields=summary', 'fields=summary&limit=1000'),
  ];
  const searches: Question[] = [
    search('rare word', ...words.slice(0, 15).map(({ word }) => `q=${word}`), 'q=nobodysaysthis'),
    search('common word', 'q=agent', 'q=session', 'q=injection', 'q=seen%20prompt', 'q=the', 'q=vault'),
    search('word of a machine', ...each(machines.slice(0, 10), (one) => `q=on${one}`)),
    search(
      'two words',
      'q=prompt%20session',
      'q=vault%20manifest',
      'q=burst%20agent-7',
      'q=integrity%2017',
      'q=model%20prompt',
      ...each(words.slice(15, 20), ({ word }) => `q=agent%20${word}`),
    ),
    search('beginning', 'q=inj*', 'q=age*', 'q=ses*', ...words.slice(20).map(({ word }) => `q=${word.slice(0, 5)}*`)),
    search(
      'evidence',
      'q=evidence.tool:shell',
      'q=evidence.attempts:7',
      'q=evidence.model_hash:%22sha256:7%22',
      'q=evidence.process.uid:1003%20prompt',
    ),
    search(
      'term and word',
      'q=by:ada',
      'q=by:ada%20prompt',
      'q=source:vault%20session',
      'q=assignee:hedy',
      'q=class:integrity_violation%20seen',
    ),
    search(
      'with labels',
      'q=prompt&site=berlin',
      'q=session&label.role=lab',
      'q=attestation&site=oslo&state=open',
      ...words.slice(0, 5).map(({ word }) => `q=${word}&site=bern`),
    ),
    search(
      'with filters',
      'q=agent&state=open',
      'q=session&severity=low&state=acknowledged',
      'q=prompt&source=vault',
      'q=vault&assignee=ada&state=open',
      'q=agent&sort=-created',
      'q=agent&sort=-updated',
      'q=agent&sort=source',
    ),
  ];
  const statistics: Question[] = [
    stats('stats', '/api/v1/stats', '/api/v1/stats?site=berlin', '/api/v1/stats?label.role=lab'),
    stats('stats of a machine', ...each(machines, (one) => `/api/v1/stats?machine=${one}`)),
    stats('hours', ...[24, 168, 1, 100].map((one) => `/api/v1/stats/hours?hours=${one}`)),
    stats(
      'hours, labels',
      ...[24, 168].flatMap((one) => [
        `/api/v1/stats/hours?hours=${one}&site=berlin`,
        `/api/v1/stats/hours?hours=${one}&label.role=lab`,
      ]),
    ),
    stats(
      'compare, a day',
      '/api/v1/stats/compare',
      ...['class', 'source', 'severity', 'hour'].map(
        (by) => `/api/v1/stats/compare?by=${by}&since=${ago(24)}&until=${ago(0)}`,
      ),
    ),
    stats(
      'compare, a week',
      ...['class', 'source', 'severity', 'hour'].map(
        (by) => `/api/v1/stats/compare?by=${by}&since=${ago(168)}&until=${ago(0.3)}`,
      ),
    ),
    stats(
      'compare, a month',
      ...['class', 'source', 'severity', 'hour'].map(
        (by) => `/api/v1/stats/compare?by=${by}&since=${ago(720)}&until=${ago(0)}`,
      ),
    ),
    stats(
      'compare, labels',
      ...[24, 168, 720].map((hours) => `/api/v1/stats/compare?since=${ago(hours)}&until=${ago(0)}&site=oslo`),
    ),
    stats(
      'labels of few and of most',
      ...['first', 'late'].flatMap((ring) => [
        `/api/v1/stats?label.ring=${ring}`,
        `/api/v1/stats/hours?hours=24&label.ring=${ring}`,
        `/api/v1/stats/compare?label.ring=${ring}`,
      ]),
      `/api/v1/stats?machine=${large}`,
      `/api/v1/stats/groups?machine=${large}`,
    ),
    stats(
      'groups for statistics',
      '/api/v1/stats/groups',
      '/api/v1/stats/groups?by=source',
      `/api/v1/stats/groups?since=${ago(24)}`,
    ),
  ];
  const others: Question[] = [
    other(
      'groups',
      `${LIST}/groups`,
      `${LIST}/groups?by=machine`,
      `${LIST}/groups?by=source&state=acknowledged`,
      `${LIST}/groups?state=open`,
      `${LIST}/groups?attention=true`,
      `${LIST}/groups?site=berlin`,
      `${LIST}/groups?since=${ago(24)}`,
    ),
    other(
      'groups, wide and narrow',
      ...['first', 'late'].map((ring) => `${LIST}/groups?label.ring=${ring}`),
      `${LIST}/groups?machine=${large}`,
      `${LIST}/groups?by=source,machine`,
      `${LIST}/groups?source=vault`,
      `${LIST}/groups?assignee=ada`,
      `${LIST}/groups?q=prompt`,
      `${LIST}/groups?q=evidence.tool:shell`,
    ),
    other(
      'acts',
      '/api/v1/acts',
      '/api/v1/incidents/bulk',
      '/api/v1/containment/by-label/release/acts',
      '/api/v1/silences/by-label/acts',
    ),
    other(
      'commands by status',
      ...['pending', 'done', 'refused', 'expired'].map((status) => `/api/v1/commands?status=${status}`),
      '/api/v1/commands?label.ring=first&status=refused',
      `/api/v1/commands?incident=INC-${large}`,
      `/api/v1/commands?machine=${large}`,
    ),
    other(
      'a large machine',
      ...['', '&sort=-created', '&sort=source', '&state=open', '&assignee=ada', '&attention=true', '&q=prompt'].map(
        (more) => `${LIST}?machine=${large}${more}`,
      ),
      `/api/v1/machines/${large}`,
      `/api/v1/containment?machine=${large}`,
      `/api/v1/containment/freeze_agent?machine=${large}`,
    ),
    other(
      'a long incident',
      ...[0, 0.5, 0.95].map(
        (share) => `${LIST}/history?id=${long!.id}&machine=${large}&after=${Math.floor(share * long!.version)}`,
      ),
      `${LIST}/changes?machine=${large}&since=${ago(24)}`,
      `${LIST}/changes?machine=${large}&after=100`,
    ),
    other('changes of all', `${LIST}/changes?since=${ago(24)}`),
    other('recoveries', '/api/v1/recovery/status', '/api/v1/recovery/status?site=berlin'),
    other(
      'lists, labels of few and of most',
      ...['first', 'late'].flatMap((ring) =>
        ['', '&sort=-created', '&state=open', '&source=vault', '&attention=true'].map(
          (more) => `${LIST}?label.ring=${ring}${more}`,
        ),
      ),
    ),
    other(
      'machines',
      '/api/v1/machines',
      '/api/v1/machines?limit=1000',
      '/api/v1/machines?silent=true',
      '/api/v1/machines?differs=true',
      '/api/v1/machines?site=berlin',
    ),
    other('one machine', ...each(machines, (one) => `/api/v1/machines/${one}`)),
    other(
      'in force',
      '/api/v1/containment',
      '/api/v1/containment/freeze_agent',
      '/api/v1/containment/freeze_agent?limit=1000',
      '/api/v1/containment?site=berlin',
    ),
    other('posture of a machine', ...each(machines, (one) => `/api/v1/containment?machine=${one}`)),
    other('campaigns', '/api/v1/campaigns', '/api/v1/campaigns?limit=1000', '/api/v1/campaigns?site=berlin'),
    other('one campaign', ...campaigns.map(({ campaign }) => `/api/v1/campaigns/${campaign}`)),
    other('commands', '/api/v1/commands', '/api/v1/commands?status=pending', '/api/v1/commands?site=berlin'),
    other(
      'alarms',
      '/api/v1/fleet/incidents',
      '/api/v1/fleet/incidents?open=true',
      '/api/v1/fleet/incidents?site=berlin',
    ),
    other('silences', '/api/v1/silences'),
    other(
      'get',
      ...some.slice(0, DEEP).map(({ machine, id }) => `${LIST}/get?id=${id}&machine=${machine}`),
      ...some.slice(0, DEEP).map(({ id }) => `${LIST}/get?id=${id}`),
    ),
    other('history', ...some.slice(0, DEEP).map(({ machine, id }) => `${LIST}/history?id=${id}&machine=${machine}`)),
    {
      kind: 'search',
      name: 'similar',
      paths: some.slice(0, DEEP).map(({ machine, id }) => `${LIST}/similar?id=${id}&machine=${machine}`),
    },
    other('changes', ...each(machines, (one) => `${LIST}/changes?machine=${one}&since=${ago(24)}`)),
  ];
  const bound = (question: Question, name: string): Question => ({
    ...question,
    name: `bound: ${name}`,
    isBound: true,
  });
  return [
    ...general,
    ...searches,
    ...statistics,
    ...others,
    bound(
      list('', 'limit=100', 'sort=-created', 'sort=source', 'sort=updated', ...deep('severity'), ...combined),
      'lists',
    ),
    bound(
      search('', 'q=agent', 'q=prompt%20session', 'q=by:ada', ...words.slice(0, 10).map(({ word }) => `q=${word}`)),
      'search',
    ),
    bound(
      stats(
        '',
        '/api/v1/stats',
        '/api/v1/stats/hours?hours=168',
        '/api/v1/stats/compare',
        `/api/v1/stats/compare?since=${ago(168)}&until=${ago(0)}`,
      ),
      'statistics',
    ),
    bound(
      other(
        '',
        '/api/v1/machines',
        '/api/v1/containment',
        '/api/v1/campaigns',
        '/api/v1/commands',
        '/api/v1/fleet/incidents',
      ),
      'others',
    ),
  ];
}

function placeIn(sort: Sort, one: Sampled) {
  const name = sort.replace('-', '');
  const keys: Readonly<Record<string, SortedBy>> = {
    severity: one.rank,
    created: one.created_at.getTime(),
    updated: one.updated_at.getTime(),
    class: one.class,
    source: one.source,
    state: (STATES as readonly string[]).indexOf(one.state),
    assignee: one.assignee,
  };
  return { sort, key: keys[name]!, at: one.created_at.getTime(), machine: one.machine, id: one.id, number: one.number };
}
