import { createHash } from 'node:crypto';
import { RecorderError } from '../../errors.ts';
import { canonicalForm } from '../../json/canonical-form.ts';
import type { JsonValue } from '../../json/exact-json.ts';
import type { ApiDependencies } from '../dependencies.ts';
import type { Admission } from '../middleware/admission.ts';
import type { ApiRoute } from '../middleware/routing.ts';
import { callerOf } from '../request/caller.ts';
import { readBody } from '../request/read.ts';
import { respondIncident } from '../respond.ts';
import { REPORT_REQUIRED, reportSchema } from './requests.ts';
import type { Idempotency, Report } from '../../domain/entries.ts';

const IDEMPOTENCY_KEY = /^[\x21-\x7e]{1,255}$/;

/** Takes a report: 201 for a new incident, 200 for one that is on record already. */
export const reportRoutes = (
  { recorder }: Pick<ApiDependencies, 'recorder'>,
  { command }: Pick<Admission, 'command'>,
): readonly ApiRoute[] => [
  {
    method: 'POST',
    path: '/api/v1/incidents/report',
    before: command('reporter'),
    handle: async (ctx) => {
      const report = readBody(ctx, reportSchema, REPORT_REQUIRED) as Report;
      const idempotency = idempotencyOf(ctx.req.headers['idempotency-key'], ctx.request.body as JsonValue);
      const bytes = (ctx.request.rawBody as string).length;
      const caller = callerOf(ctx);
      const { incident, change } = await recorder.report(report, idempotency, bytes, caller);
      if (change === 'created') ctx.set('Location', locationOf(incident.id));
      if (change === 'replayed') ctx.set('Idempotent-Replayed', 'true');
      respondIncident(ctx, change === 'created' ? 201 : 200, incident);
    },
  },
];

/** Where an incident is read. */
const locationOf = (id: string): string => `/api/v1/incidents/get?id=${encodeURIComponent(id)}`;

/** Two bodies are the same when their canonical forms are: white space and the order of members don't count. */
const idempotencyOf = (key: string | readonly string[] | undefined, body: JsonValue): Idempotency | undefined => {
  if (key === undefined) return undefined;
  if (typeof key !== 'string' || !IDEMPOTENCY_KEY.test(key)) {
    throw new RecorderError('invalid_request', 'Idempotency-Key must be 1 to 255 visible ASCII characters');
  }
  return { key, fingerprint: createHash('sha256').update(canonicalForm(body)).digest('hex') };
};
