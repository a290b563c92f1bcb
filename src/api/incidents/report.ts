import { createHash } from 'node:crypto';
import type { IncidentDocument } from '../../domain/document.ts';
import { shownIncident } from '../../domain/withheld.ts';
import type { Context } from 'koa';
import { SECOND } from '../../clock.ts';
import { RecorderError } from '../../errors.ts';
import { canonicalForm } from '../../json/canonical-form.ts';
import type { JsonValue } from '../../json/exact-json.ts';
import type { ApiDependencies } from '../dependencies.ts';
import type { Admission } from '../middleware/admission.ts';
import { admittedIn } from '../middleware/authentication.ts';
import { readingOf } from '../middleware/read-access.ts';
import { bodyBytes, releaseBody } from '../middleware/json-body.ts';
import type { ApiRoute } from '../middleware/routing.ts';
import { requireBound } from '../request/bounds.ts';
import { callerOf } from '../request/caller.ts';
import { preferredWait } from '../request/prefer.ts';
import { readBody } from '../request/read.ts';
import { respondIncident, setHeader } from '../respond.ts';
import { plainReport } from './plain-report.ts';
import { REPORT_REQUIRED, reportSchema } from './requests.ts';
import type { Idempotency, Report } from '../../domain/entries.ts';

const IDEMPOTENCY_KEY = /^[\x21-\x7e]{1,255}$/;

/**
 * Takes a report: 201 for a new incident, 200 for one that is on record already.
 *
 * The answer comes when the report is on disk. With `Prefer: wait=N`, or `answer_after` in the rule of its class, it
 * waits until containment of the incident is settled, or until that time is over.
 */
export const reportRoutes = (
  {
    recorder,
    answers,
    policy,
    readEvidence,
  }: Pick<ApiDependencies, 'recorder' | 'answers' | 'policy' | 'readEvidence'>,
  { command }: Pick<Admission, 'command'>,
): readonly ApiRoute[] => [
  {
    method: 'POST',
    path: '/api/v1/incidents/report',
    before: command('reporter'),
    handle: async (ctx) => {
      const report = plainReport(ctx.request.body) ?? (readBody(ctx, reportSchema, REPORT_REQUIRED) as Report);
      requireBound(admittedIn(ctx), { source: report.source, class: report.class });
      const idempotency = idempotencyOf(ctx.req.headers['idempotency-key'], ctx.request.body as JsonValue);
      const preferred = preferredWait(ctx.req.headers.prefer as string | undefined);
      const time = preferred === undefined ? policy.current.rules[report.class].answer_after : preferred * SECOND;
      const { incident, change } = await recorder.report(report, idempotency, bodyBytes(ctx), callerOf(ctx));
      if (change === 'created') setHeader(ctx, 'Location', locationOf(incident.id));
      if (change === 'replayed') ctx.set('Idempotent-Replayed', 'true');
      if (change === 'created' && (time === undefined || time === 0)) return respondIncident(ctx, 201, incident);
      // A new incident holds what the client has sent; one on record may hold what others have.
      const reader = readingOf(admittedIn(ctx).principal, {
        readEvidence: change === 'created' ? 'open' : readEvidence,
      });
      const shown = (document: IncidentDocument): IncidentDocument => ({
        ...document,
        json: shownIncident(document.json, reader),
      });
      const status = change === 'created' ? 201 : 200;
      const { name } = admittedIn(ctx).principal;
      const mayWait = time !== undefined && time > 0;
      const settled = mayWait ? answers?.wait(incident.id, time, leaving(ctx), name) : undefined;
      if (settled === undefined || answers === undefined) return respondIncident(ctx, status, shown(incident));
      if (preferred !== undefined) ctx.set('Preference-Applied', `wait=${preferred}`);
      // Not awaited here: what waits keeps nothing of the report, nor of its incident as it was.
      return respondLater(ctx, status, incident.id, settled, (id) => shown(answers.incident(id)));
    },
  },
];

/** Responds with an incident as it is once the wait is over. Until then the request holds no body. */
const respondLater = async (
  ctx: Context,
  status: number,
  id: string,
  settled: Promise<boolean>,
  read: (id: string) => IncidentDocument,
): Promise<void> => {
  releaseBody(ctx);
  // The line in the process log says so also when the client leaves.
  ctx.status = status;
  // A wait that was cut short for another principal was not as it was asked for.
  if (!(await settled)) ctx.remove('Preference-Applied');
  if (!ctx.res.closed) respondIncident(ctx, status, read(id));
};

/** Aborts when the client leaves before it is answered. */
const leaving = ({ res }: Context): AbortSignal => {
  const left = new AbortController();
  // Without a reason it would make an exception with a stack trace, for each client that leaves.
  const leave = (): void => left.abort('the client has left');
  if (res.closed) leave();
  else res.once('close', leave);
  return left.signal;
};

/** Where an incident is read. */
export const locationOf = (id: string): string => `/api/v1/incidents/get?id=${encodeURIComponent(id)}`;

/**
 * Two bodies are the same when their canonical forms are: white space and the order of members don't count.
 * @param name what messages call the key
 */
export const idempotencyOf = (key: unknown, body: JsonValue, name = 'Idempotency-Key'): Idempotency | undefined => {
  if (key === undefined) return undefined;
  if (typeof key !== 'string' || !IDEMPOTENCY_KEY.test(key)) {
    throw new RecorderError('invalid_request', `${name} must be 1 to 255 visible ASCII characters`);
  }
  return { key, fingerprint: createHash('sha256').update(canonicalForm(body)).digest('hex') };
};
