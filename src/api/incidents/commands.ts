import type Router from '@koa/router';
import type { Middleware } from 'koa';
import { COMMANDS } from '../../../machines/decision.ts';
import { answerIncident } from '../respond.ts';
import { expectedVersion } from './if-match.ts';
import type { ApiParts } from '../dependencies.ts';
import { COMMAND_REQUIRED, commandSchema } from '../request/fields.ts';
import { validate } from '../request/validate.ts';

/** The commands by which operators move an incident on, each under its own name. */
export const addCommandRoutes = (
  router: Router,
  command: readonly Middleware[],
  { recorder, incidents }: Pick<ApiParts, 'recorder' | 'incidents'>,
): void => {
  for (const name of COMMANDS) {
    router.post(`/api/v1/incidents/${name}`, ...command, async (ctx) => {
      const { id, by, note } = validate(commandSchema, ctx.request.body, 'field', COMMAND_REQUIRED);
      const target = { id, ...(isFilled(by) && { by }), ...(isFilled(note) && { note }) };
      const version = expectedVersion(ctx.req.headers['if-match'], () => incidents.get(target.id)?.version);
      const { incident } = await recorder.perform(name, target, version);
      answerIncident(ctx, 200, incident);
    });
  }
};

/** Forms send what was not filled in as empty text. */
const isFilled = (text: string | undefined): text is string => text !== undefined && text.trim() !== '';
