import { readClaimed } from '../../domain/predecessor.ts';
import { RecorderError } from '../../errors.ts';
import type { ApiDependencies } from '../dependencies.ts';
import type { Admission } from '../middleware/admission.ts';
import type { ApiRoute } from '../middleware/routing.ts';
import { callerOf } from '../request/caller.ts';
import { readBody } from '../request/read.ts';
import { respondJson } from '../respond.ts';
import { importSchema, INCIDENTS_REQUIRED } from './requests.ts';

/** Takes over incidents of the appliance's recorder before this one. */
export const importRoutes = (
  { recorder }: Pick<ApiDependencies, 'recorder'>,
  { command }: Pick<Admission, 'command'>,
): readonly ApiRoute[] => [
  {
    method: 'POST',
    path: '/api/v1/import',
    before: command('admin'),
    handle: async (ctx) => {
      const { incidents } = readBody(ctx, importSchema, INCIDENTS_REQUIRED);
      const claimed = incidents.map((value, index) => {
        const read = readClaimed(value);
        if (typeof read !== 'string') return read;
        throw new RecorderError('invalid_request', `incident ${index + 1}: ${read}`);
      });
      respondJson(ctx, 200, JSON.stringify(await recorder.import(claimed, callerOf(ctx))));
    },
  },
];
