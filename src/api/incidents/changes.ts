import type { ApiDependencies } from '../dependencies.ts';
import { RecorderError } from '../../errors.ts';
import type { Admission } from '../middleware/admission.ts';
import { readerOf } from '../middleware/read-access.ts';
import type { ApiRoute } from '../middleware/routing.ts';
import { readParameters } from '../request/read.ts';
import { parseTimestamp } from '../request/timestamp.ts';
import { turnsOf } from '../server/peer.ts';
import { respondJson } from '../respond.ts';
import { changesSchema } from './requests.ts';

/** What has changed since an entry or a time, for whoever takes over. */
export const changesRoutes = (
  { changes, ...dependencies }: Pick<ApiDependencies, 'changes' | 'access' | 'readEvidence'>,
  { large }: Pick<Admission, 'large'>,
): readonly ApiRoute[] => [
  {
    method: 'GET',
    path: '/api/v1/incidents/changes',
    before: large,
    handle: async (ctx) => {
      const { after: [after] = [], since: [since] = [] } = readParameters(ctx, changesSchema);
      if ((after === undefined) === (since === undefined)) {
        throw new RecorderError('invalid_request', 'after or since is required, and not both');
      }
      const begin = after === undefined ? { since: parseTimestamp(since ?? '') } : { after: Number(after) };
      const { words } = readerOf(dependencies, ctx);
      ctx.vary('Authorization');
      ctx.set('Cache-Control', 'no-store');
      respondJson(ctx, 200, JSON.stringify(await changes.read(begin, words, turnsOf(ctx.req))));
    },
  },
];
