/**
 * Fills the database of a fleet: the logs of a few dozen machines come through the real ingest, which makes the read
 * models; then SQL multiplies the rows, under other names of machines and incidents and with shifted times. The texts of the
 * copies keep the times of their originals, and their hashes: nothing that lists, searches or counts reads those.
 */
import { sql } from 'kysely';
import { HOUR, systemClock } from '../../../src/clock.ts';
import { Campaigns } from '../../../src/fleet/campaigns.ts';
import type { FleetDatabase } from '../../../src/fleet/database.ts';
import { parseFleetPolicy } from '../../../src/fleet/fleet-policy.ts';
import { Ingest } from '../../../src/fleet/ingest/ingest.ts';
import { newSigner } from '../../../src/signed-note.ts';
import { copiedTables, copyRows } from './copied-rows.ts';
import { addExtremes } from './extremes.ts';
import { MachineStory } from './machine-story.ts';

const INCIDENTS_OF_A_MACHINE = 1000;
const MOST_ORIGINALS = 24;
const KEY = Buffer.alloc(32, 7);
const SITES = ['berlin', 'bern', 'graz', 'lund', 'lyon', 'oslo', 'porto', 'turin'];
const ROLES = ['gateway', 'worker', 'lab'];
const BATCH = 1000;

/** Fills an empty database. @param say what is being done */
export async function populate(
  db: FleetDatabase,
  machines: number,
  say: (text: string) => void = () => {},
): Promise<void> {
  const end = Math.floor(systemClock.now() / HOUR) * HOUR;
  const originals = Math.min(MOST_ORIGINALS, machines);
  await enrolAll(db, machines);
  const ingest = new Ingest({ db, clock: systemClock, signer: newSigner('bench'), unseal: () => [] });
  for (let at = 0; at < originals; at++) {
    const { lines } = new MachineStory(at + 1, INCIDENTS_OF_A_MACHINE, end, KEY);
    const { entry_hash: log } = JSON.parse(lines[0]!) as { readonly entry_hash: string };
    for (let from = 1; from <= lines.length; from += BATCH) {
      const body = Buffer.from(
        lines
          .slice(from - 1, from - 1 + BATCH)
          .map((line) => `${line}\n`)
          .join(''),
      );
      await ingest.store({ machine: nameOf(at), log, from, body, arrived: systemClock.monotonic() });
    }
  }
  say(`${originals} machines were sent`);
  await multiply(db, originals, machines, say);
  await addOthers(db);
  await addExtremes(db, machines, say);
  await sql`ANALYZE`.execute(db);
  await findCampaigns(db);
  say('campaigns were found');
  for (const { tablename } of await tablesOf(db)) await sql.raw(`VACUUM ANALYZE ${tablename}`).execute(db);
}

/** Thousands of campaigns of a few incidents, and one of more than a fifth of all. */
const POLICY = parseFleetPolicy(
  `version: 1
campaigns:
  - { name: model, same: [evidence.model_hash], machines: 2, within: 24h }
  - { name: session, classes: [unauthorized_access], same: [description], machines: 2, within: 24h }
  - { name: program, classes: [prompt_injection], same: [evidence.process.path], machines: 2, within: 24h }
`,
  'fleet.yaml',
);

/** Looks through all logs, as a fleet does that has been away. */
async function findCampaigns(db: FleetDatabase): Promise<void> {
  const campaigns = new Campaigns({ db, clock: systemClock, policy: () => POLICY, log: { warn() {} } });
  // One look takes a few seconds at most.
  while (await isBehind(db)) await campaigns.look();
}

async function isBehind(db: FleetDatabase): Promise<boolean> {
  const { rows } = await sql`
    SELECT 1 FROM logs l LEFT JOIN campaign_progress p ON p.machine = l.machine AND p.log = l.log
    WHERE l.through > coalesce(p.counted, 0) LIMIT 1`.execute(db);
  return rows.length > 0;
}

const nameOf = (at: number): string => `m${String(at).padStart(5, '0')}`;

async function enrolAll(db: FleetDatabase, machines: number): Promise<void> {
  await sql`
    INSERT INTO machines (machine, labels, enrolled_at, heard_at, version, policy_digest, policy_source, health, clock_skew_ms)
    SELECT 'm' || lpad(at::text, 5, '0'),
      jsonb_build_object('site', (${SITES}::text[])[1 + at % ${SITES.length}], 'role', (${ROLES}::text[])[1 + at % ${ROLES.length}],
        'ring', CASE WHEN at % 10 > 0 THEN 'late' WHEN at < 30 THEN 'first' ELSE 'early' END),
      now(), now(), '0.1.0', CASE WHEN at % 50 = 0 THEN 'other' ELSE 'usual' END, 'policy.yaml',
      '{"status":"ok","reasons":[],"warnings":[]}', 12
    FROM generate_series(0, ${machines - 1}::int) AS at`.execute(db);
}

const tablesOf = async (db: FleetDatabase): Promise<readonly { readonly tablename: string }[]> =>
  (await sql<{ tablename: string }>`SELECT tablename FROM pg_tables WHERE schemaname = 'public'`.execute(db)).rows;

/** Copies all rows of the originals to the other machines, each from the one whose turn it is. */
async function multiply(
  db: FleetDatabase,
  originals: number,
  machines: number,
  say: (text: string) => void,
): Promise<void> {
  for (const [table, changes] of Object.entries(await copiedTables(db))) {
    const indexes = await dropIndexes(db, table);
    for (let at = 0; at < originals; at++) {
      await copyRows(
        db,
        table,
        changes,
        nameOf(at),
        `SELECT 'm' || lpad(n::text, 5, '0') AS machine, NULL AS log, 0 AS place, -((n * 7) % 48) AS hours
        FROM generate_series(${at + originals}, ${machines - 1}, ${originals}) AS n`,
      );
    }
    for (const index of indexes) await sql.raw(index).execute(db);
    say(`${table} copied`);
  }
}

/** Drops the indexes of a table, but for its key. @returns what makes them */
async function dropIndexes(db: FleetDatabase, table: string): Promise<readonly string[]> {
  const { rows } = await sql<{ indexname: string; indexdef: string }>`
    SELECT indexname, indexdef FROM pg_indexes WHERE tablename = ${table} AND indexname NOT LIKE '%pkey'`.execute(db);
  for (const { indexname } of rows) await sql.raw(`DROP INDEX ${indexname}`).execute(db);
  return rows.map(({ indexdef }) => indexdef);
}

/** Commands and alarms: three of each for every machine, the latest in part not over. */
async function addOthers(db: FleetDatabase): Promise<void> {
  await sql`
    INSERT INTO commands (machine, id, command, body, signed, by, role, issued_at, expires_at, state, status, result, finished_at)
    SELECT machine, 'CMD-' || substr(md5(machine || n), 1, 12), 'note', '{}', '', 'ada', 'operator',
      now() - n * interval '9 hours', now() + interval '1 hour' - n * interval '9 hours',
      CASE WHEN n = 0 AND machine LIKE '%7' THEN 'pending' ELSE 'done' END, 200, '{}', now()
    FROM machines, generate_series(0, 2) AS n`.execute(db);
  await sql`
    INSERT INTO fleet_incidents (machine, id, kind, opened_at, closed_at, detail)
    SELECT machine, 'clock_skew:' || n, 'clock_skew', now() - n * interval '5 hours',
      CASE WHEN n = 0 AND machine LIKE '%5' THEN NULL ELSE now() END, '{"clock_skew_ms": 90000, "most_ms": 60000}'
    FROM machines, generate_series(0, 2) AS n`.execute(db);
}
