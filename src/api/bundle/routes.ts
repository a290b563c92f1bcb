import * as z from 'zod/mini';
import { MOST_INCIDENTS } from '../../bundle/make-bundle.ts';
import type { ApiDependencies } from '../dependencies.ts';
import type { Admission } from '../middleware/admission.ts';
import type { ApiRoute } from '../middleware/routing.ts';
import { callerOf } from '../request/caller.ts';
import { filled, ID_REQUIRED } from '../request/fields.ts';
import { readParameters } from '../request/read.ts';
import { sendExport } from '../forensic/send-export.ts';
import { turnsOf } from '../server/peer.ts';

const TYPE = 'application/json';

const bundleSchema = z.strictObject({
  id: z.array(filled(ID_REQUIRED), ID_REQUIRED).check(
    z.minLength(1, ID_REQUIRED),
    z.maxLength(MOST_INCIDENTS, `id may be given at most ${MOST_INCIDENTS} times`),
    z.refine((ids) => new Set(ids).size === ids.length, 'each id may be given only once'),
  ),
});

/** Incidents with what proves them, in one file for somebody who has no access to this machine. */
export const bundleRoutes = (
  { bundles, log }: Pick<ApiDependencies, 'bundles' | 'log'>,
  { authenticated }: Pick<Admission, 'authenticated'>,
): readonly ApiRoute[] => [
  {
    method: 'GET',
    path: '/api/v1/incidents/bundle',
    before: authenticated('auditor'),
    handle: async (ctx) => {
      const { id } = readParameters(ctx, bundleSchema, ID_REQUIRED);
      if (ctx.method === 'HEAD') {
        bundles.versionsOf(id);
        ctx.set('Content-Type', TYPE);
        ctx.status = 200;
        return;
      }
      const caller = callerOf(ctx);
      await using prepared = await bundles.prepare(id, caller, turnsOf(ctx.req));
      const { principal, role } = caller;
      const about = { id: ctx.state.requestId, principal, role };
      log.info({ ...about, manifest: prepared.hash }, 'an evidence bundle is sent');
      // Koa would check whether a stream is a Response of fetch, and load fetch for that: 15 MB.
      ctx.respond = false;
      ctx.res.writeHead(200, { 'Content-Type': TYPE, 'Content-Length': prepared.length });
      try {
        await sendExport(ctx.res, prepared);
      } catch (error) {
        // The client sees by the length that it has not got all.
        ctx.res.destroy();
        log.warn({ ...about, err: error }, 'an evidence bundle was not sent');
      }
    },
  },
];
