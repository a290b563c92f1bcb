import type { ApiDependencies } from '../dependencies.ts';
import type { Admission } from '../middleware/admission.ts';
import type { ApiRoute } from '../middleware/routing.ts';
import { callerOf, isFilled } from '../request/caller.ts';
import { nothingSchema } from '../request/fields.ts';
import { readBody, readParameters } from '../request/read.ts';
import { parseTimestamp } from '../request/timestamp.ts';
import { respondJson } from '../respond.ts';
import { END_SILENCE_REQUIRED, endSilenceSchema, SILENCE_REQUIRED, silenceSchema } from './requests.ts';

/** Silences: incidents that match one are recorded and contained as always, and nobody is notified of them. */
export const silenceRoutes = (
  { silences }: Pick<ApiDependencies, 'silences'>,
  { command }: Pick<Admission, 'command'>,
): readonly ApiRoute[] => [
  {
    method: 'GET',
    path: '/api/v1/silences',
    handle: async (ctx) => {
      readParameters(ctx, nothingSchema);
      respondJson(ctx, 200, JSON.stringify(await silences.list()));
    },
  },
  {
    method: 'POST',
    path: '/api/v1/silences',
    before: command('operator'),
    handle: async (ctx) => {
      const {
        by,
        from,
        until,
        q,
        class: classes,
        source,
        severity,
        reason,
      } = readBody(ctx, silenceSchema, SILENCE_REQUIRED);
      const begin = from === undefined ? undefined : parseTimestamp(from);
      const silence = await silences.add(
        {
          ...(classes && { class: distinct(classes) }),
          ...(source && { source: distinct(source) }),
          ...(severity && { severity: distinct(severity) }),
          ...(isFilled(q) && { q }),
          ...(begin !== undefined && { from: begin }),
          until: parseTimestamp(until)!,
          reason,
        },
        callerOf(ctx, by),
      );
      respondJson(ctx, 201, JSON.stringify(silence));
    },
  },
  {
    method: 'POST',
    path: '/api/v1/silences/end',
    before: command('operator'),
    handle: async (ctx) => {
      const { id, reason, by } = readBody(ctx, endSilenceSchema, END_SILENCE_REQUIRED);
      const silence = await silences.end(id, isFilled(reason) ? reason : undefined, callerOf(ctx, by));
      respondJson(ctx, 200, JSON.stringify(silence));
    },
  },
];

const distinct = <Value>(values: readonly Value[]): readonly Value[] => [...new Set(values)];
