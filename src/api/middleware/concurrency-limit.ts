import { bulkhead } from 'cockatiel';
import type { Middleware } from 'koa';
import { SECOND } from '../../clock.ts';
import { RecorderError } from '../../errors.ts';

/** Each may hold some MiB, and a file of the log. */
const PLACES = 4;
const MAX_WAITING = 64;
/** How long one request may wait, in milliseconds. */
const PATIENCE = 10 * SECOND;

/**
 * Limits how many large responses are under way at a time. A request keeps its place until its response is sent or its
 * client leaves; the others wait in the order in which they came. All routes with the same middleware share one limit.
 *
 * @param patience how long a request may wait, in milliseconds
 * @throws RecorderError `overloaded` when too many wait, or one waits too long
 */
export const concurrencyLimit = (patience = PATIENCE): Middleware => {
  const places = bulkhead(PLACES, MAX_WAITING);
  return (ctx, next) =>
    new Promise((resolve, reject) => {
      const refuse = (): void => reject(new RecorderError('overloaded', 'too many large answers at once; try again'));
      const timer = setTimeout(refuse, patience);
      // The status that the log shows when the client leaves while it waits.
      ctx.status = 503;
      ctx.res.once('close', () => {
        clearTimeout(timer);
        resolve(undefined);
      });
      const handle = async (): Promise<void> => {
        clearTimeout(timer);
        if (ctx.res.closed) return;
        const sent = new Promise((done) => ctx.res.once('close', done));
        void (async () => next())().then(resolve, reject);
        await sent;
      };
      places.execute(handle).catch(refuse);
    });
};
