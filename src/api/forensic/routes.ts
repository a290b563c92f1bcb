import type { ApiDependencies } from '../dependencies.ts';
import type { Admission } from '../middleware/admission.ts';
import type { ApiRoute } from '../middleware/routing.ts';
import { callerOf } from '../request/caller.ts';
import { turnsOf } from '../server/peer.ts';
import { sendExport } from './send-export.ts';

const TYPE = 'application/json';

/** A signed copy of what is on record, as the appliance's offline verifier takes it. */
export const forensicRoutes = (
  { forensic, log }: Pick<ApiDependencies, 'forensic' | 'log'>,
  { authenticated }: Pick<Admission, 'authenticated'>,
): readonly ApiRoute[] => [
  {
    method: 'GET',
    path: '/api/v1/forensic/export',
    before: authenticated('auditor'),
    handle: async (ctx) => {
      if (ctx.method === 'HEAD') {
        forensic.requireKey();
        ctx.set('Content-Type', TYPE);
        ctx.status = 200;
        return;
      }
      const caller = callerOf(ctx);
      await using prepared = await forensic.prepare(caller, turnsOf(ctx.req));
      const { principal, role } = caller;
      log.info({ id: ctx.state.requestId, principal, role, bundle_hash: prepared.hash }, 'a forensic export is sent');
      // Koa would check whether a stream is a Response of fetch, and load fetch for that: 15 MB.
      ctx.respond = false;
      ctx.res.writeHead(200, { 'Content-Type': TYPE, 'Content-Length': prepared.length });
      try {
        await sendExport(ctx.res, prepared);
      } catch (error) {
        // The client sees by the length that it has not got all.
        ctx.res.destroy();
        log.warn({ id: ctx.state.requestId, err: error }, 'a forensic export was not sent');
      }
    },
  },
];
