import type { Context } from 'koa';
import type { IncidentDocument } from '../projections/incidents.ts';

/** Answers with JSON text that is ready to send. */
export const answerJson = (ctx: Context, status: number, json: string): void => {
  ctx.status = status;
  ctx.set('Content-Type', 'application/json');
  ctx.body = json;
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

/** The path under which an incident is read. */
export const incidentPath = (id: string): string => `/api/v1/incidents/get?id=${encodeURIComponent(id)}`;
