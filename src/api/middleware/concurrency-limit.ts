import { bulkhead } from 'cockatiel';
import type { Middleware } from 'koa';
import { SECOND } from '../../clock.ts';
import { RecorderError } from '../../errors.ts';

/** Each may hold some MiB, and a file of the log. */
const PLACES = 4;
const MOST_WAITING = 64;
/** How long one may wait, in milliseconds. */
const PATIENCE = 10 * SECOND;

/**
 * For requests with answers that take much memory: lets a few through at a time, each until its answer has been sent or
 * its client has left. The others wait in the order in which they came. One limit holds for all routes that share what
 * this gives.
 *
 * Throws RecorderError `overloaded` when too many wait, or one has waited too long.
 */
export const fewAtATime = (patience = PATIENCE): Middleware => {
  const places = bulkhead(PLACES, MOST_WAITING);
  return (ctx, next) =>
    new Promise((resolve, reject) => {
      const refuse = (): void => reject(new RecorderError('overloaded', 'too many large answers at once; try again'));
      const timer = setTimeout(refuse, patience);
      // Whoever has left or was refused need not be answered; for the log it was refused.
      ctx.status = 503;
      ctx.res.once('close', () => {
        clearTimeout(timer);
        resolve(undefined);
      });
      const answer = async (): Promise<void> => {
        clearTimeout(timer);
        if (ctx.res.closed) return;
        const sent = new Promise((done) => ctx.res.once('close', done));
        void (async () => next())().then(resolve, reject);
        await sent;
      };
      places.execute(answer).catch(refuse);
    });
};
