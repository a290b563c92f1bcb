import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Context, Middleware } from 'koa';
import type { IncidentDocument } from '../../domain/document.ts';
import type { ApiDependencies } from '../dependencies.ts';
import { peerOf } from '../server/peer.ts';

const REQUEST_ID = /^[\w.-]{1,64}$/;
const LONGEST_PATH_LOGGED = 128;

/**
 * Writes one line for each request, and gives each an identifier that its response carries too: the client's own
 * `X-Request-Id` where that is a plain word, otherwise a new one.
 *
 * A line holds what was asked for and how it went, with the incident of the response and its version and state. It holds
 * no query, header or body.
 */
export const requestLog =
  ({ logRequest, clock }: Pick<ApiDependencies, 'logRequest' | 'clock'>): Middleware =>
  async (ctx, next) => {
    const start = clock.monotonic();
    const presented = ctx.req.headers['x-request-id'];
    const id = typeof presented === 'string' && REQUEST_ID.test(presented) ? presented : randomUUID();
    ctx.state.requestId = id;
    ctx.res.setHeader('X-Request-Id', id);
    await next();
    const ms = Math.round((clock.monotonic() - start) * 100) / 100;
    // Koa's own ways to these take a while without a compiler.
    const { req, res } = ctx;
    const line = { id, method: req.method, path: pathOf(req), status: res.statusCode, ms, bytes: bytesOf(ctx) };
    const incident = ctx.state.incident as IncidentDocument | undefined;
    logRequest(incident === undefined ? line : { ...line, ...fieldsOf(incident) }, peerOf(ctx.req).trusted);
  };

const fieldsOf = ({ id, version, state }: IncidentDocument): object => ({ incident: id, version, state });

/** How long the body of a response is, as far as that is known. */
const bytesOf = (ctx: Context): number => {
  const length = ctx.res.getHeader('Content-Length');
  return length === undefined ? (ctx.length ?? 0) : Number(length);
};

/** The target without its query. */
const pathOf = ({ url = '' }: IncomingMessage): string => {
  const path = url.includes('?') || url.includes('#') ? url.slice(0, url.search(/[?#]/)) : url;
  return path.slice(0, LONGEST_PATH_LOGGED);
};
