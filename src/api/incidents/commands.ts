import type { Context } from 'koa';
import type * as z from 'zod/mini';
import { COMMAND_TABLE, COMMANDS } from '../../../machines/commands.ts';
import type { Command } from '../../incidents/recorder.ts';
import type { ApiDependencies } from '../dependencies.ts';
import type { Admission } from '../middleware/admission.ts';
import { admittedIn } from '../middleware/authentication.ts';
import type { ApiRoute } from '../middleware/routing.ts';
import { callerOf, isFilled } from '../request/caller.ts';
import { readBody } from '../request/read.ts';
import { respondIncident } from '../respond.ts';
import { expectedVersion } from './if-match.ts';
import { COMMAND_REQUIRED, commandSchema, resolveSchema } from './requests.ts';

/** The commands of operators on an incident, each under its own name. */
export const commandRoutes = (
  { recorder, incidents }: Pick<ApiDependencies, 'recorder' | 'incidents'>,
  { command }: Pick<Admission, 'command'>,
): readonly ApiRoute[] =>
  COMMANDS.map((name) => ({
    method: 'POST',
    path: `/api/v1/incidents/${name}`,
    before: command(...COMMAND_TABLE[name].roles),
    handle: async (ctx) => {
      const body: z.infer<typeof resolveSchema> =
        name === 'resolve'
          ? readBody(ctx, resolveSchema, COMMAND_REQUIRED)
          : readBody(ctx, commandSchema, COMMAND_REQUIRED);
      const target = { id: body.id, ...givenIn(ctx, body) };
      const version = expectedVersion(ctx.req.headers['if-match'], () => incidents.get(body.id)?.version);
      const { incident } = await recorder.perform(name, target, version);
      respondIncident(ctx, 200, incident);
    },
  }));

/** Who gives a command, and what they say about it. */
export const givenIn = (
  ctx: Context,
  { by, note, resolution }: Omit<z.infer<typeof resolveSchema>, 'id'>,
): Omit<Command, 'id'> => ({
  caller: callerOf(ctx, by),
  roles: admittedIn(ctx).principal.roles,
  ...(isFilled(note) && { note }),
  ...(resolution !== undefined && { resolution }),
});
