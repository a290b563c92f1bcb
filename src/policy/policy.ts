/** The containment policy as the service uses it, and the error that refuses one. */
import type { ContainmentAction, IncidentClass, Rule } from '../../machines/vocabulary.ts';
import { HOUR, SECOND } from '../clock.ts';
import type { Escalation } from '../domain/escalation.ts';
import { type FileFault, refusalOf } from './file-faults.ts';
import type { Targets, Webhook } from './targets.ts';

/** One rule for each of the nine classes. */
export type Rules = Readonly<Record<IncidentClass, Rule>>;

/** What a policy file decides, completed from the built-in table. */
export interface PolicyContent {
  readonly version: 1;
  readonly rules: Rules;
  /** Where containment actions are sent. An action without a target is fetched from the posture by its service. */
  readonly targets: Targets;
  readonly notify: readonly Webhook[];
  /**
   * After how many milliseconds without an occurrence an acknowledged incident that recurs needs attention again.
   */
  readonly attention_after: number;
  /** After how many milliseconds an engage or a release that is not confirmed is overdue. */
  readonly overdue_after: number;
  /** When reports of one source and class are occurrences of its newest incident; never when not given. */
  readonly burst?: Burst;
  /** When the number of reports raises the severity of an incident. */
  readonly escalate?: readonly Escalation[];
  /** How many bytes of reports one source may send in a day (UTC); any number when not given. */
  readonly report_bytes_per_day?: number;
  /** Guards: the sources that must be heard, each at most so many milliseconds after the last time. */
  readonly expect?: readonly Expectation[];
  /** What to do about incidents of a class: a URL or a text. */
  readonly runbooks?: Runbooks;
  /** After how many milliseconds segments of the log go to the archive by themselves; never when not given. */
  readonly archive_after?: number;
}

/** A source that has to show a sign of life, a report or a heartbeat, every so many milliseconds. */
export interface Expectation {
  readonly source: string;
  readonly every: number;
}

export type Runbooks = { readonly [Class in IncidentClass]?: string };

/** So many reports within so many milliseconds are a burst. */
export interface Burst {
  readonly reports: number;
  readonly within: number;
}

export const DEFAULT_ATTENTION_AFTER = 1 * HOUR;
export const DEFAULT_OVERDUE_AFTER = 60 * SECOND;

export interface Policy extends PolicyContent {
  readonly source: 'file' | 'built-in';
  /** The file that the policy was read from; undefined for the built-in one. */
  readonly path: string | undefined;
  /** Identifies what the policy decides: see `digestPolicy`. */
  readonly digest: string;
  /** What it has, by name: see `partsOf`. */
  readonly parts: readonly string[];
  /** RFC 3339 in UTC with milliseconds. */
  readonly loaded_at: string;
  /** The actions whose target the environment names, and not the file; not there when there are none. */
  readonly from_environment?: readonly ContainmentAction[];
}

/** One fault of a policy file. The message says what is wrong and what is allowed. Lines count from 1. */
export type PolicyFault = FileFault;

/** The error that refuses a policy. The faults are in its message and, for programs, in `fields.faults`. */
export const refusedPolicy = refusalOf('invalid_policy', 'containment policy refused');
