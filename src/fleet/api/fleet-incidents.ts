/** What the fleet itself has found: a rewritten past, a silent machine, a wrong clock. */
import { sql } from 'kysely';
import * as z from 'zod/mini';
import type { Admission } from '../../api/middleware/admission.ts';
import type { ApiRoute } from '../../api/middleware/routing.ts';
import { callerOf, isFilled } from '../../api/request/caller.ts';
import { filled, signature } from '../../api/request/fields.ts';
import { readBody } from '../../api/request/read.ts';
import { validate } from '../../api/request/validate.ts';
import { respondJson } from '../../api/respond.ts';
import { RecorderError } from '../../errors.ts';
import { noteAct } from '../acts.ts';
import type { FleetAlarms } from '../alarms.ts';
import type { FleetDependencies } from './dependencies.ts';
import { parseQuery } from '../../api/request/query.ts';
import { anyText } from './list-filter.ts';
import { flag, flagIn, oneOfWords, paged, pageOf, paging, timeOrNull } from './paging.ts';
import { readingIn } from './reading.ts';
import { actingIn } from './acting.ts';

export const FLEET_INCIDENT_KINDS = ['log_diverged', 'machine_silent', 'clock_skew'] as const;

const fleetIncidentsSchema = z.strictObject({
  ...paging(),
  open: flag('open'),
  kind: oneOfWords('kind', FLEET_INCIDENT_KINDS),
});

const REQUIRED = 'machine and id are required';
const acknowledgeAlarmSchema = z.strictObject({
  machine: filled(REQUIRED),
  id: filled(REQUIRED),
  ...signature(),
});

interface Row {
  readonly machine: string;
  readonly id: string;
  readonly kind: string;
  readonly opened_at: Date;
  readonly closed_at: Date | null;
  readonly detail: object;
  readonly acknowledged_at: Date | null;
  readonly acknowledged_by: string | null;
  readonly note: string | null;
}

const COLUMNS = sql`f.machine, f.id, f.kind, f.opened_at, f.closed_at, f.detail, f.acknowledged_at, f.acknowledged_by, f.note`;

export const fleetIncidentRoutes = (
  dependencies: FleetDependencies,
  alarms: FleetAlarms,
  { command }: Pick<Admission, 'command'>,
): readonly ApiRoute[] => {
  const { db } = dependencies;
  return [
    {
      method: 'GET',
      path: '/api/v1/fleet/incidents',
      handle: async (ctx) => {
        const reading = await readingIn(dependencies, ctx);
        const given = validate(fleetIncidentsSchema, parseQuery(reading.query), 'parameter');
        await alarms.look();
        const page = pageOf(given, 3);
        const { machines } = reading;
        const open = flagIn(given.open);
        const [at, machine, id] = page.after ?? [];
        const { rows } = await sql<Row>`
          SELECT ${COLUMNS} FROM fleet_incidents f WHERE true
            ${machines === undefined ? sql`` : sql`AND f.machine = ${anyText(machines)}`}
            ${open === undefined ? sql`` : sql`AND (f.closed_at IS NULL) = ${open}::boolean`}
            ${given.kind === undefined ? sql`` : sql`AND f.kind = ${anyText(given.kind)}`}
            ${at === undefined ? sql`` : sql`AND (f.opened_at, f.machine, f.id) < (${placeTime(at)}::timestamptz, ${machine}, ${id})`}
          ORDER BY f.opened_at DESC, f.machine DESC, f.id DESC LIMIT ${page.limit + 1}::bigint`.execute(db);
        const shown = paged(ctx, page, rows, (row) => [row.opened_at.toISOString(), row.machine, row.id]);
        respondJson(ctx, 200, JSON.stringify(shown.map((row) => shownAlarm(row, reading.reader.words))));
      },
    },
    {
      method: 'POST',
      path: '/api/v1/fleet/incidents/acknowledge',
      before: command('operator'),
      handle: async (ctx) => {
        const { machine: named, id, by, note } = readBody(ctx, acknowledgeAlarmSchema, REQUIRED);
        const { machine } = await actingIn(dependencies, ctx, named);
        const caller = callerOf(ctx, by);
        const who = caller.by ?? caller.principal ?? '';
        // The first one counts, however often it is acknowledged.
        const { rows } = await sql`
          UPDATE fleet_incidents SET acknowledged_at = clock_timestamp(), acknowledged_by = ${who},
            note = ${isFilled(note) ? note.replaceAll('\0', '') : null}
          WHERE machine = ${machine} AND id = ${id} AND acknowledged_at IS NULL RETURNING id`.execute(db);
        if (rows.length > 0) await noteAct(db, { machine, who, what: 'acknowledge_alarm', detail: { id } });
        const found = await sql<Row>`
          SELECT ${COLUMNS} FROM fleet_incidents f WHERE f.machine = ${machine} AND f.id = ${id}`.execute(db);
        if (found.rows[0] === undefined) throw new RecorderError('not_found', 'the machine has no such alarm');
        respondJson(ctx, 200, JSON.stringify(shownAlarm(found.rows[0], true)));
      },
    },
  ];
};

/** A time that a place of a list has. @throws RecorderError `invalid_request` */
export function placeTime(text: string): string {
  if (/^\d{4}-\d\d-\d\dT[\d:.]+Z$/.test(text) && !Number.isNaN(Date.parse(text))) return text;
  throw new RecorderError('invalid_request', 'invalid cursor');
}

const shownAlarm = ({ note, ...row }: Row, words: boolean): object => ({
  ...row,
  opened_at: timeOrNull(row.opened_at),
  closed_at: timeOrNull(row.closed_at),
  acknowledged_at: timeOrNull(row.acknowledged_at),
  note: words ? note : null,
});
