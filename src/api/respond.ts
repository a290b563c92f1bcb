import type { Context } from 'koa';
import type { IncidentDocument } from '../projections/incidents.ts';

/** Answers with JSON text that is ready to send; as bytes it is in UTF-8. */
export const answerJson = (ctx: Context, status: number, json: string | Buffer): void =>
  answerText(ctx, status, 'application/json', json);

/** Answers with text of a media type. */
export const answerText = (ctx: Context, status: number, type: string, text: string | Buffer): void => {
  ctx.status = status;
  ctx.set('Content-Type', type);
  ctx.body = text;
};

/**
 * Answers with an incident; its version is the entity tag, to be named in `If-Match` by who wants to change it. The
 * request's line in the log names it too.
 */
export const answerIncident = (ctx: Context, status: number, incident: IncidentDocument): void => {
  ctx.state.incident = incident;
  ctx.set('ETag', `"${incident.version}"`);
  answerJson(ctx, status, incident.json);
};

/** Answers with a list of JSON texts in UTF-8. */
export const answerJsonList = (ctx: Context, status: number, items: readonly Uint8Array[]): void => {
  const parts = items.flatMap((item) => [COMMA, item]);
  answerJson(ctx, status, Buffer.concat([OPENING, ...parts.slice(1), CLOSING]));
};

const [OPENING, COMMA, CLOSING] = ['[', ',', ']'].map((text) => Buffer.from(text)) as [Buffer, Buffer, Buffer];

/** The path under which an incident is read. */
export const incidentPath = (id: string): string => `/api/v1/incidents/get?id=${encodeURIComponent(id)}`;
