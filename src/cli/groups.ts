/** `incident-recorder groups`, and `list --groups`: the incidents in groups, so that a burst of hundreds is one line. */
import type { Command } from 'commander';
import { STATES } from '../../machines/vocabulary.ts';
import type { IncidentGroup } from '../query/incident-groups.ts';
import { ApiClient, type ApiOptions, withApiClient, withQuery } from './api-client.ts';
import { filtersOf, type ListFilterOptions, wholeNumber, withListFilters } from './filter-options.ts';
import { ageOf } from './terminal/age.ts';
import { SEVERITY_STYLES, TROUBLE_STYLE } from './terminal/colour.ts';
import { counted } from './terminal/counted.ts';
import { writeJson, writeLines, writeNotice } from './terminal/output.ts';
import { type Column, table } from './terminal/table.ts';

export interface GroupOptions extends ApiOptions, ListFilterOptions {
  readonly limit?: number;
}

/** How many groups a table shows by default, and how many an answer holds at most. */
const LONGEST_TABLE = 100;
const LONGEST_PAGE = 1000;

export const define = (command: Command): Command =>
  withApiClient(
    withListFilters(
      command.description('Lists incidents in groups, the one with the worst severity first. Filters add up.'),
    )
      .option(
        '--by <members>',
        'what a group has in common: any of class, source, severity, state, assignee; class,source when not given',
      )
      .option('--limit <count>', `how many groups; ${LONGEST_TABLE} when not given`, wholeNumber),
  ).action((options: GroupOptions & { readonly by?: string }) => listGroups(options, { by: options.by }));

/** Writes the groups of what the filters select. @param more further parameters */
export async function listGroups(
  options: GroupOptions,
  more: Readonly<Record<string, string | readonly string[] | undefined>>,
): Promise<void> {
  const limit = Math.max(1, Math.min(LONGEST_PAGE, options.limit ?? LONGEST_TABLE));
  const path = withQuery('/api/v1/incidents/groups', { ...filtersOf(options), ...more, limit: String(limit) });
  const { groups, incidents, total, isComplete } = await readGroups(new ApiClient(options), path);
  if (options.json) return writeJson(...groups);
  if (groups.length === 0) writeNotice('no such incidents');
  else await writeLines(groupTable(groups));
  const shown =
    groups.length < total
      ? `; ${counted(groups.length, 'is', 'are')} shown: --limit shows more, filters show others`
      : '';
  writeNotice(
    `${isComplete ? '' : 'at least '}${counted(incidents, 'incident')} in ${counted(total, 'group')}${shown}`,
  );
}

interface Groups {
  readonly groups: readonly IncidentGroup[];
  readonly incidents: number;
  readonly total: number;
  readonly isComplete: boolean;
}

/** The first page of groups, with what its headers say. @throws Refused, NotReachable */
export async function readGroups(api: ApiClient, path: string): Promise<Groups> {
  const { text, headers } = await api.readAnswer(path);
  return {
    groups: JSON.parse(text) as readonly IncidentGroup[],
    incidents: Number(headers['x-total-count']),
    total: Number(headers['x-group-count']),
    isComplete: headers['x-complete'] !== 'false',
  };
}

export const groupTable = (groups: readonly IncidentGroup[]): readonly string[] => {
  const now = Date.now();
  const has = (member: 'class' | 'source' | 'state' | 'assignee'): boolean => groups.some((group) => member in group);
  const columns: readonly Column<IncidentGroup>[] = [
    { header: 'COUNT', value: ({ count }) => String(count) },
    { header: 'SEVERITY', value: ({ severity }) => severity, style: ({ severity }) => SEVERITY_STYLES[severity] },
    ...(has('class') ? [{ header: 'CLASS', value: ({ class: name }: IncidentGroup) => name ?? '', least: 12 }] : []),
    ...(has('source') ? [{ header: 'SOURCE', value: ({ source = '' }: IncidentGroup) => source, least: 8 }] : []),
    ...(has('assignee')
      ? [{ header: 'ASSIGNEE', value: ({ assignee }: IncidentGroup) => assignee ?? 'nobody', least: 8 }]
      : []),
    { header: 'STATES', value: ({ states }) => statesIn(states) },
    {
      header: 'CONTAINMENT',
      value: containmentIn,
      style: ({ containment }) =>
        containment !== undefined && containment.overdue + containment.broken > 0 ? TROUBLE_STYLE : undefined,
      least: 11,
      optional: true,
    },
    { header: 'FIRST', value: ({ first }) => ageOf(first, now) },
    { header: 'LAST', value: ({ last }) => ageOf(last, now) },
    { header: 'NEWEST', value: ({ newest }) => newest, optional: true },
    { header: 'DESCRIPTION', value: ({ description }) => description, least: 12, optional: true },
  ];
  return table(columns, groups);
};

const statesIn = (states: IncidentGroup['states']): string =>
  STATES.flatMap((state) => (states[state] === undefined ? [] : [`${states[state]} ${state}`])).join(', ');

const containmentIn = ({ containment }: Pick<IncidentGroup, 'containment'>): string =>
  containment === undefined
    ? ''
    : Object.entries(containment)
        .flatMap(([status, count]) => (count === 0 ? [] : [`${count} ${status}`]))
        .join(', ');
