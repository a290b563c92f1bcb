/**
 * What stands out in a large fleet: a machine with a hundred times the incidents of the others, an incident with twenty
 * thousand entries, machines that have left a history with a thousand incidents, acts on all machines, an alarm every day.
 * In a smaller fleet there is less of it.
 */
import { sql } from 'kysely';
import type { FleetDatabase } from '../../../src/fleet/database.ts';
import { countLeft } from '../../../src/fleet/read-models/left-counts.ts';
import { copiedTables, copyRows, isOfIncidents } from './copied-rows.ts';

/** Where they are. The first machines are originals, of which all others are copies. */
const [ORIGINAL, LARGE] = ['m00000', 'm00024'];
/** How many times the usual number of incidents the large machine has, as a share of the machines; and left histories. */
const [TIMES, LEFT] = [0.1, 0.05];
const LONG = 20;
const LEFT_LOG = '1eft00000000';

/** @param machines how many the fleet has */
export async function addExtremes(
  db: FleetDatabase,
  machines: number,
  say: (text: string) => void = () => {},
): Promise<void> {
  const large = machines > 24 ? LARGE : ORIGINAL;
  const times = Math.max(2, Math.round(TIMES * machines));
  await enlarge(db, large, times);
  say(`${large} has ${times * 1000} incidents`);
  await lengthen(db, large, LONG * machines);
  say('one incident is long');
  await leave(db, Math.round(LEFT * machines));
  say('histories were left');
  await addActs(db);
  say('acts were added');
}

/** Copies all incidents of a machine to the large one, time and again. */
async function enlarge(db: FleetDatabase, large: string, times: number): Promise<void> {
  for (const [table, changes] of Object.entries(await copiedTables(db))) {
    if (!isOfIncidents(changes)) continue;
    await copyRows(
      db,
      table,
      changes,
      ORIGINAL,
      `SELECT '${large}' AS machine, NULL AS log, n AS place, -((n * 7) % 48) AS hours FROM generate_series(1, ${times - 1}) AS n`,
    );
  }
  for (const table of ['hours', 'stats'])
    await sql`UPDATE ${sql.table(table)} SET count = count * ${times}::bigint WHERE machine = ${large}`.execute(db);
  await sql`
    UPDATE posture SET holders = holders * ${times}::int, unconfirmed = unconfirmed * ${times}::int,
      overdue = overdue * ${times}::int
    WHERE machine = ${large}`.execute(db);
  await toTheEnd(db, large);
}

/** The log of a machine goes as far as its entries. */
const toTheEnd = (db: FleetDatabase, machine: string) =>
  sql`
    UPDATE logs l SET through = e.seq, entries = e.seq, built = e.seq
    FROM (SELECT max(seq) AS seq FROM entries WHERE machine = ${machine}) AS e WHERE l.machine = ${machine}`.execute(
    db,
  );

/** The first incident of a machine recurs very often. */
async function lengthen(db: FleetDatabase, machine: string, entries: number): Promise<void> {
  await sql`
    WITH i AS (SELECT * FROM incidents WHERE machine = ${machine} AND current ORDER BY number LIMIT 1),
      e AS (SELECT * FROM entries WHERE machine = ${ORIGINAL} AND event = 'incident.recurred' ORDER BY seq LIMIT 1)
    INSERT INTO entries (machine, log, seq, at, event, incident, line)
    SELECT i.machine, i.log, l.through + n, i.updated_at + n * interval '1 second', e.event, i.id,
      regexp_replace(regexp_replace(replace(e.line, e.incident, i.id), '"version":[0-9]+', '"version":' || i.version + n),
        '"seq":[0-9]+', '"seq":' || l.through + n)
    FROM i JOIN logs l ON l.machine = i.machine AND l.log = i.log, e, generate_series(1, ${entries}::int) AS n`.execute(
    db,
  );
  await sql`
    WITH i AS (SELECT * FROM incidents WHERE machine = ${machine} AND current ORDER BY number LIMIT 1)
    UPDATE incidents x SET version = x.version + ${entries}::int FROM i
    WHERE x.machine = i.machine AND x.log = i.log AND x.id = i.id`.execute(db);
  await toTheEnd(db, machine);
}

/** The first machines have left a history with as many incidents as the one that they go on with. */
async function leave(db: FleetDatabase, machines: number): Promise<void> {
  for (const [table, changes] of Object.entries(await copiedTables(db))) {
    const isLog = table === 'logs';
    if (!isLog && !(isOfIncidents(changes) && table !== 'entries')) continue;
    for (let at = 0; at < machines; at++) {
      const name = `m${String(at).padStart(5, '0')}`;
      if (name === LARGE) continue;
      await copyRows(
        db,
        table,
        isLog ? { active: 'false', ordinal: '0' } : changes,
        name,
        `SELECT '${name}' AS machine, '${LEFT_LOG}' AS log, 0 AS place, -72 AS hours`,
      );
    }
  }
  for (let at = 0; at < machines; at++)
    await db.transaction().execute((tx) => countLeft(tx, `m${String(at).padStart(5, '0')}`));
}

/** Acts on all machines, with a command for each, and alarms and silences as they come in a month. */
async function addActs(db: FleetDatabase): Promise<void> {
  const act = sql`SELECT n, 'ACT-' || substr(md5('act' || n), 1, 24) AS act,
    (ARRAY['contain_by_label', 'bulk', 'release_by_label', 'silence_by_label'])[1 + n % 4] AS what
    FROM generate_series(0, 399) AS n`;
  const common = sql`'act', a.act, 'labels', '{"role": "lab"}'::jsonb, 'reason', 'a test of ours', 'principal', 'ada',
    'by', 'ada', 'role', 'operator', 'good_for', 3600000, 'action', 'freeze_agent'`;
  const each = (one: ReturnType<typeof sql>) => sql`(SELECT jsonb_agg(${one}) FROM machines m)`;
  await sql`
    INSERT INTO acts (machine, id, at, who, what, detail, selection, asked, size)
    SELECT '', a.act, now() - a.n * interval '2 hours', 'ada', a.what,
      CASE a.what
        WHEN 'contain_by_label' THEN jsonb_build_object(${common},
          'machines', ${each(sql`jsonb_build_object('machine', m.machine, 'class', 'model_behavior_anomaly')`)})
        WHEN 'release_by_label' THEN jsonb_build_object(${common}, 'incidents', (SELECT count(*) FROM machines), 'machines',
          ${each(sql`jsonb_build_object('machine', m.machine, 'incidents',
            jsonb_build_array(jsonb_build_object('id', 'INC-' || m.machine, 'role', 'operator')))`)})
        WHEN 'silence_by_label' THEN jsonb_build_object(${common}, 'kind', 'add', 'named', '[]'::jsonb, 'body', '{}'::jsonb,
          'asked', '{}'::jsonb, 'targets', ${each(sql`jsonb_build_object('machine', m.machine)`)})
        ELSE jsonb_build_object(${common}, 'command', 'note', 'filter', '{"state": ["open"]}'::jsonb, 'digest', '',
          'body', '{"note": "a test"}'::jsonb,
          'machines', (SELECT jsonb_object_agg(m.machine, 1) FROM machines m)) END,
      CASE a.what WHEN 'bulk' THEN ${each(sql`jsonb_build_array(m.machine, 'INC-' || m.machine)`)} END,
      (SELECT count(*) FROM machines), (SELECT count(*) FROM machines)
    FROM (${act}) AS a`.execute(db);
  await sql`
    INSERT INTO commands (machine, id, command, incident, body, signed, by, role, issued_at, expires_at, state, status, result,
      finished_at, act)
    SELECT m.machine, 'CMD-' || substr(md5(m.machine || a.act), 1, 24), 'note', 'INC-' || m.machine, '{}', '', 'ada', 'operator',
      now() - a.n * interval '2 hours', now() - a.n * interval '2 hours' + interval '1 hour',
      CASE WHEN m.machine LIKE '%3' THEN 'refused' ELSE 'done' END, 200, '{}', now(), a.act
    FROM (${act}) AS a CROSS JOIN machines m`.execute(db);
  await sql`
    INSERT INTO fleet_incidents (machine, id, kind, opened_at, closed_at, detail)
    SELECT machine, 'machine_silent:' || n, 'machine_silent', now() - n * interval '1 day',
      now() - n * interval '1 day' + interval '10 minutes', '{"silent_after_seconds": 300}'
    FROM machines, generate_series(1, 30) AS n`.execute(db);
}
