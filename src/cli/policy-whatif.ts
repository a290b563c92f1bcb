/**
 * `incident-recorder policy whatif`: which incidents on record would differ under a policy file.
 *
 * An incident does not say whether its severity came from the report or from the rule. Where that matters, its first
 * entry is read: it holds the whole report and the rule that applied.
 */
import type { Command } from 'commander';
import type { Rule, Severity } from '../../machines/vocabulary.ts';
import type { Incident, Report } from '../client/shapes.ts';
import { severityOf } from '../domain/severity.ts';
import type { Rules } from '../policy/policy.ts';
import { readPolicyFile } from './policy-file.ts';
import { ApiClient, type ApiOptions, withQuery, withApiClient } from './api-client.ts';
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
          'containment or action. Changes nothing.',
      )
      .argument('<file>', 'a policy in YAML'),
  ).action(async (path: string, options: ApiOptions) => {
    const { rules } = await readPolicyFile(path);
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
    if (!options.json) writeNotice(`${changed} of ${total} incidents would have gone another way`);
  });

/** Whether a rule could decide differently for an incident, as far as the incident itself shows. */
function mayChange(
  { severity, containment_actions: actions, contained_at, created_at }: Incident,
  rule: Rule,
): boolean {
  const byItself = contained_at === created_at;
  return (
    severity !== rule.default_severity ||
    byItself !== rule.auto_contain ||
    (actions !== undefined && !isSame(actions, rule.actions))
  );
}

/** What the first entry of an incident says. */
interface FirstData {
  readonly severity: Severity;
  readonly report: Report;
  readonly rule: Rule;
}

async function changeOf(api: ApiClient, incident: Incident, rules: Rules): Promise<PolicyChange | undefined> {
  const { id, containment_actions: actions = [] } = incident;
  const [first] = await api.read<readonly { readonly data: FirstData }[]>(
    withQuery('/api/v1/incidents/history', { id }),
  );
  // The incident may have been archived since.
  if (first === undefined) return undefined;
  const { severity, report, rule: before } = first.data;
  const rule = rules[incident.class];
  const byPerson = actions.length > 0 && !before.auto_contain;
  const was = { severity, contained: before.auto_contain, actions };
  const would_be = {
    severity: severityOf(report, rule).severity,
    contained: rule.auto_contain,
    actions: rule.auto_contain || byPerson ? rule.actions : [],
  };
  const isUnchanged =
    was.severity === would_be.severity && was.contained === would_be.contained && isSame(was.actions, would_be.actions);
  return isUnchanged ? undefined : { id, class: incident.class, was, would_be };
}

const isSame = (some: readonly string[], others: readonly string[]): boolean => some.join(' ') === others.join(' ');

function describe({ id, class: name, was, would_be }: PolicyChange): string {
  const pairs = [
    [was.severity, would_be.severity],
    [containment(was), containment(would_be)],
  ];
  const changes = pairs.filter(([before, after]) => before !== after).map(([before, after]) => `${before} → ${after}`);
  return printable(`${id}  ${name}  ${changes.join('; ')}`);
}

const containment = ({ contained, actions }: PolicyDecision): string =>
  `${contained ? 'contained' : 'open'}${actions.length === 0 ? '' : ` (${actions.join(', ')})`}`;
