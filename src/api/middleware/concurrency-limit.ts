import { bulkhead } from 'cockatiel';
import type { Context, Middleware } from 'koa';
import { SECOND, systemClock } from '../../clock.ts';
import { RecorderError } from '../../errors.ts';
import { peerOf } from '../server/peer.ts';

/** Each may hold some MiB, and a file of the log. */
const PLACES = 4;
/** As many again for requests on connections that showed the service token: strangers can't take them. */
const TRUSTED_PLACES = 2;
const MAX_WAITING = 64;
/** How long one request may wait, in milliseconds. */
const PATIENCE = 10 * SECOND;
/** How long a response may keep a place unread while others wait, in milliseconds. */
const UNREAD = 500;
/** Milliseconds between two looks for such responses. */
const LOOK_EVERY = 100;

interface LimitOptions {
  readonly places?: number;
  readonly what?: string;
  readonly goesOn?: boolean;
}

/**
 * Limits how many large responses are under way at a time. A request keeps its place until its response is sent or its
 * client leaves; the others wait in the order in which they came. A client that does not read its response while others
 * wait is cut. All routes with the same middleware share one limit.
 *
 * @param patience how long a request may wait, in milliseconds
 * @param options `places`: how many there are for requests on trusted connections; `what`: what the refusal names;
 *   `goesOn`: the work does not end when its client leaves, and keeps its place until it is done
 * @throws RecorderError `overloaded` when too many wait, or one waits too long
 */
export const concurrencyLimit = (
  patience = PATIENCE,
  { places = TRUSTED_PLACES, what = 'large answers', goesOn = false }: LimitOptions = {},
): Middleware => {
  const strangers = new Places(PLACES);
  const trusted = new Places(places);
  return (ctx, next) => {
    const limited = peerOf(ctx.req).trusted ? trusted : strangers;
    return new Promise((resolve, reject) => {
      const refuse = (): void => reject(new RecorderError('overloaded', `too many ${what} at once; try again`));
      const timer = setTimeout(refuse, patience);
      // The status that the log shows when the client leaves while it waits.
      ctx.status = 503;
      let isHandled = false;
      ctx.res.once('close', () => {
        clearTimeout(timer);
        if (!isHandled || !goesOn) resolve(undefined);
      });
      const handle = async (): Promise<void> => {
        clearTimeout(timer);
        if (ctx.res.closed) return resolve(undefined);
        isHandled = true;
        const sent = new Promise((done) => ctx.res.once('close', done));
        const handled = (async () => next())().then(resolve, reject);
        if (goesOn) await handled;
        await sent;
      };
      limited.take(ctx, handle).catch(refuse);
    });
  };
};

class Places {
  readonly #places;
  /** The responses that have a place, and since when they wait to be read. */
  readonly #held = new Map<Context, number | undefined>();
  #look: NodeJS.Timeout | undefined;

  constructor(places: number) {
    this.#places = bulkhead(places, MAX_WAITING);
  }

  /** Runs `handle` in a place, which it keeps until it resolves. Rejects when too many wait. */
  take(ctx: Context, handle: () => Promise<void>): Promise<void> {
    const taken = this.#places.execute(async () => {
      this.#held.set(ctx, undefined);
      await handle();
      this.#held.delete(ctx);
    });
    this.#watch();
    return taken;
  }

  get #someWait(): boolean {
    return this.#places.queueSlots < MAX_WAITING;
  }

  #watch(): void {
    if (this.#look !== undefined || !this.#someWait) return;
    this.#look = setTimeout(() => {
      this.#look = undefined;
      this.#cutUnread();
      this.#watch();
    }, LOOK_EVERY).unref();
  }

  #cutUnread(): void {
    const now = systemClock.monotonic();
    for (const [ctx, since] of this.#held) {
      if (!ctx.res.writableEnded) continue;
      if (since === undefined) this.#held.set(ctx, now);
      else if (now - since >= UNREAD) ctx.res.destroy();
    }
  }
}
