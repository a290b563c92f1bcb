import type { ApiDependencies } from '../dependencies.ts';
import type { Admission } from '../middleware/admission.ts';
import type { ApiRoute } from '../middleware/routing.ts';
import { callerOf } from '../request/caller.ts';
import { readBody } from '../request/read.ts';
import { parseTimestamp } from '../request/timestamp.ts';
import { respondJson } from '../respond.ts';
import { archiveSchema, BEFORE_REQUIRED } from './requests.ts';

/** Moves old segments of the audit log to the archive, and says which were moved, which stay, and why. */
export const archiveRoutes = (
  { archive }: Pick<ApiDependencies, 'archive'>,
  { command }: Pick<Admission, 'command'>,
): readonly ApiRoute[] => [
  {
    method: 'POST',
    path: '/api/v1/archive',
    before: command('admin'),
    handle: async (ctx) => {
      const { before } = readBody(ctx, archiveSchema, BEFORE_REQUIRED);
      respondJson(ctx, 200, JSON.stringify(await archive(parseTimestamp(before) ?? NaN, callerOf(ctx))));
    },
  },
];
