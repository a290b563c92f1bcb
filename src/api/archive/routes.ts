import type Router from '@koa/router';
import type { Middleware } from 'koa';
import { answerJson } from '../respond.ts';
import type { ApiParts } from '../dependencies.ts';
import { archiveSchema, BEFORE_REQUIRED } from '../request/fields.ts';
import { parseTimestamp } from '../request/timestamp.ts';
import { validate } from '../request/validate.ts';

/** Moves old segments of the audit log to the archive; the answer tells what was moved, and what has to stay and why. */
export const addArchiveRoute = (
  router: Router,
  command: readonly Middleware[],
  { archive }: Pick<ApiParts, 'archive'>,
): void => {
  router.post('/api/v1/archive', ...command, async (ctx) => {
    const { before } = validate(archiveSchema, ctx.request.body, 'field', BEFORE_REQUIRED);
    answerJson(ctx, 200, JSON.stringify(await archive(parseTimestamp(before) ?? NaN)));
  });
};
