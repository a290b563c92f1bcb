import { createHash } from 'node:crypto';
import type Router from '@koa/router';
import type { Middleware } from 'koa';
import type { Idempotency, Report } from '../../domain/incident-entries.ts';
import { RecorderError } from '../../errors.ts';
import { canonicalForm } from '../../json/canonical-form.ts';
import type { JsonValue } from '../../json/exact-json.ts';
import { answerIncident, incidentPath } from '../respond.ts';
import type { ApiParts } from '../dependencies.ts';
import { REPORT_REQUIRED, reportSchema } from '../request/fields.ts';
import { validate } from '../request/validate.ts';

const IDEMPOTENCY_KEY = /^[\x21-\x7e]{1,255}$/;

/** Reporting an incident: 201 for a new one, 200 for one that was there already. */
export const addReportRoute = (
  router: Router,
  command: readonly Middleware[],
  { recorder }: Pick<ApiParts, 'recorder'>,
): void => {
  router.post('/api/v1/incidents/report', ...command, async (ctx) => {
    const body = ctx.request.body as JsonValue;
    const report = validate(reportSchema, body, 'field', REPORT_REQUIRED) as Report;
    const key = ctx.req.headers['idempotency-key'];
    const { incident, change } = await recorder.report(report, key === undefined ? undefined : idempotency(key, body));
    if (change === 'created') ctx.set('Location', incidentPath(incident.id));
    if (change === 'replayed') ctx.set('Idempotent-Replayed', 'true');
    answerIncident(ctx, change === 'created' ? 201 : 200, incident);
  });
};

/** Two bodies are the same when their canonical forms are: white space and the order of members don't count. */
const idempotency = (key: string | readonly string[], body: JsonValue): Idempotency => {
  if (typeof key !== 'string' || !IDEMPOTENCY_KEY.test(key)) {
    throw new RecorderError('invalid_request', 'Idempotency-Key must be 1 to 255 visible ASCII characters');
  }
  return { key, fingerprint: createHash('sha256').update(canonicalForm(body)).digest('hex') };
};
