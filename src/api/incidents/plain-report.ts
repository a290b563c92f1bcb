/**
 * The quick check of a report: the schema takes as long as writing the entry. It only ever takes a report. Whatever it does
 * not take goes to the schema, which says what is wrong.
 */
import { CLASSES, type IncidentClass, SEVERITIES, type Severity } from '../../../machines/vocabulary.ts';
import type { JsonObject, Report } from '../../domain/entries.ts';
import { faultOfSource } from '../../domain/source-name.ts';
import { LONGEST_DEDUP_KEY } from './requests.ts';

const KNOWN_CLASSES: ReadonlySet<unknown> = new Set(CLASSES);
const KNOWN_SEVERITIES: ReadonlySet<unknown> = new Set(SEVERITIES);
const MEMBERS: ReadonlySet<string> = new Set([
  'class',
  'source',
  'description',
  'severity',
  'evidence',
  'dedup_key',
] satisfies (keyof Report)[]);

/**
 * The report in a body, its members in the order of `reportSchema`.
 * @returns undefined for every body that the schema refuses or changes, and for some that it takes
 */
export function plainReport(body: unknown): Report | undefined {
  if (typeof body !== 'object' || body === null) return undefined;
  for (const name of Object.keys(body)) if (!MEMBERS.has(name)) return undefined;
  const { class: incidentClass, source, description, severity, evidence, dedup_key } = body as Body;
  if (!KNOWN_CLASSES.has(incidentClass) || typeof source !== 'string' || typeof description !== 'string') {
    return undefined;
  }
  if (description.trim() === '' || faultOfSource(source) !== undefined) return undefined;
  const report: { -readonly [Member in keyof Report]: Report[Member] } = {
    class: incidentClass as IncidentClass,
    source,
    description,
  };
  if (severity !== undefined) {
    if (!KNOWN_SEVERITIES.has(severity)) return undefined;
    report.severity = severity as Severity;
  }
  if (evidence !== undefined) {
    if (typeof evidence !== 'object' || evidence === null || Array.isArray(evidence)) return undefined;
    report.evidence = evidence as JsonObject;
  }
  if (dedup_key !== undefined) {
    if (typeof dedup_key !== 'string' || dedup_key === '' || dedup_key.length > LONGEST_DEDUP_KEY) return undefined;
    report.dedup_key = dedup_key;
  }
  return report;
}

type Body = { readonly [Member in keyof Report]?: unknown };
