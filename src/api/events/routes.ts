import type { Context } from 'koa';
import { RecorderError } from '../../errors.ts';
import { type LogPosition, parsePosition } from '../../audit/log-position.ts';
import type { ApiDependencies } from '../dependencies.ts';
import { readerOf, stillReads } from '../middleware/read-access.ts';
import type { ApiRoute } from '../middleware/routing.ts';
import { readParameters } from '../request/read.ts';
import { peerOf } from '../server/peer.ts';
import { eventsSchema } from './requests.ts';

/**
 * The audit log as Server-Sent Events: the entries after the one asked for, then each new entry as it is written. A
 * reader that reconnects sends `Last-Event-ID`, which counts instead of `after`.
 */
export const eventRoutes = ({
  events,
  ...dependencies
}: Pick<ApiDependencies, 'events' | 'access' | 'readAccess' | 'readEvidence'>): readonly ApiRoute[] => [
  {
    method: 'GET',
    path: '/api/v1/events',
    handle: async (ctx) => {
      const given = readParameters(ctx, eventsSchema);
      const filter = { classes: given.class ?? [], states: given.state ?? [], severities: given.severity ?? [] };
      const after = lastEventId(ctx) ?? parsePosition(given.after?.[0] ?? '');
      if (ctx.method === 'HEAD') {
        ctx.set('Content-Type', 'text/event-stream');
        ctx.status = 200;
        return;
      }
      const reader = readerOf(dependencies, ctx);
      const isEntitled = (): boolean => stillReads(dependencies, ctx, reader);
      await events.open(ctx.res, filter, after, peerOf(ctx.req), { reader, isEntitled });
      // Koa would check whether the stream is a Response of fetch, and load fetch for that: 15 MB.
      ctx.respond = false;
    },
  },
];

const lastEventId = ({ req }: Context): LogPosition | undefined => {
  const id = req.headers['last-event-id'];
  if (id === undefined || id === '') return undefined;
  const position = typeof id === 'string' ? parsePosition(id) : undefined;
  if (position !== undefined) return position;
  throw new RecorderError('invalid_request', 'Last-Event-ID must be the id of an event, LOG:SEQ or a whole number');
};
