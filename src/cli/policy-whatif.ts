/**
 * `incident-recorder policy whatif`: which incidents on record would differ under a policy file.
 *
 * An incident does not say whether its severity came from the report or from the rule. Where that matters, its first
 * entry is read: it holds the whole report and the rule that applied. So does the entry that carries an incident over.
 * Incidents of another recorder are left out: no policy has decided them.
 *
 * What `escalate` and `repeat` do depends on the reports before: where the file has one of them, the whole log is read.
 */
import type { Command } from 'commander';
import { type RecoveryStep, type Rule, type Severity, stepsOf } from '../../machines/vocabulary.ts';
import type { Incident, Report } from '../client/shapes.ts';
import type { EscalatedBy } from '../domain/entries.ts';
import { escalationText } from '../domain/escalation.ts';
import { severityOf } from '../domain/severity.ts';
import type { PolicyContent, Rules } from '../policy/policy.ts';
import { readPolicyFile } from './policy-file.ts';
import type { ReportChange, ReportsSummary } from './reports-whatif.ts';
import { ApiClient, type ApiOptions, withQuery, withApiClient } from './api-client.ts';
import { counted } from './terminal/counted.ts';
import { writeNotice, writeJson, writeLines } from './terminal/output.ts';
import { printable } from './terminal/printable.ts';

/** How many histories are read at the same time. */
const AT_ONCE = 8;

/** What a policy decides for an incident. */
interface PolicyDecision {
  readonly severity: string;
  /** Whether it is contained automatically. */
  readonly contained: boolean;
  /** The actions that contain it, automatically or on command. */
  readonly actions: readonly string[];
  /** What must be done before it may be resolved; not there when that is nothing. */
  readonly recovery?: readonly RecoveryStep[];
}

interface PolicyChange {
  readonly id: string;
  readonly class: string;
  readonly was: PolicyDecision;
  readonly would_be: PolicyDecision;
}

export const define = (command: Command): Command =>
  withApiClient(
    command
      .description(
        'Applies a policy file to all incidents on record, and lists those that would have another severity, ' +
          'containment or action, those that the number of reports would have raised, and those that would be ' +
          'occurrences of others. Changes nothing.',
      )
      .argument('<file>', 'a policy in YAML'),
  ).action(async (path: string, options: ApiOptions) => {
    const policy = await readPolicyFile(path);
    const { rules } = policy;
    const api = new ApiClient(options);
    let total = 0;
    let changed = 0;
    for await (const all of api.pages<Incident>('/api/v1/incidents')) {
      // A drill has a rule of its own.
      const page = all.filter(({ drill }) => drill !== true);
      total += page.length;
      const concerned = page.filter((incident) => mayChange(incident, rules[incident.class]));
      for (let start = 0; start < concerned.length; start += AT_ONCE) {
        const asked = concerned.slice(start, start + AT_ONCE).map((incident) => changeOf(api, incident, rules));
        const changes = (await Promise.all(asked)).filter((change) => change !== undefined);
        changed += changes.length;
        await (options.json ? writeJson(...changes) : writeLines(changes.map(describe)));
      }
    }
    if (!options.json) writeNotice(`${changed} of ${counted(total, 'incident')} would have gone another way`);
    await tryReports(api, policy, options.json === true);
  });

/** Tries `escalate` and `repeat` on all reports in the log. */
async function tryReports(api: ApiClient, policy: PolicyContent, isJson: boolean): Promise<void> {
  // Only few policies need them, and hashing has to be loaded.
  const { asksForReports, ReportsWhatif } = await import('./reports-whatif.ts');
  if (!asksForReports(policy)) return;
  const { readLog } = await import('./read-log.ts');
  const whatif = new ReportsWhatif(policy);
  for await (const entry of readLog(api)) {
    const changes = whatif.take(entry);
    if (changes.length > 0) await (isJson ? writeJson(...changes) : writeLines(changes.map(describeChange)));
  }
  const { summary } = whatif;
  if (isJson) await writeJson(summary);
  else writeNotice(describeSummary(summary));
  if (whatif.isCut) writeNotice('there are so many that old ones were forgotten: there may be more');
}

function describeChange(change: ReportChange): string {
  const { id, class: name } = change;
  if ('occurrence_of' in change) return printable(`${id}  ${name}  an occurrence of ${change.occurrence_of}`);
  const { was, would_be, escalated_by: by } = change;
  const why = by === undefined ? 'not escalated' : `escalated ${escalationText(by)}`;
  return printable(`${id}  ${name}  ${was.severity} → ${would_be.severity}; ${why}`);
}

const describeSummary = ({ fewer_incidents: fewer, escalate }: ReportsSummary): string =>
  [
    `${counted(fewer, 'incident')} fewer by repeat`,
    ...escalate.map((rule) => `${counted(rule.incidents, 'incident')} escalated ${escalationText(rule)}`),
  ].join('\n');

/** Whether a rule could decide differently for an incident, as far as the incident itself shows. */
function mayChange(
  { severity, containment_actions: actions, contained_at, created_at, recovery }: Incident,
  rule: Rule,
): boolean {
  const byItself = contained_at === created_at;
  return (
    severity !== rule.default_severity ||
    byItself !== rule.auto_contain ||
    !isSame(recovery?.required ?? [], stepsOf(rule.recovery)) ||
    (actions !== undefined && !isSame(actions, rule.actions))
  );
}

/** What a policy has decided about an incident at its first report. */
interface Decided {
  readonly severity: Severity;
  readonly report: Report;
  readonly rule: Rule;
}

/** An entry about an incident, as far as it says what was decided at its first report. */
interface HistoryEntry {
  readonly event: string;
  readonly data: {
    readonly severity?: Severity;
    readonly report?: Report;
    readonly rule?: Rule;
    readonly escalated_by?: EscalatedBy;
  };
}

/**
 * What was decided about an incident at its first report, by its history. Undefined when no entry says it, as in that of
 * an incident of another recorder: no policy has decided that.
 */
export function decidedIn(history: readonly HistoryEntry[]): Decided | undefined {
  for (const { event, data } of history) {
    const { severity, report, rule, escalated_by: escalatedBy } = data;
    if (report === undefined || rule === undefined) continue;
    if (event === 'incident.imported') return undefined;
    // What the number of reports does is tried on all of them. One that is carried over has the severity of later reports.
    if (event === 'incident.carried' || (event === 'incident.reported' && escalatedBy !== undefined))
      return { severity: severityOf(report, rule).severity, report, rule };
    if (event === 'incident.reported' && severity !== undefined) return { severity, report, rule };
  }
  return undefined;
}

async function changeOf(api: ApiClient, incident: Incident, rules: Rules): Promise<PolicyChange | undefined> {
  const { id, containment_actions: actions = [] } = incident;
  const decided = decidedIn(await api.read<readonly HistoryEntry[]>(withQuery('/api/v1/incidents/history', { id })));
  // The incident may have been archived since.
  if (decided === undefined) return undefined;
  const { report, rule: before, severity } = decided;
  const rule = rules[incident.class];
  const byPerson = actions.length > 0 && !before.auto_contain;
  const was = { severity, contained: before.auto_contain, actions, ...recoveryOf(before) };
  const would_be = {
    severity: severityOf(report, rule).severity,
    contained: rule.auto_contain,
    actions: rule.auto_contain || byPerson ? rule.actions : [],
    ...recoveryOf(rule),
  };
  const isUnchanged =
    was.severity === would_be.severity &&
    was.contained === would_be.contained &&
    isSame(was.actions, would_be.actions) &&
    isSame(was.recovery ?? [], would_be.recovery ?? []);
  return isUnchanged ? undefined : { id, class: incident.class, was, would_be };
}

/** What a rule asks for before an incident may be resolved, when it asks for something. */
function recoveryOf({ recovery }: Rule): Pick<PolicyDecision, 'recovery'> {
  const steps = stepsOf(recovery);
  return steps.length === 0 ? {} : { recovery: steps };
}

const isSame = (some: readonly string[], others: readonly string[]): boolean => some.join(' ') === others.join(' ');

function describe({ id, class: name, was, would_be }: PolicyChange): string {
  const pairs = [
    [was.severity, would_be.severity],
    [containment(was), containment(would_be)],
    [recovery(was), recovery(would_be)],
  ];
  const changes = pairs.filter(([before, after]) => before !== after).map(([before, after]) => `${before} → ${after}`);
  return printable(`${id}  ${name}  ${changes.join('; ')}`);
}

const recovery = ({ recovery: steps = [] }: PolicyDecision): string =>
  steps.length === 0 ? 'no recovery' : `recovery: ${steps.join(', ')}`;

const containment = ({ contained, actions }: PolicyDecision): string =>
  `${contained ? 'contained' : 'open'}${actions.length === 0 ? '' : ` (${actions.join(', ')})`}`;
