/**
 * The layouts of the fleet's database, one after the other, and what brings a database from one to the next.
 *
 * One SQL for every engine that speaks PostgreSQL's protocol: no sequences, no extension, no advisory locks (which is why
 * Kysely's own migrator is not used). Each statement may be run again, so a migration that was interrupted is repeated.
 */
import { type Kysely, sql } from 'kysely';
import { RecorderError } from '../errors.ts';
import { type FleetTables, TABLES } from './schema.ts';

interface Migration {
  readonly layout: number;
  readonly statements: readonly string[];
}

/** What lists filter by and show: indexes of whole orders hold it, so that thousands are looked at in a few hundred pages. */
const LISTED = `log, number, state, source, assignee, containment, attention, snoozed_until, resolution, bytes`;

/** A table of what is counted of a history, by kind and name. */
const countsTable = (name: 'stats' | 'left_counts'): string => `CREATE TABLE IF NOT EXISTS ${name} (
    machine text COLLATE "C" NOT NULL,
    log text COLLATE "C" NOT NULL,
    kind text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    count bigint NOT NULL,
    PRIMARY KEY (machine, log, kind, name)
  )`;

/** Machines, their logs, and what is made of these. */
const OF_MACHINES: readonly string[] = [
  `CREATE TABLE IF NOT EXISTS machines (
    machine text COLLATE "C" NOT NULL PRIMARY KEY,
    name text COLLATE "C",
    labels jsonb NOT NULL DEFAULT '{}',
    enrolled_at timestamptz(3),
    revoked_at timestamptz(3),
    token_sha256 text,
    public_key text,
    signs_since timestamptz(3),
    audit_key_sealed text,
    heard_at timestamptz(3),
    version text,
    log text COLLATE "C",
    entries bigint,
    policy_digest text,
    policy_source text,
    policy_text text,
    health jsonb,
    clock_skew_ms bigint,
    silent_since timestamptz(3),
    sent_until timestamptz
  )`,
  `CREATE TABLE IF NOT EXISTS enrolments (
    machine text COLLATE "C" NOT NULL,
    secret_sha256 text COLLATE "C" NOT NULL,
    created_at timestamptz(3) NOT NULL,
    expires_at timestamptz(3) NOT NULL,
    used_at timestamptz(3),
    PRIMARY KEY (machine, secret_sha256)
  )`,
  `CREATE TABLE IF NOT EXISTS logs (
    machine text COLLATE "C" NOT NULL,
    log text COLLATE "C" NOT NULL,
    identity text COLLATE "C" NOT NULL,
    ordinal integer NOT NULL,
    active boolean NOT NULL,
    first_seq bigint NOT NULL,
    through bigint NOT NULL,
    hash text NOT NULL,
    built bigint NOT NULL,
    range text NOT NULL,
    first_at timestamptz(3),
    last_at timestamptz(3),
    advanced_at timestamptz(3),
    entries bigint NOT NULL,
    anchored_seq bigint,
    anchored_at timestamptz(3),
    anchor text,
    recorded_seq bigint,
    recorded_at timestamptz(3),
    unverified_from bigint,
    key_lost_from bigint,
    unread bigint NOT NULL DEFAULT 0,
    diverged_from text COLLATE "C",
    diverged_at_seq bigint,
    PRIMARY KEY (machine, log)
  )`,
  'CREATE INDEX IF NOT EXISTS logs_by_advance ON logs (advanced_at)',
  `CREATE TABLE IF NOT EXISTS entries (
    machine text COLLATE "C" NOT NULL,
    log text COLLATE "C" NOT NULL,
    seq bigint NOT NULL,
    at timestamptz(3) NOT NULL,
    event text COLLATE "C" NOT NULL,
    incident text COLLATE "C",
    line text NOT NULL,
    stored_at timestamptz(3) NOT NULL DEFAULT now(),
    PRIMARY KEY (machine, log, seq)
  )`,
  `CREATE INDEX IF NOT EXISTS entries_by_incident ON entries (machine, log, incident, seq)
    WHERE incident IS NOT NULL`,
  "CREATE INDEX IF NOT EXISTS entries_of_jumps ON entries (machine, log, seq) WHERE event = 'clock.jumped'",
  // In narrow rows: a list looks at thousands of them for a page, and reads the texts of those alone that it shows.
  `CREATE TABLE IF NOT EXISTS incidents (
    machine text COLLATE "C" NOT NULL,
    log text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    number bigint NOT NULL,
    class text COLLATE "C" NOT NULL,
    rank smallint NOT NULL,
    state text COLLATE "C" NOT NULL,
    source text COLLATE "C" NOT NULL,
    created_at timestamptz(3) NOT NULL,
    updated_at timestamptz(3) NOT NULL,
    assignee text COLLATE "C",
    containment smallint NOT NULL,
    recovery smallint NOT NULL,
    attention boolean NOT NULL,
    snoozed_until timestamptz(3),
    resolution text,
    drill smallint NOT NULL,
    version integer NOT NULL,
    decisive integer NOT NULL,
    carried bigint,
    dedup_key text,
    current boolean NOT NULL,
    contained boolean NOT NULL DEFAULT false,
    acknowledged_at timestamptz(3),
    resolved_at timestamptz(3),
    confirmed_at timestamptz(3),
    waited boolean NOT NULL DEFAULT false,
    bytes integer NOT NULL,
    PRIMARY KEY (machine, log, id)
  )`,
  // The orders of lists; see api/incident-list.ts. An update of an incident writes each of these indexes again, so there are
  // few: an order of creation is what the four ranks are, merged.
  `CREATE INDEX IF NOT EXISTS incidents_in_order_of_rank ON incidents (rank, created_at, machine, id)
    INCLUDE (${LISTED}, class, updated_at, drill, waited, confirmed_at, acknowledged_at, resolved_at) WHERE current`,
  `CREATE INDEX IF NOT EXISTS incidents_in_order_of_update ON incidents (updated_at, machine, id)
    INCLUDE (${LISTED}, class, rank, created_at) WHERE current`,
  // It holds as much, so that the planner does not rather go through all of a severity for a class that has none.
  `CREATE INDEX IF NOT EXISTS incidents_by_class ON incidents (class, rank, created_at, machine, id)
    INCLUDE (${LISTED}, updated_at) WHERE current`,
  `CREATE INDEX IF NOT EXISTS incidents_unresolved ON incidents (state, rank, created_at, machine, id)
    WHERE current AND state <> 'resolved'`,
  'CREATE INDEX IF NOT EXISTS incidents_recovering ON incidents (created_at, machine, id) WHERE current AND recovery = 1',
  `CREATE INDEX IF NOT EXISTS incidents_by_kind ON incidents (state, rank, class, created_at, machine, id)
    WHERE current AND state <> 'resolved'`,
  'CREATE INDEX IF NOT EXISTS incidents_by_source ON incidents (source, created_at, machine, id) WHERE current',
  // With what silences and groups look at: such incidents lie far apart in the table.
  `CREATE INDEX IF NOT EXISTS incidents_needing_attention ON incidents (rank, created_at, machine, id)
    INCLUDE (log, class, source, state, assignee) WHERE current AND attention`,
  `CREATE INDEX IF NOT EXISTS incidents_by_assignee ON incidents (assignee, created_at, machine, id)
    WHERE current AND assignee IS NOT NULL`,
  // What statistics count as not contained.
  `CREATE INDEX IF NOT EXISTS incidents_waiting ON incidents (machine, log, created_at)
    WHERE current AND waited`,
  `CREATE INDEX IF NOT EXISTS incidents_by_containment ON incidents (containment, created_at, machine, id)
    WHERE current AND containment > 1`,
  `CREATE TABLE IF NOT EXISTS documents (
    machine text COLLATE "C" NOT NULL,
    log text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    context text NOT NULL,
    document text NOT NULL,
    PRIMARY KEY (machine, log, id)
  )`,
  // Words of the report are never written again: an index of words holds each of them once. Lexemes begin with a letter
  // instead of having a weight, of which the index knows nothing: it would ask the rows themselves.
  ...['words', 'later_words'].flatMap((table) => [
    `CREATE TABLE IF NOT EXISTS ${table} (
      machine text COLLATE "C" NOT NULL,
      log text COLLATE "C" NOT NULL,
      id text COLLATE "C" NOT NULL,
      search tsvector NOT NULL,
      PRIMARY KEY (machine, log, id)
    )`,
    `CREATE INDEX IF NOT EXISTS ${table}_by_search ON ${table} USING gin (search)`,
  ]),
  // Of all tables with identifiers of incidents, this is the one whose rows stay as they are.
  'CREATE INDEX IF NOT EXISTS words_by_id ON words (id)',
  `CREATE TABLE IF NOT EXISTS deliveries (
    machine text COLLATE "C" NOT NULL,
    log text COLLATE "C" NOT NULL,
    action text COLLATE "C" NOT NULL,
    incident text COLLATE "C" NOT NULL,
    directive text COLLATE "C" NOT NULL,
    status text NOT NULL,
    wait smallint NOT NULL,
    asked_at timestamptz(3) NOT NULL,
    asked_seq bigint NOT NULL,
    overdue_at timestamptz(3),
    due_at timestamptz(3),
    PRIMARY KEY (machine, log, action, incident, directive)
  )`,
  `CREATE INDEX IF NOT EXISTS deliveries_unconfirmed ON deliveries (action, wait, asked_at, machine, incident)
    WHERE wait > 0`,
  `CREATE TABLE IF NOT EXISTS posture (
    machine text COLLATE "C" NOT NULL,
    log text COLLATE "C" NOT NULL,
    action text COLLATE "C" NOT NULL,
    holders integer NOT NULL,
    since timestamptz(3),
    heard_at timestamptz(3),
    unconfirmed integer NOT NULL,
    overdue integer NOT NULL,
    seq bigint NOT NULL,
    document text NOT NULL,
    PRIMARY KEY (machine, log, action)
  )`,
  'CREATE INDEX IF NOT EXISTS posture_in_force ON posture (action, machine) WHERE holders > 0',
  `CREATE TABLE IF NOT EXISTS hours (
    machine text COLLATE "C" NOT NULL,
    log text COLLATE "C" NOT NULL,
    hour bigint NOT NULL,
    class text COLLATE "C" NOT NULL,
    what text COLLATE "C" NOT NULL,
    step integer NOT NULL,
    count bigint NOT NULL,
    PRIMARY KEY (machine, log, hour, class, what, step)
  )`,
  'CREATE INDEX IF NOT EXISTS hours_by_hour ON hours (hour) INCLUDE (machine, log, what, step, count)',
  countsTable('stats'),
  // The same of histories that a machine has left, as far as lists show them.
  countsTable('left_counts'),
  `CREATE TABLE IF NOT EXISTS silences (
    machine text COLLATE "C" NOT NULL,
    log text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    seq bigint NOT NULL,
    silence text NOT NULL,
    PRIMARY KEY (machine, log, id)
  )`,
  `CREATE TABLE IF NOT EXISTS guards (
    machine text COLLATE "C" NOT NULL,
    log text COLLATE "C" NOT NULL,
    source text COLLATE "C" NOT NULL,
    heard_at timestamptz(3),
    silent_since timestamptz(3),
    PRIMARY KEY (machine, log, source)
  )`,
  `CREATE TABLE IF NOT EXISTS findings (
    machine text COLLATE "C" NOT NULL,
    log text COLLATE "C" NOT NULL,
    finding text COLLATE "C" NOT NULL,
    detail text NOT NULL,
    found_at timestamptz(3) NOT NULL,
    open boolean NOT NULL,
    PRIMARY KEY (machine, log, finding)
  )`,
  `CREATE TABLE IF NOT EXISTS fleet_incidents (
    machine text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    kind text COLLATE "C" NOT NULL,
    opened_at timestamptz(3) NOT NULL,
    closed_at timestamptz(3),
    detail jsonb NOT NULL,
    acknowledged_at timestamptz(3),
    acknowledged_by text,
    note text,
    PRIMARY KEY (machine, id)
  )`,
  'CREATE INDEX IF NOT EXISTS fleet_incidents_by_opening ON fleet_incidents (opened_at, machine, id)',
  `CREATE TABLE IF NOT EXISTS commands (
    machine text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    log text COLLATE "C",
    command text NOT NULL,
    incident text COLLATE "C",
    body jsonb NOT NULL,
    signed text NOT NULL,
    by text NOT NULL,
    role text NOT NULL,
    issued_at timestamptz(3) NOT NULL,
    expires_at timestamptz(3) NOT NULL,
    fetched_at timestamptz(3),
    finished_at timestamptz(3),
    state text COLLATE "C" NOT NULL,
    status integer,
    result text,
    act text COLLATE "C",
    PRIMARY KEY (machine, id)
  )`,
  'CREATE INDEX IF NOT EXISTS commands_by_issue ON commands (issued_at, machine, id)',
  'CREATE INDEX IF NOT EXISTS commands_by_state ON commands (state, issued_at, machine, id) INCLUDE (expires_at)',
  `CREATE INDEX IF NOT EXISTS commands_open ON commands (machine) INCLUDE (expires_at)
    WHERE state IN ('pending', 'fetched')`,
  'CREATE INDEX IF NOT EXISTS commands_by_id ON commands (id)',
  'CREATE INDEX IF NOT EXISTS commands_of_incident ON commands (incident, machine) WHERE incident IS NOT NULL',
  `CREATE INDEX IF NOT EXISTS commands_of_act ON commands (act, machine) INCLUDE (state, expires_at)
    WHERE act IS NOT NULL`,
  `CREATE TABLE IF NOT EXISTS acts (
    machine text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    at timestamptz(3) NOT NULL,
    who text NOT NULL,
    what text COLLATE "C" NOT NULL,
    detail jsonb NOT NULL,
    selection jsonb,
    asked integer NOT NULL DEFAULT 0,
    size integer NOT NULL DEFAULT 0,
    PRIMARY KEY (machine, id)
  )`,
  "CREATE INDEX IF NOT EXISTS acts_by_time ON acts (what, at, id) INCLUDE (size) WHERE machine = ''",
];

/** Campaigns: what the same values are found in on several machines. */
const CAMPAIGNS: readonly string[] = [
  `CREATE TABLE IF NOT EXISTS campaign_progress (
    machine text COLLATE "C" NOT NULL,
    log text COLLATE "C" NOT NULL,
    through bigint NOT NULL,
    counted bigint NOT NULL,
    PRIMARY KEY (machine, log)
  )`,
  // With what was counted of each incident: see `campaigns.ts`.
  `CREATE TABLE IF NOT EXISTS campaign_members (
    machine text COLLATE "C" NOT NULL,
    log text COLLATE "C" NOT NULL,
    incident text COLLATE "C" NOT NULL,
    signature text COLLATE "C" NOT NULL,
    at timestamptz(3) NOT NULL,
    stored_at timestamptz(3) NOT NULL,
    unresolved boolean NOT NULL,
    rank smallint,
    PRIMARY KEY (machine, incident, log)
  )`,
  `CREATE INDEX IF NOT EXISTS campaign_members_by_signature ON campaign_members (signature, at, machine, incident)
    INCLUDE (log)`,
  `CREATE INDEX IF NOT EXISTS campaign_members_counted ON campaign_members (machine, signature, at)
    INCLUDE (stored_at, unresolved, rank)`,
  `CREATE TABLE IF NOT EXISTS campaigns (
    machine text COLLATE "C" NOT NULL,
    campaign text COLLATE "C" NOT NULL,
    signature text COLLATE "C" NOT NULL,
    rule text NOT NULL,
    class text COLLATE "C" NOT NULL,
    shared text NOT NULL,
    first_at timestamptz(3) NOT NULL,
    last_at timestamptz(3) NOT NULL,
    raised_at timestamptz(3) NOT NULL,
    machines integer NOT NULL DEFAULT 0,
    incidents bigint NOT NULL DEFAULT 0,
    unresolved bigint NOT NULL DEFAULT 0,
    rank smallint,
    PRIMARY KEY (machine, campaign)
  )`,
  'CREATE INDEX IF NOT EXISTS campaigns_by_signature ON campaigns (signature)',
  'CREATE INDEX IF NOT EXISTS campaigns_by_end ON campaigns (last_at, campaign)',
  `CREATE TABLE IF NOT EXISTS campaign_counts (
    machine text COLLATE "C" NOT NULL,
    campaign text COLLATE "C" NOT NULL,
    incidents bigint NOT NULL,
    unresolved bigint NOT NULL,
    rank smallint,
    first_at timestamptz(3) NOT NULL,
    last_at timestamptz(3) NOT NULL,
    joined bigint NOT NULL,
    grown bigint NOT NULL,
    PRIMARY KEY (machine, campaign)
  )`,
  'CREATE INDEX IF NOT EXISTS campaign_counts_by_growth ON campaign_counts (campaign, grown)',
  'CREATE INDEX IF NOT EXISTS fleet_incidents_open ON fleet_incidents (kind, machine) WHERE closed_at IS NULL',
];

/** One of 1,024 parts of the incidents, of equal size; a machine may count as high as it likes. */
export const SAMPLE_PART = '(((number % 4194304) * 2654435761 >> 16) & 1023)';
export const SAMPLE_PARTS = 1024;
/** Those that samples are made of: they are of a quarter of the incidents at most. */
export const IN_SAMPLES = `${SAMPLE_PART} < 256`;

/** Sums over all machines, and the marks of those that are to be made again. */
const SUMS_OVER_MACHINES: readonly string[] = [
  `CREATE TABLE IF NOT EXISTS marks (
    machine text COLLATE "C" NOT NULL,
    log text COLLATE "C" NOT NULL,
    batch bigint NOT NULL,
    activity bigint[] NOT NULL,
    created bigint[] NOT NULL,
    PRIMARY KEY (machine, log, batch)
  )`,
  `CREATE TABLE IF NOT EXISTS hour_sums (
    machine text COLLATE "C" NOT NULL,
    hour bigint NOT NULL,
    what text COLLATE "C" NOT NULL,
    step integer NOT NULL,
    count bigint NOT NULL,
    PRIMARY KEY (machine, hour, what, step)
  )`,
  `CREATE TABLE IF NOT EXISTS created_sums (
    machine text COLLATE "C" NOT NULL,
    length integer NOT NULL,
    beginning bigint NOT NULL,
    class text COLLATE "C" NOT NULL,
    source text COLLATE "C" NOT NULL,
    rank smallint NOT NULL,
    count bigint NOT NULL,
    contain bigint NOT NULL,
    contain_oldest bigint,
    acknowledge bigint NOT NULL,
    acknowledge_oldest bigint,
    resolve bigint NOT NULL,
    resolve_oldest bigint,
    PRIMARY KEY (machine, length, beginning, class, source, rank)
  )`,
  "INSERT INTO meta (machine, name, value) VALUES ('', 'sums', '') ON CONFLICT DO NOTHING",
  `CREATE TABLE IF NOT EXISTS minute_sums (
    machine text COLLATE "C" NOT NULL,
    minute bigint NOT NULL,
    count bigint NOT NULL,
    PRIMARY KEY (machine, minute)
  )`,
  // What comparisons count of some machines.
  `CREATE INDEX IF NOT EXISTS incidents_compared ON incidents (machine, created_at)
    INCLUDE (class, source, rank, state, waited, confirmed_at, acknowledged_at, resolved_at)
    WHERE current AND drill = 0`,
  // The same by parts, of which samples are made.
  `CREATE INDEX IF NOT EXISTS incidents_sampled ON incidents (${SAMPLE_PART}, created_at)
    INCLUDE (machine, confirmed_at, acknowledged_at, resolved_at) WHERE current AND drill = 0 AND ${IN_SAMPLES}`,
];

/** Add the next layout at the end; never change one that a release had. */
const MIGRATIONS: readonly Migration[] = [
  { layout: 1, statements: [...OF_MACHINES, ...CAMPAIGNS, ...SUMS_OVER_MACHINES] },
];

/**
 * What makes PostgreSQL itself faster, and other engines may not know: they refuse it, and do without. Rows of a few KiB
 * are neither compressed nor kept apart: to compress a row costs more than all the rest of storing it.
 */
const TUNING: readonly string[] = [
  ...['entries', 'incidents', 'documents', 'words', 'later_words'].map(
    (table) => `ALTER TABLE ${table} SET (toast_tuple_target = 8160)`,
  ),
  // To compile a query takes longer than any query of the fleet.
  `DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET jit = off', current_database()); END $$`,
];

/** The layout that this program works with. */
export const LAYOUT = MIGRATIONS.at(-1)!.layout;

const META = `CREATE TABLE IF NOT EXISTS meta (
  machine text NOT NULL,
  name text NOT NULL,
  value text NOT NULL,
  PRIMARY KEY (machine, name)
)`;

/** The layout of the database; 0 for an empty one. */
export async function layoutOf(db: Kysely<FleetTables>): Promise<number> {
  const { rows } = await sql<{ found: boolean }>`
    SELECT EXISTS (SELECT 1 FROM information_schema.tables WHERE table_name = 'meta') AS found`.execute(db);
  if (rows[0]?.found !== true) return 0;
  const row = await db
    .selectFrom('meta')
    .select('value')
    .where('machine', '=', '')
    .where('name', '=', 'layout')
    .executeTakeFirst();
  return Number(row?.value ?? 0);
}

/**
 * Brings the database to the layout of this program.
 * @returns the layout that it had, and the one that it has
 * @throws RecorderError `config` when a newer program has migrated it
 */
export async function migrate(db: Kysely<FleetTables>): Promise<{ readonly from: number; readonly to: number }> {
  const from = await layoutOf(db);
  refuseNewer(from);
  // Nothing is written where nothing is to do: the disk may be full, and reads go on.
  if (from === LAYOUT) return { from, to: LAYOUT };
  await run(db, META);
  for (const { layout, statements } of MIGRATIONS) {
    if (layout <= from) continue;
    for (const statement of statements) await run(db, statement);
    for (const statement of TUNING)
      await sql
        .raw(statement)
        .execute(db)
        .catch(() => {});
    await db
      .insertInto('meta')
      .values({ machine: '', name: 'layout', value: String(layout) })
      .onConflict((conflict) => conflict.columns(['machine', 'name']).doUpdateSet({ value: String(layout) }))
      .execute();
  }
  return { from, to: LAYOUT };
}

/** Another one has made the same at the same time (`IF NOT EXISTS` does not look for that), or was faster otherwise. */
const LOST_RACES: ReadonlySet<unknown> = new Set(['23505', '42P07', '42710', '40001', '40P01']);
const ATTEMPTS = 10;

/** Runs a statement that may be run again. Two may migrate at the same time. */
async function run(db: Kysely<FleetTables>, statement: string): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await sql.raw(statement).execute(db);
      return;
    } catch (error) {
      if (!LOST_RACES.has((error as NodeJS.ErrnoException).code) || attempt >= ATTEMPTS) throw error;
    }
  }
}

/** @throws RecorderError `config` unless the database has the layout of this program */
export async function requireLayout(db: Kysely<FleetTables>): Promise<void> {
  const layout = await layoutOf(db);
  refuseNewer(layout);
  if (layout === LAYOUT) return;
  const found = layout === 0 ? 'the database is empty' : `the database has layout ${layout}`;
  throw new RecorderError(
    'config',
    `${found}, this program needs ${LAYOUT}; run: incident-recorder fleet migrate (all programs of the fleet stopped)`,
  );
}

function refuseNewer(layout: number): void {
  if (layout <= LAYOUT) return;
  throw new RecorderError(
    'config',
    `the database has layout ${layout}, and this program knows ${LAYOUT}: a newer one has migrated it; start that one`,
  );
}

/** The statements that distribute the tables over the nodes of Citus, by machine. */
export const citusStatements = (): readonly string[] => [
  "SELECT create_distributed_table('machines', 'machine');",
  // It has few rows, which are joined with those of every machine.
  "SELECT create_reference_table('campaigns');",
  ...TABLES.filter((table) => table !== 'machines' && table !== 'campaigns').map(
    (table) => `SELECT create_distributed_table('${table}', 'machine', colocate_with => 'machines');`,
  ),
];
