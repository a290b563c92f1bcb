import type { ApiDependencies } from '../dependencies.ts';
import type { Admission } from '../middleware/admission.ts';
import type { ApiRoute } from '../middleware/routing.ts';
import { callerOf } from '../request/caller.ts';
import { ID_REQUIRED } from '../request/fields.ts';
import { readParameters } from '../request/read.ts';
import { respondExport, respondExportHead } from '../forensic/respond-export.ts';
import { turnsOf } from '../server/peer.ts';
import { bundleSchema } from './requests.ts';

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
        respondExportHead(ctx);
        return;
      }
      const caller = callerOf(ctx);
      await using prepared = await bundles.prepare(id, caller, turnsOf(ctx.req));
      await respondExport(ctx, log, prepared, {
        name: 'an evidence bundle',
        caller,
        fields: { manifest: prepared.hash },
      });
    },
  },
];
