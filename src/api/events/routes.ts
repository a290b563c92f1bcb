import type Router from '@koa/router';
import type { Context } from 'koa';
import { RecorderError } from '../../errors.ts';
import type { ApiParts } from '../dependencies.ts';
import { parseQuery } from '../request/query.ts';
import { eventsSchema } from '../request/fields.ts';
import { validate } from '../request/validate.ts';

/**
 * The audit log as Server-Sent Events: each entry from the one asked for on, then what is written, as it is written.
 * Where there is a `Last-Event-ID`, which a reader sends that comes back, it counts instead of `after`.
 */
export const addEventsRoute = (router: Router, { events }: Pick<ApiParts, 'events'>): void => {
  router.get('/api/v1/events', async (ctx) => {
    const given = validate(eventsSchema, parseQuery(ctx.querystring), 'parameter');
    const filter = { classes: given.class ?? [], states: given.state ?? [], severities: given.severity ?? [] };
    const after = lastEventId(ctx) ?? given.after?.[0];
    if (ctx.method === 'HEAD') {
      ctx.set('Content-Type', 'text/event-stream');
      ctx.status = 200;
      return;
    }
    await events.open(ctx.res, filter, after === undefined ? undefined : Number(after));
    // Koa would look whether the stream is a Response of fetch, and load all of that: 15 MB that nothing else needs.
    ctx.respond = false;
  });
};

const lastEventId = ({ req }: Context): string | undefined => {
  const id = req.headers['last-event-id'];
  if (id === undefined || id === '') return undefined;
  if (typeof id === 'string' && /^\d{1,15}$/.test(id)) return id;
  throw new RecorderError('invalid_request', 'Last-Event-ID must be the id of an event, a whole number');
};
