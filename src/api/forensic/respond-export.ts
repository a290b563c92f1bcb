import type { Context } from 'koa';
import type { Caller } from '../../domain/caller.ts';
import type { ApiLogger } from '../dependencies.ts';
import { sendExport } from './send-export.ts';

/** An export that is ready to be sent. */
interface Prepared {
  /** How long it is, in bytes. */
  readonly length: number;
  read(): AsyncIterable<Uint8Array | string>;
}

/** What an export is to the process log. */
interface Named {
  /** `an evidence bundle` */
  readonly name: string;
  readonly caller: Caller;
  /** What names this one: its hash. */
  readonly fields: Readonly<Record<string, string>>;
}

const EXPORT_TYPE = 'application/json';

/** Sends an export past Koa, and says so in the process log. */
export async function respondExport(
  ctx: Context,
  log: ApiLogger,
  prepared: Prepared,
  { name, caller: { principal, role }, fields }: Named,
): Promise<void> {
  const about = { id: ctx.state.requestId as unknown, principal, role };
  log.info({ ...about, ...fields }, `${name} is sent`);
  // Koa would check whether a stream is a Response of fetch, and load fetch for that: 15 MB.
  ctx.respond = false;
  ctx.res.writeHead(200, { 'Content-Type': EXPORT_TYPE, 'Content-Length': prepared.length });
  try {
    await sendExport(ctx.res, prepared);
  } catch (error) {
    // The client sees by the length that it has not got all.
    ctx.res.destroy();
    log.warn({ ...about, err: error }, `${name} was not sent`);
  }
}

/** Answers HEAD: what an export is, without making one. */
export function respondExportHead(ctx: Context): void {
  ctx.set('Content-Type', EXPORT_TYPE);
  ctx.status = 200;
}
