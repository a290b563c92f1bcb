/**
 * The incidents of the recorder that the appliance had before: how they are read, and what becomes of them here.
 *
 * Its store (`incidents.jsonl`) and its audit log hold one incident in JSON a line. The log has a line when an incident is
 * created and another when its containment has ended; the last line of an incident counts.
 *
 * What it says of containment is a claim: nobody here has seen it carried out. So an incident that is not resolved holds
 * the actions that it names, and each of them needs a person: nothing is sent by itself, the posture says that it is not
 * known, and `retry` asks for it again. An alert has no lasting effect and is not held.
 */
import type { IncidentContext } from '../../machines/incident.ts';
import {
  ACTIONS,
  type Channel,
  CLASSES,
  type ContainmentAction,
  type Directive,
  type IncidentClass,
  type Rule,
  SEVERITIES,
  type Severity,
  type State,
  stepsOf,
} from '../../machines/vocabulary.ts';
import type { Caller } from './caller.ts';
import type { DraftOf, ImportedClaims, JsonObject } from './entries.ts';
import { faultOfSource } from './source-name.ts';

/** The states of its incidents. */
export const CLAIMED_STATES = ['open', 'contained', 'containment_failed', 'acknowledged', 'resolved'] as const;
export type ClaimedState = (typeof CLAIMED_STATES)[number];

/** What has come of an action, as it says. */
export type ClaimedResult = {
  readonly action: string;
  readonly success: boolean;
  readonly error?: string;
  readonly completed_at: string;
};

/** One of its incidents. */
export type ClaimedIncident = {
  readonly id: string;
  readonly created_at: string;
  readonly class: IncidentClass;
  readonly severity: Severity;
  readonly state: ClaimedState;
  readonly source: string;
  readonly description: string;
  readonly evidence?: JsonObject;
  readonly containment_actions?: readonly ContainmentAction[];
  readonly containment_results?: readonly ClaimedResult[];
  readonly resolved_at?: string;
  readonly hash?: string;
};

/** Identifiers of its incidents: the second and a number. None of ours looks like that. */
const IDENTIFIER = /^INC-\d{8}-\d{6}-\d{4,12}$/;
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)$/;
/** The most characters of a description, of the text of an error and of a hash. */
const LONGEST_TEXT = 256 * 1024;
const LONGEST_HASH = 128;
/** It has nine classes and five actions; a result for each. */
const MOST_RESULTS = 32;

type Check = (value: unknown) => string | undefined;

const shown = (value: unknown): string => {
  const text = JSON.stringify(value) ?? 'nothing';
  return text.length > 64 ? `${text.slice(0, 64)}…` : text;
};
const oneOf =
  (words: readonly string[]): Check =>
  (value) =>
    words.includes(value as string) ? undefined : `must be one of ${words.join(', ')}, found ${shown(value)}`;
const someText =
  (longest: number): Check =>
  (value) =>
    typeof value === 'string' && value.trim() !== '' && value.length <= longest
      ? undefined
      : `must be text of 1 to ${longest} characters, found ${shown(value)}`;
const time: Check = (value) =>
  typeof value === 'string' && TIME.test(value) && !Number.isNaN(Date.parse(value))
    ? undefined
    : `must be a time like 2026-03-01T12:00:00Z, found ${shown(value)}`;
const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const listOf =
  (check: Check): Check =>
  (value) => {
    if (!Array.isArray(value) || value.length > MOST_RESULTS)
      return `must be a list of at most ${MOST_RESULTS}, found ${shown(value)}`;
    for (const [index, item] of value.entries()) {
      const fault = check(item);
      if (fault !== undefined) return `item ${index + 1} ${fault}`;
    }
    return undefined;
  };

type Fields = Readonly<Record<string, { readonly check: Check; readonly optional?: true }>>;

const RESULT: Fields = {
  action: { check: someText(64) },
  success: {
    check: (value) => (typeof value === 'boolean' ? undefined : `must be true or false, found ${shown(value)}`),
  },
  error: { check: someText(LONGEST_TEXT), optional: true },
  completed_at: { check: time },
};

const INCIDENT: Fields = {
  id: {
    check: (value) =>
      typeof value === 'string' && IDENTIFIER.test(value)
        ? undefined
        : `must be an identifier like INC-20260301-120000-0001, found ${shown(value)}`,
  },
  created_at: { check: time },
  class: { check: oneOf(CLASSES) },
  severity: { check: oneOf(SEVERITIES) },
  state: { check: oneOf(CLAIMED_STATES) },
  source: {
    check: (value) => (typeof value === 'string' ? faultOfSource(value) : `must be text, found ${shown(value)}`),
  },
  description: { check: someText(LONGEST_TEXT) },
  evidence: {
    check: (value) => (isObject(value) ? undefined : `must be a JSON object, found ${shown(value)}`),
    optional: true,
  },
  containment_actions: { check: listOf(oneOf(ACTIONS)), optional: true },
  containment_results: {
    check: listOf((item) => faultOf(item, RESULT)),
    optional: true,
  },
  resolved_at: { check: time, optional: true },
  hash: { check: someText(LONGEST_HASH), optional: true },
};

/**
 * Reads one of its incidents.
 * @returns the incident, or what is wrong and what is allowed
 */
export function readClaimed(value: unknown): ClaimedIncident | string {
  return faultOf(value, INCIDENT) ?? (value as ClaimedIncident);
}

function faultOf(value: unknown, fields: Fields): string | undefined {
  if (!isObject(value)) return `must be a JSON object with ${Object.keys(fields).join(', ')}, found ${shown(value)}`;
  for (const name of Object.keys(value)) {
    if (!Object.hasOwn(fields, name)) return `unknown field ${shown(name)}; allowed: ${Object.keys(fields).join(', ')}`;
  }
  for (const [name, { check, optional }] of Object.entries(fields)) {
    const given = value[name];
    // Its writer leaves empty members out.
    if (given === undefined && optional === true) continue;
    const fault = given === undefined ? 'is missing' : check(given);
    if (fault !== undefined) return `${name} ${fault}`;
  }
  return undefined;
}

/** Whether a line, parsed, looks like one of its incidents rather than an entry of our log. */
export const looksClaimed = (value: unknown): boolean =>
  isObject(value) && 'id' in value && 'class' in value && 'created_at' in value && !('entry_hash' in value);

/** What an import takes from outside. */
export interface ImportCircumstances {
  /** RFC 3339, UTC, milliseconds. */
  readonly timestamp: string;
  readonly channelOf: (action: ContainmentAction, directive: Directive) => Channel;
  readonly caller?: Caller | undefined;
  readonly sourceSuspicious: boolean;
}

/** The entry that takes an incident over. */
export function importIncident(
  claimed: ClaimedIncident,
  rule: Rule,
  { timestamp, channelOf, caller, sourceSuspicious }: ImportCircumstances,
): DraftOf<'incident.imported'> {
  const { id, class: ofClass, severity, source, description, evidence, containment_results: results = [] } = claimed;
  const created = normal(claimed.created_at);
  const held: readonly ContainmentAction[] = [...new Set(claimed.containment_actions ?? [])].filter(
    (action) => action !== 'log_alert',
  );
  const wasContained = claimed.state !== 'open' && held.length > 0;
  const state = stateFor(claimed.state, wasContained);
  const containedAt =
    results
      .map(({ completed_at }) => normal(completed_at))
      .toSorted()
      .at(-1) ?? created;
  const actions = wasContained ? held : [];
  const deliveries = actions.map((action) => ({
    action,
    status: state === 'resolved' ? 'superseded' : 'needs_person',
    via: channelOf(action, 'engage'),
    attempts: 0,
    waited_ms: 0,
    asked_at: containedAt,
    last_error: claimAbout(action, results),
  }));
  const resolvedAt = claimed.resolved_at === undefined ? undefined : normal(claimed.resolved_at);
  // What was done for its recovery there proves nothing here.
  const required = state === 'resolved' ? [] : stepsOf(rule.recovery);
  const record: JsonObject = {
    created_at: created,
    updated_at: resolvedAt ?? (wasContained ? containedAt : created),
    severity,
    ...(sourceSuspicious ? { source_suspicious: true } : {}),
    ...(wasContained
      ? {
          containment_actions: actions,
          containment: { status: 'degraded', actions: deliveries },
          contained_at: containedAt,
        }
      : {}),
    ...(state === 'resolved' && resolvedAt !== undefined ? { resolved_at: resolvedAt } : {}),
    occurrences: 1,
    ...(required.length > 0 && { recovery: { required, missing: required } }),
  };
  const context: IncidentContext = {
    // Nothing is engaged by having been imported.
    auto_contain: false,
    actions: [...actions, ...rule.actions.filter((action) => !actions.includes(action))],
    occurrences: 1,
    standings: Object.fromEntries(actions.map((action) => [action, 'broken' as const])),
    ...(required.length > 0 && { recovery: { required, done: [], waived: false, attesting: false } }),
  };
  const data = {
    incident: id,
    version: 1,
    state,
    report: { class: ofClass, source, description, severity, ...(evidence === undefined ? {} : { evidence }) },
    rule,
    context: context as unknown as JsonObject,
    record,
    claims: claimsOf(claimed),
    ...caller,
  };
  return { timestamp, event: 'incident.imported', data };
}

/** Without an action that lasts, a contained incident holds nothing: then nobody has taken it on yet. */
function stateFor(claimed: ClaimedState, wasContained: boolean): State {
  if (claimed === 'acknowledged' || claimed === 'resolved') return claimed;
  return wasContained ? 'contained' : 'open';
}

function claimAbout(action: ContainmentAction, results: readonly ClaimedResult[]): string {
  const result = results.findLast((one) => one.action === action);
  const said =
    result === undefined
      ? 'nothing was said of its outcome'
      : `it was said to have ${result.success ? 'been carried out' : 'failed'} at ${normal(result.completed_at)}`;
  return `imported: ${said}, and it is not known whether it is in force`;
}

const claimsOf = ({ state, containment_actions, containment_results, hash }: ClaimedIncident): ImportedClaims => ({
  state,
  ...(containment_actions === undefined ? {} : { containment_actions }),
  ...(containment_results === undefined ? {} : { containment_results }),
  ...(hash === undefined ? {} : { hash }),
});

/** A time as entries write it. */
const normal = (text: string): string => new Date(Date.parse(text)).toISOString();
