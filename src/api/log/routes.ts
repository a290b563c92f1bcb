import type { Role } from '../../../machines/vocabulary.ts';
import { signed } from '../../domain/caller.ts';
import type { ApiDependencies } from '../dependencies.ts';
import type { Admission } from '../middleware/admission.ts';
import { admittedIn } from '../middleware/authentication.ts';
import { hasRole } from '../middleware/read-access.ts';
import type { ApiRoute } from '../middleware/routing.ts';
import { callerOf } from '../request/caller.ts';
import { readBody, readParameters } from '../request/read.ts';
import { respondJson } from '../respond.ts';
import { turnsOf } from '../server/peer.ts';
import { acknowledgeDamageSchema, ANCHOR_REQUIRED, anchorSchema, FINDING_REQUIRED, logSchema } from './requests.ts';

/** Who reads raw lines, which hold evidence whatever else says who sees that. */
const LOG_READERS: readonly Role[] = ['anchor', 'auditor'];

/** The raw lines of the audit log, its anchors, and that an operator has taken note of what was found wrong with it. */
export const logRoutes = (
  {
    acknowledgeDamage,
    logStreams,
    anchors,
    access,
  }: Pick<ApiDependencies, 'acknowledgeDamage' | 'logStreams' | 'anchors' | 'access'>,
  { authenticated, command }: Pick<Admission, 'authenticated' | 'command'>,
): readonly ApiRoute[] => [
  {
    method: 'GET',
    path: '/api/v1/log',
    before: authenticated(...LOG_READERS),
    handle: async (ctx) => {
      const given = readParameters(ctx, logSchema);
      const limit = given.limit?.[0];
      const wanted = {
        from: Number(given.from?.[0] ?? 1),
        follow: given.follow?.[0] === 'true',
        archived: given.archived?.[0] === 'true',
        ...(limit === undefined ? {} : { limit: Number(limit) }),
      };
      if (ctx.method === 'HEAD') {
        ctx.set(logStreams.headers(await logStreams.from(wanted)));
        ctx.set('Content-Type', 'application/x-ndjson');
        ctx.status = 200;
        return;
      }
      const isEntitled = (): boolean => hasRole(access, ctx, LOG_READERS);
      const isShipper = admittedIn(ctx).role === 'anchor';
      await logStreams.open(ctx.res, wanted, { turn: turnsOf(ctx.req), isEntitled, isShipper });
      // Koa would check whether the stream is a Response of fetch, and load fetch for that: 15 MB.
      ctx.respond = false;
    },
  },
  {
    method: 'POST',
    path: '/api/v1/log/anchors',
    before: command('anchor'),
    handle: async (ctx) => {
      const { anchor } = readBody(ctx, anchorSchema, ANCHOR_REQUIRED);
      const outcome = await anchors.record(anchor, callerOf(ctx), turnsOf(ctx.req));
      respondJson(ctx, outcome.recorded ? 201 : 200, JSON.stringify(outcome));
    },
  },
  {
    method: 'POST',
    path: '/api/v1/log/acknowledge-damage',
    before: command('admin'),
    handle: async (ctx) => {
      const { finding, by, note } = readBody(ctx, acknowledgeDamageSchema, FINDING_REQUIRED);
      respondJson(ctx, 200, JSON.stringify(await acknowledgeDamage(finding, signed(callerOf(ctx, by), note))));
    },
  },
];
