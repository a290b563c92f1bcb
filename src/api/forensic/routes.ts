import type { ApiDependencies } from '../dependencies.ts';
import type { Admission } from '../middleware/admission.ts';
import type { ApiRoute } from '../middleware/routing.ts';
import { callerOf } from '../request/caller.ts';
import { turnsOf } from '../server/peer.ts';
import { respondExport, respondExportHead } from './respond-export.ts';

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
        respondExportHead(ctx);
        return;
      }
      const caller = callerOf(ctx);
      await using prepared = await forensic.prepare(caller, turnsOf(ctx.req));
      await respondExport(ctx, log, prepared, {
        name: 'a forensic export',
        caller,
        fields: { bundle_hash: prepared.hash },
      });
    },
  },
];
