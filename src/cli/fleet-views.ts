/** `incident-recorder fleet machines`, `in-force`, `campaigns`, `commands`, `alarms`: what a fleet shows of its machines. */
import { once } from 'node:events';
import type { Command } from 'commander';
import type { Severity } from '../../machines/vocabulary.ts';
import { ApiClient, type ApiOptions, withApiClient, withQuery } from './api-client.ts';
import { defineByLabel } from './by-label.ts';
import { ageOf } from './terminal/age.ts';
import { SEVERITY_STYLES, TROUBLE_STYLE } from './terminal/colour.ts';
import { writeJson, writeLines, writeNotice } from './terminal/output.ts';
import { type Column, table } from './terminal/table.ts';

interface Machine {
  readonly machine: string;
  /** What it is shown as: its own name where it was given no other. */
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly revoked_at: string | null;
  readonly heard_at: string | null;
  readonly silent: boolean;
  readonly version: string | null;
  readonly held: number;
  readonly behind: number | null;
  readonly hashes: string;
  readonly policy: { readonly digest: string | null; readonly differs: boolean };
  readonly anchored: { readonly at: string } | null;
  readonly diverged: object | null;
  readonly posture: readonly {
    readonly action: string;
    readonly in_force: boolean;
    readonly unconfirmed: number;
    readonly overdue: number;
  }[];
  readonly incidents: { readonly unresolved: number; readonly attention: number };
}

interface InForce {
  readonly action: string;
  readonly machines: number;
  readonly since: string | null;
  readonly holders: number;
  readonly unconfirmed: { readonly machines: number };
  readonly overdue: { readonly machines: number };
}

interface Campaign {
  readonly campaign: string;
  readonly class: string;
  readonly values: Readonly<Record<string, unknown>> | null;
  readonly acknowledged_by: string | null;
  readonly severity: Severity;
  readonly machines: number;
  readonly incidents: number;
  readonly unresolved: number;
  readonly last_at: string;
}

interface FleetCommand {
  readonly id: string;
  readonly machine: string;
  readonly command: string;
  readonly incident: string | null;
  readonly by: string;
  readonly status: string;
  readonly reason: string | null;
  readonly issued_at: string;
}

interface Alarm {
  readonly machine: string;
  readonly kind: string;
  readonly opened_at: string;
  readonly closed_at: string | null;
  readonly acknowledged_by: string | null;
  readonly detail: Readonly<Record<string, unknown>>;
}

interface Act {
  readonly act: string;
  readonly command: string;
  readonly by: string;
  readonly at: string;
  readonly count: number;
  readonly left: number;
  readonly finished?: boolean;
  readonly pending: number;
  readonly done: number;
  readonly refused: number;
  readonly expired: number;
}

interface Fate {
  readonly machine: string;
  readonly id: string;
  readonly status: string;
  readonly reason: string | null;
}

interface WholeAct {
  readonly incidents: readonly Fate[];
  /** Of one that is not finished: where it goes on. */
  readonly cursor?: string;
}

type Options = ApiOptions & {
  readonly silent?: true;
  readonly differs?: true;
  readonly status?: string;
  readonly from?: string;
  readonly follow?: true;
  readonly by?: string;
  readonly note?: string;
};

/** Adds the views to `fleet`, whose other commands are of the fleet's own program. */
export function defineViews(fleet: Command): void {
  const view = (name: string, summary: string): Command =>
    withApiClient(fleet.command(name).summary(summary).description(`Asks a fleet (--url) to ${summary}.`));

  view('machines', 'list its machines: last heard, how far behind, what is in force')
    .option('--silent', 'only those that are silent')
    .option('--differs', 'only those whose policy differs from the rest')
    .action((options: Options) =>
      listed(
        options,
        withQuery('/api/v1/machines', {
          silent: options.silent && 'true',
          differs: options.differs && 'true',
        }),
        'no such machines',
        MACHINE_COLUMNS,
      ),
    );
  view('in-force', 'show what is in force on how many machines').action(async (options: Options) => {
    const known = await new ApiClient(options).read<Readonly<Record<string, InForce>>>('/api/v1/containment');
    return options.json ? writeJson(known) : writeLines(inForceLines(Object.values(known)));
  });
  view('campaigns', 'list what has happened alike on several machines').action((options: Options) =>
    listed(options, '/api/v1/campaigns', 'no campaigns', CAMPAIGN_COLUMNS),
  );
  view('commands', 'list what was asked of machines, and what became of it')
    .option('--status <status>', 'only pending, done, refused or expired ones')
    .action((options: Options) =>
      listed(options, withQuery('/api/v1/commands', { status: options.status }), 'no such commands', COMMAND_COLUMNS),
    );
  view('acknowledge-campaign', 'take note of a campaign')
    .argument('<campaign>', 'CAM-…')
    .option('--by <who>', 'who does it')
    .option('-m, --note <text>', 'what is known of it')
    .action(async (campaign: string, { by, note, ...options }: Options) => {
      const done = await new ApiClient(options).commandAll<Campaign>('/api/v1/campaigns/acknowledge', {
        campaign,
        by,
        note,
      });
      return options.json ? writeJson(done) : writeLines(table(CAMPAIGN_COLUMNS(Date.now()), [done]));
    });
  view('log', 'print the raw lines of a machine’s log, for the role auditor')
    .argument('<machine>', 'the machine')
    .option('--from <seq>', 'the first entry', '1')
    .option('-f, --follow', 'go on with what comes')
    .action(async (machine: string, { from, follow, ...options }: Options) => {
      const query = { machine, from, follow: follow === true ? 'true' : undefined };
      const path = withQuery('/api/v1/log', query);
      const ends = new AbortController();
      process.once('SIGINT', () => ends.abort());
      const response = await new ApiClient(options).stream(path, {}, ends.signal);
      for await (const chunk of response) {
        if (!process.stdout.write(chunk as Buffer)) await once(process.stdout, 'drain');
      }
    });
  defineByLabel(fleet);
  view('acts', 'list what was asked of many incidents at once').action((options: Options) =>
    listed(options, '/api/v1/incidents/bulk', 'no such acts', ACT_COLUMNS),
  );
  view('act', 'show what became of such an act, incident by incident')
    .argument('<act>', 'ACT-…')
    .action(async (act: string, options: Options) => {
      const fates: Fate[] = [];
      let cursor: string | undefined;
      const path = withQuery(`/api/v1/incidents/bulk/${encodeURIComponent(act)}`, { limit: '1000' });
      for await (const page of new ApiClient(options).documents<WholeAct>(path)) {
        fates.push(...page.incidents);
        ({ cursor } = page);
      }
      if (options.json) return writeJson(...fates);
      await writeLines(table(FATE_COLUMNS, fates));
      if (cursor === undefined) return undefined;
      const asked = fates.filter(({ status }) => status !== 'left').length;
      return writeNotice(
        `asked ${asked} of ${fates.length}, not finished; go on with the same command and filters, and: --resume ${cursor}`,
      );
    });
  view('alarms', 'list what it has found: a rewritten past, a silent machine').action((options: Options) =>
    listed(options, '/api/v1/fleet/incidents', 'no alarms', ALARM_COLUMNS),
  );
}

/** Shows all pages of a list: as a table, or each item as JSON. */
async function listed<Item>(
  options: ApiOptions,
  path: string,
  none: string,
  columns: (now: number) => readonly Column<Item>[],
): Promise<void> {
  const items: Item[] = [];
  for await (const page of new ApiClient(options).pages<Item>(path)) items.push(...page);
  if (options.json) return writeJson(...items);
  if (items.length === 0) return writeNotice(none);
  return writeLines(table(columns(Date.now()), items));
}

/** How each action stands on all machines. */
export const inForceLines = (actions: readonly InForce[]): readonly string[] =>
  table(IN_FORCE_COLUMNS(Date.now()), actions);

const ago = (at: string | null | undefined, now: number): string =>
  at === null || at === undefined ? '-' : ageOf(at, now);

const labelsOf = (labels: Readonly<Record<string, unknown>>): string =>
  Object.entries(labels)
    .map(([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`)
    .join(' ');

const MACHINE_COLUMNS = (now: number): readonly Column<Machine>[] => [
  { header: 'MACHINE', value: ({ machine, name }) => (name === machine ? machine : `${name} (${machine})`) },
  {
    header: 'HEARD',
    value: ({ heard_at: at, silent, revoked_at: revoked }) =>
      revoked !== null ? 'revoked' : at === null ? 'never' : `${silent ? 'silent for ' : ''}${ageOf(at, now)}`,
    style: ({ silent, revoked_at: revoked }) => (silent && revoked === null ? TROUBLE_STYLE : undefined),
  },
  {
    header: 'LOG',
    value: ({ held, behind, diverged, hashes }) =>
      [
        ...(diverged === null ? [] : ['PAST REWRITTEN']),
        behind === null || behind === 0 ? `${held}` : `${held}, ${behind} behind`,
        hashes,
      ].join(' '),
    style: ({ diverged }) => (diverged === null ? undefined : TROUBLE_STYLE),
  },
  { header: 'ANCHORED', value: ({ anchored }) => ago(anchored?.at, now) },
  {
    header: 'POLICY',
    value: ({ policy: { digest, differs } }) => `${digest?.slice(0, 8) ?? '-'}${differs ? ' differs' : ''}`,
  },
  { header: 'ATTENTION', value: ({ incidents }) => `${incidents.attention} of ${incidents.unresolved}` },
  {
    header: 'ASKED FOR',
    value: ({ posture }) =>
      posture
        .filter((one) => one.in_force || one.overdue > 0)
        .map(
          ({ action, unconfirmed, overdue }) =>
            `${action}${overdue > 0 ? ' (overdue)' : unconfirmed > 0 ? ' (not confirmed)' : ''}`,
        )
        .join(' '),
    least: 12,
  },
  { header: 'VERSION', value: ({ version }) => version ?? '-', optional: true },
  { header: 'LABELS', value: ({ labels }) => labelsOf(labels), least: 12, optional: true },
];

const IN_FORCE_COLUMNS = (now: number): readonly Column<InForce>[] => [
  { header: 'ACTION', value: ({ action }) => action },
  { header: 'MACHINES', value: ({ machines }) => String(machines) },
  { header: 'SINCE', value: ({ since }) => ago(since, now) },
  { header: 'HOLDERS', value: ({ holders }) => String(holders) },
  { header: 'UNCONFIRMED ON', value: ({ unconfirmed }) => String(unconfirmed.machines) },
  {
    header: 'OVERDUE ON',
    value: ({ overdue }) => String(overdue.machines),
    style: ({ overdue }) => (overdue.machines > 0 ? TROUBLE_STYLE : undefined),
  },
];

const CAMPAIGN_COLUMNS = (now: number): readonly Column<Campaign>[] => [
  { header: 'CAMPAIGN', value: ({ campaign }) => campaign },
  { header: 'WORST', value: ({ severity }) => severity, style: ({ severity }) => SEVERITY_STYLES[severity] },
  { header: 'MACHINES', value: ({ machines }) => String(machines) },
  { header: 'INCIDENTS', value: ({ incidents, unresolved }) => `${incidents}, ${unresolved} not resolved` },
  { header: 'LAST', value: ({ last_at: at }) => ageOf(at, now) },
  { header: 'SEEN BY', value: ({ acknowledged_by: by }) => by ?? '-' },
  { header: 'CLASS', value: (one) => one.class },
  { header: 'THE SAME', value: ({ values }) => (values === null ? 'withheld' : labelsOf(values)), least: 12 },
];

const COMMAND_COLUMNS = (now: number): readonly Column<FleetCommand>[] => [
  { header: 'ID', value: ({ id }) => id },
  { header: 'MACHINE', value: ({ machine }) => machine },
  { header: 'COMMAND', value: ({ command }) => command },
  { header: 'INCIDENT', value: ({ incident }) => incident ?? '-' },
  {
    header: 'STATUS',
    value: ({ status }) => status,
    style: ({ status }) => (status === 'refused' || status === 'expired' ? TROUBLE_STYLE : undefined),
  },
  { header: 'AGE', value: ({ issued_at: at }) => ageOf(at, now) },
  { header: 'BY', value: ({ by }) => by, least: 6 },
  { header: 'REASON', value: ({ reason }) => reason ?? '', least: 12, optional: true },
];

const ACT_COLUMNS = (now: number): readonly Column<Act>[] => [
  { header: 'ACT', value: ({ act }) => act },
  { header: 'COMMAND', value: ({ command }) => command },
  { header: 'DONE', value: ({ done, count }) => `${done} of ${count}` },
  { header: 'UNDER WAY', value: ({ pending }) => String(pending) },
  {
    header: 'NOT GIVEN',
    value: ({ left, count, finished }) =>
      finished === false ? `${left}: asked ${count - left} of ${count}, not finished` : String(left),
    style: ({ finished }) => (finished === false ? TROUBLE_STYLE : undefined),
  },
  {
    header: 'REFUSED',
    value: ({ refused, expired }) => `${refused}${expired > 0 ? `, ${expired} expired` : ''}`,
    style: ({ refused, expired }) => (refused + expired > 0 ? TROUBLE_STYLE : undefined),
  },
  { header: 'AGE', value: ({ at }) => ageOf(at, now) },
  { header: 'BY', value: ({ by }) => by, least: 6 },
];

const FATE_COLUMNS: readonly Column<Fate>[] = [
  { header: 'MACHINE', value: ({ machine }) => machine },
  { header: 'INCIDENT', value: ({ id }) => id },
  {
    header: 'STATUS',
    value: ({ status }) => status,
    style: ({ status }) => (status === 'refused' || status === 'expired' ? TROUBLE_STYLE : undefined),
  },
  { header: 'REASON', value: ({ reason }) => reason ?? '', least: 12, optional: true },
];

const ALARM_COLUMNS = (now: number): readonly Column<Alarm>[] => [
  { header: 'MACHINE', value: ({ machine }) => machine },
  { header: 'WHAT', value: ({ kind }) => kind },
  { header: 'AGE', value: ({ opened_at: at }) => ageOf(at, now) },
  { header: 'OVER', value: ({ closed_at: at }) => (at === null ? 'no' : `for ${ageOf(at, now)}`) },
  { header: 'SEEN BY', value: ({ acknowledged_by: by }) => by ?? '-' },
  { header: 'FOUND', value: foundBy, least: 12, optional: true },
];

/** What an alarm has found, in words; empty where the name of the alarm says it all. */
function foundBy({ kind, detail }: Alarm): string {
  const { why, first_differing_seq: from, held_through: held, clock_skew_ms: skew } = detail;
  if (kind === 'log_diverged') {
    const first = typeof from === 'number' ? `from entry ${from} on` : '';
    const kept = typeof held === 'number' ? `the fleet keeps both, and has ${held} entries of the other` : '';
    return [typeof why === 'string' ? why.replaceAll('_', ' ') : '', first, kept]
      .filter((part) => part !== '')
      .join(', ');
  }
  return typeof skew === 'number' ? `${Math.abs(skew)} ms ${skew > 0 ? 'ahead' : 'behind'}` : '';
}
