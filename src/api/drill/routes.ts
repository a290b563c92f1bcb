import type { ApiDependencies } from '../dependencies.ts';
import type { Admission } from '../middleware/admission.ts';
import type { ApiRoute } from '../middleware/routing.ts';
import { callerOf, isFilled } from '../request/caller.ts';
import { readBody } from '../request/read.ts';
import { respondIncident } from '../respond.ts';
import { DRILL_REQUIRED, drillSchema } from './requests.ts';

/** Begins a drill, which goes on by itself: its incident says how far it is. */
export const drillRoutes = (
  { drills }: Pick<ApiDependencies, 'drills'>,
  { command }: Pick<Admission, 'command'>,
): readonly ApiRoute[] => [
  {
    method: 'POST',
    path: '/api/v1/drill',
    before: command('operator', 'admin'),
    handle: async (ctx) => {
      const { class: ofClass, by, note } = readBody(ctx, drillSchema, DRILL_REQUIRED);
      const incident = await drills.start({
        class: ofClass,
        caller: callerOf(ctx, by),
        ...(isFilled(note) && { note }),
      });
      ctx.set('Location', `/api/v1/incidents/get?id=${encodeURIComponent(incident.id)}`);
      respondIncident(ctx, 201, incident);
    },
  },
];
