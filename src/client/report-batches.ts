/**
 * Many reports in few requests: `POST /api/v1/incidents/reports` takes up to 100 at once, in a body of the length of one.
 *
 * A recorder that is too old for batches, or takes only shorter ones, gets the reports one by one.
 */
import { Refused } from './errors.ts';
import { LONGEST_REPORT } from './report-text.ts';
import type { Incident, Report } from './shapes.ts';

/** How many reports a recorder takes at once. */
const MOST_REPORTS = 100;

/** A report on its way. */
export interface KeyedReport {
  readonly report: Report;
  readonly key: string;
  /** The report as JSON. */
  readonly text: string;
}

/** What became of a report. */
export interface Recorded {
  /** `replayed`: the report was recorded before, with the same key. */
  readonly outcome: 'created' | 'recurred' | 'replayed';
  readonly incident: Incident;
}

/** Splits reports into batches that a recorder takes. */
export function batchesOf<One extends KeyedReport>(reports: readonly One[]): readonly (readonly One[])[] {
  const batches: One[][] = [];
  let length = Infinity;
  for (const report of reports) {
    const own = Buffer.byteLength(itemText(report)) + 1;
    const last = batches.at(-1);
    if (last === undefined || last.length === MOST_REPORTS || length + own > LONGEST_REPORT) {
      batches.push([report]);
      length = 1 + own;
    } else {
      last.push(report);
      length += own;
    }
  }
  return batches;
}

/** The body of a batch. */
export const batchText = (reports: readonly KeyedReport[]): string => `[${reports.map(itemText).join(',')}]`;

/** A report has members always. */
const itemText = ({ key, text }: KeyedReport): string => `{"idempotency_key":${JSON.stringify(key)},${text.slice(1)}`;

/**
 * What an answer says about each report of a batch; undefined when it is not the answer of a recorder to these.
 */
export function outcomesIn(
  { status, text }: { readonly status: number; readonly text: string },
  reports: readonly KeyedReport[],
): readonly (Recorded | Refused)[] | undefined {
  if (status !== 200) return undefined;
  let items: unknown;
  try {
    items = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!Array.isArray(items) || items.length !== reports.length) return undefined;
  const outcomes = reports.map(({ report }, at) => outcomeIn(items[at], report));
  return outcomes.some((outcome) => outcome === undefined) ? undefined : (outcomes as (Recorded | Refused)[]);
}

function outcomeIn(item: unknown, report: Report): Recorded | Refused | undefined {
  if (typeof item !== 'object' || item === null) return undefined;
  const { status, incident, replayed, ...body } = item as Readonly<Record<string, unknown>>;
  if (typeof status !== 'number') return undefined;
  if (status >= 400) return new Refused(status, body);
  if (!isOfReport(incident, report)) return undefined;
  if (status === 201) return { outcome: 'created', incident };
  return { outcome: replayed === true ? 'replayed' : 'recurred', incident };
}

/** Whether a value is the incident of a report, as far as can be seen. */
export function isOfReport(value: unknown, report: Report): value is Incident {
  const incident = value as Incident | null | undefined;
  return (
    incident?.class === report.class &&
    incident.source === report.source &&
    typeof incident.id === 'string' &&
    incident.id.startsWith('INC-') &&
    Number.isSafeInteger(incident.version)
  );
}

/**
 * Whether a batch was refused for being one, or for its length: then its reports may be sent one by one. What concerns
 * the token or the whole service is no such refusal.
 */
export const isOfBatch = (error: unknown): boolean =>
  error instanceof Refused && !error.passing && error.status !== 401 && error.status !== 403;
