import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Context } from 'koa';
import type { IncidentDocument } from '../../domain/document.ts';

const REQUEST_ID = /^[\w.-]{1,64}$/;
const LONGEST_PATH_LOGGED = 128;

/**
 * Gives a request an identifier that its response carries too: the client's own `X-Request-Id` where that is a plain
 * word, otherwise a new one.
 */
export const identify = ({ req, res, state }: Context): string => {
  const presented = req.headers['x-request-id'];
  const id = typeof presented === 'string' && REQUEST_ID.test(presented) ? presented : randomUUID();
  state.requestId = id;
  res.setHeader('X-Request-Id', id);
  return id;
};

/**
 * The line of a request in the log: what was asked for and how it went, with the incident of the response and its version
 * and state. It holds no query, header or body.
 * @param took in milliseconds
 */
export const lineOf = (ctx: Context, id: string, took: number): object => {
  const ms = Math.round(took * 100) / 100;
  // Koa's own ways to these take a while without a compiler.
  const { req, res } = ctx;
  const line = { id, method: req.method, path: pathOf(req), status: res.statusCode, ms, bytes: bytesOf(ctx) };
  const incident = ctx.state.incident as IncidentDocument | undefined;
  return incident === undefined
    ? line
    : Object.assign(line, { incident: incident.id, version: incident.version, state: incident.state });
};

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
