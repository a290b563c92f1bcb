import type { Middleware } from 'koa';
import { RecorderError } from '../../errors.ts';
import { answerJson } from '../respond.ts';
import type { Log } from '../dependencies.ts';

const RETRY_AFTER_SECONDS = '5';

/**
 * Answers what was thrown with `{"error": message, …fields}` and its status. What the client can't help (status 500, and
 * everything that is not an error of ours) becomes `internal error` to it, and goes to the log.
 */
export const errors =
  (log: Log): Middleware =>
  async (ctx, next) => {
    try {
      await next();
    } catch (thrown) {
      const error = thrown instanceof RecorderError ? thrown : new RecorderError('internal', 'internal error');
      // That too much is asked of it at once is told by the request's own line.
      if (error.status >= 500 && error.code !== 'overloaded')
        log.error({ id: ctx.state.requestId, err: thrown }, 'request failed');
      if (error.status === 503) ctx.set('Retry-After', RETRY_AFTER_SECONDS);
      const body = error.status === 500 ? { error: 'internal error' } : { error: error.message, ...error.fields };
      answerJson(ctx, error.status, JSON.stringify(body));
    }
  };
