/** Writes responses. */
import type { Context } from 'koa';
import type { IncidentDocument } from '../domain/document.ts';

/** When a client should try again after a 503. */
export const RETRY_AFTER_SECONDS = '5';

/** Responds with JSON text that is ready to send; a buffer holds it in UTF-8. */
export const respondJson = (ctx: Context, status: number, json: string | Buffer): void =>
  respondText(ctx, status, 'application/json', json);

/** Responds with text of a media type. */
export const respondText = (ctx: Context, status: number, type: string, text: string | Buffer): void => {
  ctx.response.status = status;
  setHeader(ctx, 'Content-Type', type);
  ctx.response.body = text;
};

/** Sets a header of a response that is not sent yet; Koa's own way takes three times as long without a compiler. */
export const setHeader = ({ res }: Context, name: string, value: string): void => {
  if (!res.headersSent) res.setHeader(name, value);
};

/**
 * Responds with an incident. Its version is the entity tag, which a client that changes it names in `If-Match`. The
 * request's line in the log names the incident too.
 */
export const respondIncident = (ctx: Context, status: number, incident: IncidentDocument): void => {
  ctx.state.incident = incident;
  setHeader(ctx, 'ETag', `"${incident.version}"`);
  respondJson(ctx, status, incident.json);
};

/** Responds with a list of JSON texts in UTF-8. */
export const respondJsonList = (ctx: Context, status: number, items: readonly Uint8Array[]): void => {
  const pieces = items.flatMap((item) => [COMMA, item]);
  respondJson(ctx, status, Buffer.concat([OPENING, ...pieces.slice(1), CLOSING]));
};

const [OPENING, COMMA, CLOSING] = ['[', ',', ']'].map((text) => Buffer.from(text)) as [Buffer, Buffer, Buffer];
