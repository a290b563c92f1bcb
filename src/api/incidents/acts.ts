import type { ApiDependencies } from '../dependencies.ts';
import type { Admission } from '../middleware/admission.ts';
import type { ApiRoute } from '../middleware/routing.ts';
import type { Context } from 'koa';
import { callerOf, isFilled } from '../request/caller.ts';
import { readBody } from '../request/read.ts';
import { parseTimestamp } from '../request/timestamp.ts';
import { respondIncident } from '../respond.ts';
import type { Act } from '../../incidents/incident-acts.ts';
import { expectedVersion } from './if-match.ts';
import { locationOf } from './report.ts';
import {
  ASSIGN_REQUIRED,
  assignSchema,
  COMMAND_REQUIRED,
  commandSchema,
  NOTE_REQUIRED,
  noteSchema,
  SNOOZE_REQUIRED,
  snoozeSchema,
} from './requests.ts';

/** What people do with incidents besides commands. */
export const actRoutes = (
  { acts, incidents }: Pick<ApiDependencies, 'acts' | 'incidents'>,
  { command }: Pick<Admission, 'command'>,
): readonly ApiRoute[] => {
  /** Who does it to which incident, why, and in which version. */
  const actOf = (ctx: Context, { id, by, note }: { id: string; by?: string; note?: string }): Act => ({
    id,
    caller: callerOf(ctx, by),
    note: isFilled(note) ? note : undefined,
    ifVersion: expectedVersion(ctx.req.headers['if-match'], () => incidents.get(id)?.version),
  });
  return [
    {
      method: 'POST',
      path: '/api/v1/incidents/note',
      before: command('operator', 'recovery'),
      handle: async (ctx) => {
        const body = readBody(ctx, noteSchema, NOTE_REQUIRED);
        respondIncident(ctx, 200, await acts.note({ ...actOf(ctx, body), note: body.note }));
      },
    },
    {
      method: 'POST',
      path: '/api/v1/incidents/assign',
      before: command('operator', 'recovery'),
      handle: async (ctx) => {
        const body = readBody(ctx, assignSchema, ASSIGN_REQUIRED);
        respondIncident(ctx, 200, await acts.assign(body.to, actOf(ctx, body)));
      },
    },
    {
      method: 'POST',
      path: '/api/v1/incidents/snooze',
      before: command('operator'),
      handle: async (ctx) => {
        const body = readBody(ctx, snoozeSchema, SNOOZE_REQUIRED);
        const until = body.until === null ? null : parseTimestamp(body.until)!;
        respondIncident(ctx, 200, await acts.snooze(until, actOf(ctx, body)));
      },
    },
    {
      method: 'POST',
      path: '/api/v1/incidents/reopen',
      before: command('operator'),
      handle: async (ctx) => {
        const { incident, isNew } = await acts.reopen(actOf(ctx, readBody(ctx, commandSchema, COMMAND_REQUIRED)));
        ctx.set('Location', locationOf(incident.id));
        respondIncident(ctx, isNew ? 201 : 200, incident);
      },
    },
  ];
};
