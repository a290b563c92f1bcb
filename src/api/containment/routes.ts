import type Router from '@koa/router';
import type { Context, Middleware } from 'koa';
import { ACTIONS, type ContainmentAction } from '../../../machines/vocabulary.ts';
import { SECOND } from '../../clock.ts';
import { RecorderError } from '../../errors.ts';
import { answerJson } from '../respond.ts';
import { matchesTag } from '../request/if-none-match.ts';
import { LIMITS } from '../server/api-server.ts';
import type { ApiParts } from '../dependencies.ts';
import { parseQuery } from '../request/query.ts';
import { CONFIRM_REQUIRED, confirmSchema, RETRY_REQUIRED, retrySchema, waitSchema } from '../request/fields.ts';
import { validate } from '../request/validate.ts';

/** How many requests may wait for a change at the same time: they must not take all connections. */
const MOST_WAITING = 64;

/** The posture, and what services and operators say about it. */
export const addContainmentRoutes = (
  router: Router,
  command: readonly Middleware[],
  { posture, receipts }: Pick<ApiParts, 'posture' | 'receipts'>,
): void => {
  /** Answers with how actions stand; with `wait`, when that has changed or the time is over. */
  const answer = async (ctx: Context, actions: readonly ContainmentAction[], json: () => string): Promise<void> => {
    const { wait } = validate(waitSchema, parseQuery(ctx.querystring), 'parameter');
    posture.requireUpToDate();
    const asked = posture.versionOf(actions);
    ctx.status = 200;
    ctx.set('Cache-Control', 'no-cache');
    ctx.set('ETag', `"${asked}"`);
    // What the client does not know yet it need not wait for.
    const isKnown = (version: string): boolean => matchesTag(ctx.get('If-None-Match'), `"${version}"`);
    if (wait !== undefined && (ctx.get('If-None-Match') === '' || isKnown(asked))) {
      await waitForChange(ctx, actions, asked, Number(wait[0]));
      posture.requireUpToDate();
      const version = posture.versionOf(actions);
      ctx.set('ETag', `"${version}"`);
      if (version === asked) {
        ctx.status = 304;
        return;
      }
    }
    if (isKnown(posture.versionOf(actions))) ctx.status = 304;
    else answerJson(ctx, 200, json());
  };

  const waitForChange = async (
    ctx: Context,
    actions: readonly ContainmentAction[],
    version: string,
    seconds: number,
  ): Promise<void> => {
    if (posture.waiting >= MOST_WAITING) {
      throw new RecorderError('overloaded', `${MOST_WAITING} requests wait for the posture already; ask without wait`);
    }
    const left = new AbortController();
    ctx.res.once('close', () => left.abort());
    // Nothing is sent meanwhile, and that is no reason to cut the connection.
    ctx.req.setTimeout(seconds * SECOND + LIMITS.idleTimeout);
    await posture.change(actions, version, seconds * SECOND, left.signal);
  };

  router.get('/api/v1/containment', (ctx) =>
    answer(ctx, ACTIONS, () => JSON.stringify(Object.fromEntries(ACTIONS.map((name) => [name, posture.read(name)])))),
  );

  router.post('/api/v1/containment/confirm', ...command, async (ctx) => {
    const body = validate(confirmSchema, ctx.request.body, 'field', CONFIRM_REQUIRED);
    const { action, directive } = body;
    answerJson(ctx, 200, JSON.stringify({ action, directive, ...(await receipts.confirm(body)) }));
  });

  router.post('/api/v1/containment/retry', ...command, async (ctx) => {
    const body = validate(retrySchema, ctx.request.body, 'field', RETRY_REQUIRED);
    answerJson(ctx, 200, JSON.stringify({ action: body.action, ...(await receipts.retry(body)) }));
  });

  router.get('/api/v1/containment/:action', (ctx) => {
    const action = ACTIONS.find((name) => name === ctx.params.action);
    if (action === undefined) {
      throw new RecorderError('not_found', `no such containment action; allowed: ${ACTIONS.join(', ')}`, {
        fields: { allowed: ACTIONS },
      });
    }
    return answer(ctx, [action], () => JSON.stringify(posture.read(action)));
  });
};
