import { isUtf8 } from 'node:buffer';
import type { Context } from 'koa';
import type { Report } from '../../domain/entries.ts';
import { type Reader, shownIncident } from '../../domain/withheld.ts';
import { RecorderError } from '../../errors.ts';
import type { BatchedReport, BatchOutcome } from '../../incidents/report-batch.ts';
import { type ExactItem, itemsOfArray, itemsOfLines } from '../../json/exact-items.ts';
import { ExactJsonError } from '../../json/exact-json.ts';
import type { ApiDependencies } from '../dependencies.ts';
import type { Admission } from '../middleware/admission.ts';
import { type Admitted, admittedIn } from '../middleware/authentication.ts';
import { sentAsLines } from '../middleware/content-type.ts';
import { errorBody } from '../middleware/errors.ts';
import { inexact, invalidJson, requireObject, takeBatch } from '../middleware/json-body.ts';
import { readingOf } from '../middleware/read-access.ts';
import type { ApiRoute } from '../middleware/routing.ts';
import { requireBound } from '../request/bounds.ts';
import { callerOf } from '../request/caller.ts';
import { validate } from '../request/validate.ts';
import { respondJson } from '../respond.ts';
import { plainReport } from './plain-report.ts';
import { idempotencyOf } from './report.ts';
import { REPORT_REQUIRED, reportSchema } from './requests.ts';

/** How many reports a batch may have. */
export const MOST_REPORTS = 100;

/**
 * Takes many reports with one request, which is answered when all of them are on disk: 200, with an item for each
 * report in order. An item has the status with which the report alone would have been answered, and the incident or the
 * error. One that is refused does not stop the others.
 *
 * The whole is refused when its body can't be read as a batch, and when nothing can be recorded now; then no report of it
 * is. It waits for no containment: `Prefer` and `answer_after` are for single reports.
 */
export const batchRoutes = (
  { recorder, readEvidence, metrics }: Pick<ApiDependencies, 'recorder' | 'readEvidence' | 'metrics'>,
  { batch }: Pick<Admission, 'batch'>,
): readonly ApiRoute[] => [
  {
    method: 'POST',
    path: '/api/v1/incidents/reports',
    before: batch('reporter'),
    handle: async (ctx) => {
      if (ctx.req.headers['idempotency-key'] !== undefined) {
        const message = 'a batch has no Idempotency-Key: give each report its own idempotency_key';
        throw new RecorderError('invalid_request', message);
      }
      const admitted = admittedIn(ctx);
      const reports = itemsIn(ctx).map((item) => attempt(() => reportIn(item, admitted)));
      const recorded = await recorder.reportAll(
        reports.filter((report): report is BatchedReport => !(report instanceof RecorderError)),
        callerOf(ctx),
      );
      let next = 0;
      const outcomes = reports.map((report) => (report instanceof RecorderError ? report : recorded[next++]!));
      metrics.requests.countBatched(outcomes.map(statusOf));
      const reader = readingOf(admitted.principal, { readEvidence });
      respondJson(ctx, 200, `[${outcomes.map((outcome) => itemText(outcome, reader)).join(',')}]`);
    },
  },
];

/** @throws RecorderError `invalid_request` for what is no batch, `too_large` for too many reports */
function itemsIn(ctx: Context): readonly ExactItem[] {
  const bytes = takeBatch(ctx);
  const items = sentAsLines(ctx) ? linesIn(bytes) : arrayIn(bytes);
  if (items === undefined) throw new RecorderError('too_large', `a batch has at most ${MOST_REPORTS} reports`);
  return items;
}

function linesIn(bytes: Buffer): readonly ExactItem[] | undefined {
  // A line with other bytes refuses itself alone: the mark that a decoder puts there is no JSON.
  if (isUtf8(bytes)) return itemsOfLines(bytes.toString('utf8'), MOST_REPORTS);
  return itemsOfLines(
    bytes
      .toString('latin1')
      .split('\n')
      .map((line) => {
        const inLine = Buffer.from(line, 'latin1');
        return isUtf8(inLine) ? inLine.toString('utf8') : NOT_UTF8;
      })
      .join('\n'),
    MOST_REPORTS,
  );
}

/** Stands for a line that is no UTF-8: no JSON either. */
const NOT_UTF8 = '\ufffd';

function arrayIn(bytes: Buffer): readonly ExactItem[] | undefined {
  if (!isUtf8(bytes)) throw invalidJson();
  try {
    return itemsOfArray(bytes.toString('utf8'), MOST_REPORTS);
  } catch (error) {
    if (!(error instanceof ExactJsonError)) throw error;
    const message = error.message === 'invalid JSON' ? error.message : 'a batch is a JSON array of reports, or NDJSON';
    throw new RecorderError('invalid_request', message, { cause: error });
  }
}

/** What a report of a batch may have besides. */
const OWN = ['idempotency_key'];

/** @throws RecorderError `invalid_request`, `forbidden` */
function reportIn({ text, value }: ExactItem, admitted: Admitted): BatchedReport {
  if (value instanceof ExactJsonError) throw inexact(value);
  const { idempotency_key: key, ...given } = requireObject(value);
  const report = plainReport(given) ?? (validate(reportSchema, given, 'field', REPORT_REQUIRED, OWN) as Report);
  requireBound(admitted, { source: report.source, class: report.class });
  const isLeftOut = key === null || key === '';
  const idempotency = idempotencyOf(isLeftOut ? undefined : key, given, 'idempotency_key');
  return { report, idempotency, bytes: Buffer.byteLength(text) };
}

function attempt<Result>(work: () => Result): Result | RecorderError {
  try {
    return work();
  } catch (error) {
    if (error instanceof RecorderError) return error;
    throw error;
  }
}

const STATUS_OF = { created: 201, recurred: 200, replayed: 200, moved: 200, unchanged: 200 } as const;

const statusOf = (outcome: BatchOutcome): number =>
  outcome instanceof RecorderError ? outcome.status : STATUS_OF[outcome.change];

function itemText(outcome: BatchOutcome, reader: Reader): string {
  const status = statusOf(outcome);
  if (outcome instanceof RecorderError) return JSON.stringify({ status, ...errorBody(outcome) });
  const { incident, change } = outcome;
  // A new incident holds what the client has sent; one on record may hold what others have.
  if (change === 'created') return `{"status":201,"incident":${incident.json}}`;
  const replayed = change === 'replayed' ? '"replayed":true,' : '';
  return `{"status":${status},${replayed}"incident":${shownIncident(incident.json, reader)}}`;
}
