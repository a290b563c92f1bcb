/** The layout of the projections. A database of another layout is deleted and rebuilt from the log. */
export const LAYOUT = 33;

export const SCHEMA = `
  -- How far the log has been applied: the last entry, and the offset behind it in bytes.
  CREATE TABLE position (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    seq INTEGER NOT NULL,
    hash TEXT NOT NULL,
    end INTEGER NOT NULL,
    -- Whether entries were missing in front of others: archived, with the reports that later entries refer to.
    gaps INTEGER NOT NULL
  );

  -- One row an incident; number is the seq of the entry that reported it.
  CREATE TABLE incidents (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    class TEXT NOT NULL,
    rank INTEGER NOT NULL,
    state TEXT NOT NULL,
    source TEXT NOT NULL,
    -- Whose its dedup_key is: the principal that reported it, '' for the shared token.
    owner TEXT NOT NULL,
    -- In milliseconds since the epoch.
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    -- Who works it, if anybody does.
    assignee TEXT,
    -- How its containment is: 0 when there is none, 1 confirmed, and the others of CONTAINMENT_COLUMN.
    containment INTEGER NOT NULL,
    version INTEGER NOT NULL,
    -- How far its recovery is, if it has one and is not resolved: 1 incomplete, 2 complete; else 0. And whether the
    -- attestor is to be asked for it: 1 or 0.
    recovery INTEGER NOT NULL,
    attesting INTEGER NOT NULL,
    -- Whether it needs attention, unless it is silenced: 1 or 0.
    attention INTEGER NOT NULL,
    -- The version of the latest entry that decides something: see IncidentRecord.
    decisive INTEGER NOT NULL,
    -- The entry that a rebuild begins it with: its report, or the latest that carried it over.
    base INTEGER NOT NULL,
    dedup_key TEXT,
    -- 0 for a real incident; for a drill 1 until it is over, then 2.
    drill INTEGER NOT NULL,
    context TEXT NOT NULL,
    -- So many bytes of the document are the incident without its details (domain/document.ts).
    summary INTEGER NOT NULL,
    document TEXT NOT NULL
  );
  -- Every list is merged from stretches of one of these two: see list-walk.ts.
  CREATE INDEX incidents_by_kind ON incidents (state, class, rank, number);
  CREATE INDEX incidents_by_source ON incidents (source, state, class, rank, number);
  CREATE INDEX incidents_unresolved_by_dedup_key ON incidents (dedup_key, class, source, owner)
    WHERE dedup_key IS NOT NULL AND state <> 'resolved';
  CREATE INDEX incidents_carried ON incidents (base) WHERE base <> number;

  -- For the orders of the list, and for filters that little of the record passes.
  CREATE INDEX incidents_by_creation ON incidents (created_at);
  CREATE INDEX incidents_by_update ON incidents (updated_at);
  CREATE INDEX incidents_by_assignee ON incidents (assignee) WHERE assignee IS NOT NULL;
  CREATE INDEX incidents_by_containment ON incidents (containment) WHERE containment > 1;

  CREATE INDEX incidents_recovering ON incidents (recovery) WHERE recovery > 0;
  CREATE INDEX incidents_attesting ON incidents (attesting) WHERE attesting > 0;
  -- With all that silences look at, apart from words: see attention.ts.
  CREATE INDEX incidents_needing_attention ON incidents (state, class, rank, number, source) WHERE attention = 1;
  CREATE INDEX incidents_running_drills ON incidents (number) WHERE drill = 1;

  -- Until when incidents are snoozed, in milliseconds since the epoch, and the entry that says so: see snoozes.ts.
  CREATE TABLE snoozes (
    incident INTEGER PRIMARY KEY,
    due INTEGER NOT NULL,
    seq INTEGER NOT NULL
  );
  CREATE INDEX snoozes_by_time ON snoozes (due, seq);

  -- The incidents that take up another one which does not name them yet: see half-reopened.ts.
  CREATE TABLE half_reopened (id TEXT PRIMARY KEY) WITHOUT ROWID;

  -- The words of each incident, of people and notes, of its evidence, and its marks, by its number: see search.ts.
  CREATE VIRTUAL TABLE search USING fts5(
    words, people, evidence, marks, content = '', contentless_delete = 1, detail = column, tokenize = 'ascii'
  );
  -- It never merges by itself, as that takes a tenth of a second now and then, but a little at a time: see search.ts. The
  -- words of incidents that have left are dropped on the way. With 2000 parts it could not be written any more.
  INSERT INTO search (search, rank) VALUES
    ('automerge', 0), ('usermerge', 8), ('crisismerge', 1500), ('deletemerge', 0);

  -- While a log is applied, the first incident that is not in the search index yet: see search-backlog.ts.
  CREATE TABLE unsearched (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    number INTEGER NOT NULL
  );

  -- The first and the last incident that were created in each hour since the epoch.
  CREATE TABLE hours (
    hour INTEGER PRIMARY KEY,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL
  );

  -- Where the entries about each incident stand in the log: seq tells the file, the rest is in bytes.
  CREATE TABLE entries (
    incident INTEGER NOT NULL,
    version INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    offset INTEGER NOT NULL,
    length INTEGER NOT NULL,
    PRIMARY KEY (incident, version)
  ) WITHOUT ROWID;

  -- Entries about incidents that are not on record, until one carries such an incident over: only while a log is read
  -- whose beginning is archived.
  CREATE TABLE strays (
    id TEXT NOT NULL,
    version INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    offset INTEGER NOT NULL,
    length INTEGER NOT NULL,
    PRIMARY KEY (id, version)
  ) WITHOUT ROWID;

  -- The sources of the incidents on record, what they look like, and whether they were suspicious at first.
  CREATE TABLE sources (
    source TEXT PRIMARY KEY,
    skeleton TEXT NOT NULL,
    suspicious INTEGER NOT NULL
  ) WITHOUT ROWID;
  CREATE INDEX sources_by_skeleton ON sources (skeleton);

  -- Requests for as long as their incident is on record: see idempotency-keys.ts.
  CREATE TABLE idempotency (
    key TEXT PRIMARY KEY,
    fingerprint TEXT NOT NULL,
    incident INTEGER NOT NULL,
    -- The entry that it was made by.
    seq INTEGER NOT NULL
  ) WITHOUT ROWID;

  CREATE INDEX idempotency_by_incident ON idempotency (incident);

  -- When the latest reports of each class came, as numbers: see recent-reports.ts.
  CREATE TABLE reports (
    class TEXT PRIMARY KEY,
    recent BLOB NOT NULL
  ) WITHOUT ROWID;

  -- The latest report with each set of values, for as long as its incident is on record, and when it came.
  CREATE TABLE repeats (
    key TEXT PRIMARY KEY,
    incident INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    time INTEGER NOT NULL
  ) WITHOUT ROWID;

  -- What holds each action in force: the deliveries of unresolved incidents. Those with the status superseded hold
  -- nothing any more: a person has released them early. due is in milliseconds since the epoch; wait
  -- says why it is not known to be carried out (posture.ts), 0 when it is.
  CREATE TABLE deliveries (
    action TEXT NOT NULL,
    incident INTEGER NOT NULL,
    status TEXT NOT NULL,
    due INTEGER NOT NULL,
    wait INTEGER NOT NULL,
    asked_seq INTEGER NOT NULL,
    PRIMARY KEY (action, incident)
  ) WITHOUT ROWID;
  CREATE INDEX deliveries_by_status ON deliveries (action, status, due, incident);
  CREATE INDEX deliveries_unconfirmed ON deliveries (action, wait, asked_seq, incident) WHERE wait > 0;

  -- How each action stands; the rest of it is JSON.
  CREATE TABLE posture (
    action TEXT PRIMARY KEY,
    posture TEXT NOT NULL
  ) WITHOUT ROWID;

  -- How far each webhook has taken the log, and as JSON the entries up to there that it has not taken, and what one with
  -- a format has told besides.
  CREATE TABLE webhooks (
    url TEXT PRIMARY KEY,
    seq INTEGER NOT NULL,
    parked TEXT NOT NULL,
    notices TEXT
  ) WITHOUT ROWID;
  -- The entries that are not sent to a webhook any more; entry is JSON.
  CREATE TABLE skipped (
    url TEXT NOT NULL,
    seq INTEGER NOT NULL,
    entry TEXT NOT NULL,
    PRIMARY KEY (url, seq)
  ) WITHOUT ROWID;

  -- When the clock has jumped: jump is JSON.
  CREATE TABLE clock_jumps (
    seq INTEGER PRIMARY KEY,
    jump TEXT NOT NULL
  );

  -- What was found wrong with the log, and whether it waits for an operator.
  CREATE TABLE findings (
    finding TEXT PRIMARY KEY,
    detail TEXT NOT NULL,
    found_at TEXT NOT NULL,
    open INTEGER NOT NULL
  ) WITHOUT ROWID;

  -- The guards: when each was heard last, and since when it is silent, as far as the log says (RFC 3339).
  CREATE TABLE guards (
    source TEXT PRIMARY KEY,
    heard_at TEXT,
    silent_since TEXT
  ) WITHOUT ROWID;

  -- The silences, by the entry that added them: silence is JSON.
  CREATE TABLE silences (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    silence TEXT NOT NULL
  );

  -- One row when there was an access file.
  CREATE TABLE access_file (id INTEGER PRIMARY KEY CHECK (id = 1));

  -- The last anchor: the entry that records it, and what that says, as JSON.
  CREATE TABLE anchor (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    seq INTEGER NOT NULL,
    anchor TEXT NOT NULL
  );

  -- The commands of the fleet that were given, by what names them: see fleet-commands.ts. answer is JSON.
  CREATE TABLE fleet_commands (
    id TEXT PRIMARY KEY,
    key TEXT,
    seq INTEGER NOT NULL,
    -- In milliseconds since the epoch, by the clock of the fleet.
    issued INTEGER NOT NULL,
    status INTEGER NOT NULL,
    incident TEXT,
    answer TEXT
  ) WITHOUT ROWID;
  CREATE INDEX fleet_commands_by_key ON fleet_commands (key) WHERE key IS NOT NULL;
  CREATE INDEX fleet_commands_by_seq ON fleet_commands (seq);
  CREATE INDEX fleet_commands_by_issue ON fleet_commands (issued);
  -- Commands that were issued until then may have been forgotten.
  CREATE TABLE forgotten_fleet_commands (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    until INTEGER NOT NULL
  );

  -- How many incidents there are of each kind now, and how many ever entered each state;
  -- of the latter, those that have left the record.
  CREATE TABLE population (
    class TEXT NOT NULL,
    severity TEXT NOT NULL,
    state TEXT NOT NULL,
    -- 1 for drills, which the statistics leave out.
    drill INTEGER NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (class, severity, state, drill)
  ) WITHOUT ROWID;
  CREATE TABLE entered (
    state TEXT PRIMARY KEY,
    count INTEGER NOT NULL
  ) WITHOUT ROWID;
  CREATE TABLE archived (
    state TEXT PRIMARY KEY,
    count INTEGER NOT NULL
  ) WITHOUT ROWID;

  -- How many incidents that are not contained yet were reported in each stretch of time: length and beginning are in
  -- milliseconds, since the epoch. Each is counted in a short and in a long one.
  CREATE TABLE waiting (
    length INTEGER NOT NULL,
    beginning INTEGER NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (length, beginning)
  ) WITHOUT ROWID;

  -- How many incidents that ever asked for containment have each status of it.
  CREATE TABLE containments (
    status TEXT PRIMARY KEY,
    count INTEGER NOT NULL
  ) WITHOUT ROWID;

  -- How many unresolved incidents that need a recovery are at each stage of it.
  CREATE TABLE recoveries (
    stage TEXT PRIMARY KEY,
    count INTEGER NOT NULL
  ) WITHOUT ROWID;

  -- How many incidents on record turned out to be what, as far as whoever resolved them has said so.
  CREATE TABLE resolutions (
    resolution TEXT PRIMARY KEY,
    count INTEGER NOT NULL
  ) WITHOUT ROWID;

  -- The entries whose incidents are leaving the record, a few at a time: those that begin before the entry next have
  -- left. And how often log.archived entries say that incidents have entered each state, less those that have left:
  -- what remains at the end is added to entered. Both are empty most of the time.
  CREATE TABLE leaving (
    first INTEGER PRIMARY KEY,
    last INTEGER NOT NULL,
    next INTEGER NOT NULL
  );
  CREATE TABLE leaving_entered (
    state TEXT PRIMARY KEY,
    count INTEGER NOT NULL
  ) WITHOUT ROWID;

  -- The entries that were archived, and the times that they are from, in milliseconds since the epoch.
  CREATE TABLE archived_ranges (
    first INTEGER PRIMARY KEY,
    last INTEGER NOT NULL,
    since INTEGER NOT NULL,
    until INTEGER NOT NULL
  );

  -- What happened in each hour since the epoch: what is a severity that was reported, or how long (step: activity.ts)
  -- the incidents had taken that were contained or resolved then.
  CREATE TABLE activity (
    hour INTEGER NOT NULL,
    what TEXT NOT NULL,
    step INTEGER NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (hour, what, step)
  ) WITHOUT ROWID;
`;
