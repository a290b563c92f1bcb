import type { Context, Middleware } from 'koa';
import { RecorderError } from '../../errors.ts';
import type { ApiLogger } from '../dependencies.ts';
import { respondJson, RETRY_AFTER_SECONDS } from '../respond.ts';

/** Responds to errors as `respondError` does. */
export const errors =
  (log: ApiLogger): Middleware =>
  async (ctx, next) => {
    try {
      await next();
    } catch (thrown) {
      respondError(ctx, thrown, log);
    }
  };

/**
 * Responds to a thrown RecorderError with its status and `{"error": message, …fields}`. Of an error with status 500, and
 * of any other error, the client learns `internal error` only; the log gets all of it.
 */
export const respondError = (ctx: Context, thrown: unknown, log: ApiLogger): void => {
  const error = thrown instanceof RecorderError ? thrown : new RecorderError('internal', 'internal error');
  // An overload, and a log that is still being read, show in the status of the request's own line.
  if (error.status >= 500 && error.code !== 'overloaded' && error.code !== 'starting')
    log.error({ id: ctx.state.requestId, err: thrown }, 'request failed');
  if (error.status === 503) ctx.set('Retry-After', RETRY_AFTER_SECONDS);
  if (error.code === 'quota_exceeded') ctx.set('Retry-After', String(error.fields.retry_after));
  respondJson(ctx, error.status, JSON.stringify(errorBody(error)));
};

/** The body of the response to an error. */
export const errorBody = ({ status, message, fields }: RecorderError): Readonly<Record<string, unknown>> =>
  status === 500 ? { error: 'internal error' } : { error: message, ...fields };
