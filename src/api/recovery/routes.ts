import type { Context } from 'koa';
import type { RecoveryStatus } from '../../incidents/recovery-status.ts';
import type { ApiDependencies } from '../dependencies.ts';
import { expectedVersion } from '../incidents/if-match.ts';
import { linkToNext } from '../incidents/link.ts';
import type { Admission } from '../middleware/admission.ts';
import { isTrustedReader } from '../middleware/read-access.ts';
import type { ApiRoute } from '../middleware/routing.ts';
import { callerOf } from '../request/caller.ts';
import { readBody, readParameters } from '../request/read.ts';
import { respondJson } from '../respond.ts';
import { publicStatus } from './public-status.ts';
import {
  acknowledgeSchema,
  INCIDENT_REQUIRED,
  reattestSchema,
  statusSchema,
  WAIVER_REQUIRED,
  waiveSchema,
} from './requests.ts';

/** What people do for the recovery of an incident, and how far it is. */
export const recoveryRoutes = (
  { recoveries, incidents, access }: Pick<ApiDependencies, 'recoveries' | 'incidents' | 'access'>,
  { command, large }: Pick<Admission, 'command' | 'large'>,
): readonly ApiRoute[] => {
  const versionOf = (ctx: Context, id: string): number | undefined =>
    expectedVersion(ctx.req.headers['if-match'], () => incidents.get(id)?.version);
  return [
    {
      method: 'POST',
      path: '/api/v1/recovery/ack',
      before: command('recovery'),
      handle: async (ctx) => {
        const { incident_id, operator } = readBody(ctx, acknowledgeSchema, INCIDENT_REQUIRED);
        await recoveries.acknowledge(incident_id, callerOf(ctx, operator), undefined, versionOf(ctx, incident_id));
        respondJson(ctx, 200, JSON.stringify({ status: 'acknowledged' }));
      },
    },
    {
      method: 'POST',
      path: '/api/v1/recovery/reattest',
      before: command('recovery'),
      handle: async (ctx) => {
        const { incident_id, operator } = readBody(ctx, reattestSchema, INCIDENT_REQUIRED);
        const version = versionOf(ctx, incident_id);
        const { incident } = await recoveries.reattest(incident_id, callerOf(ctx, operator), undefined, version);
        const { attested, missing } = incident.recovery ?? {};
        const answer = {
          status: 're-attested',
          incident_id,
          re_attested_at: attested?.at,
          attestation_evidence: attested?.evidence,
          recovery_complete: missing?.length === 0,
        };
        respondJson(ctx, 200, JSON.stringify(answer));
      },
    },
    {
      method: 'POST',
      path: '/api/v1/recovery/waive',
      before: command('admin'),
      handle: async (ctx) => {
        const { incident_id, reason, operator } = readBody(ctx, waiveSchema, WAIVER_REQUIRED);
        await recoveries.waive(incident_id, reason, callerOf(ctx, operator), versionOf(ctx, incident_id));
        respondJson(ctx, 200, JSON.stringify({ status: 'waived' }));
      },
    },
    {
      method: 'GET',
      path: '/api/v1/recovery/status',
      before: large,
      handle: (ctx) => {
        const { incident_id: [id] = [], after: [after] = [] } = readParameters(ctx, statusSchema);
        const shown = isTrustedReader(access, ctx) ? (one: RecoveryStatus) => one : publicStatus;
        ctx.vary('Authorization');
        if (id !== undefined) {
          const status = recoveries.of(id);
          const body = { count: status.recovery_complete ? 0 : 1, pending_recoveries: [shown(status)] };
          return respondJson(ctx, 200, JSON.stringify(body));
        }
        const { count, pending, next } = recoveries.pending(Number(after ?? 0));
        if (next !== undefined) ctx.set('Link', linkToNext(ctx.path, ctx.querystring, 'after', String(next)));
        respondJson(ctx, 200, JSON.stringify({ count, pending_recoveries: pending.map(shown) }));
      },
    },
  ];
};
