/** Writes what a batch has changed: a statement for each table, whose rows come as arrays (`unnest`). */
import { type RawBuilder, sql, type Transaction } from 'kysely';
import type { ContainmentAction } from '../../../machines/vocabulary.ts';
import { needsAttention } from '../../domain/attention.ts';
import {
  containmentColumn,
  drillColumn,
  endsOf,
  isWaitedFor,
  rankOf,
  recoveryColumns,
} from '../../domain/incident-columns.ts';
import type { JsonObject } from '../../domain/entries.ts';
import type { Incident } from '../../domain/incident.ts';
import { type ActionPosture, deliveryRow, onRecord } from '../../domain/posture.ts';
import { evidenceWords } from '../../search/evidence-words.ts';
import { CUT_EVIDENCE, hasOtherWords, laterWordsOf, reportedWordsOf } from '../../search/searched-incident.ts';
import { KIND, LONGEST_LEXEME } from '../lexeme.ts';
import { markAll, markChanged } from '../read-models/marks.ts';
import type { FleetTables } from '../schema.ts';
import type { LogRow } from './histories.ts';
import { type BatchChanges, type HistoryFold, incidentOf } from './history-fold.ts';
import { isTime } from './sound-incident.ts';
import type { ReceivedLine } from './received-lines.ts';
import { sideBySide } from './side-by-side.ts';

type Tx = Transaction<FleetTables>;

export interface History {
  readonly machine: string;
  readonly log: string;
}

/**
 * The most characters of a text in a column that an index holds: as many as a recorder takes of a source or an assignee. A row
 * of an index has at most 2,700 bytes, and some have two of them.
 */
const LONGEST_TEXT = 256;

// oxlint-disable-next-line no-control-regex -- they are what is looked for
const CONTROL = /[\0-\x1f]/g;

/** A text as a column holds it: never empty, and on one line. */
const column = (text: unknown): string => String(text).slice(0, LONGEST_TEXT).replace(CONTROL, ' ') || ' ';
const columnOrNull = (text: unknown): string | null => (text === undefined || text === null ? null : column(text));
const timeOrNull = (text: unknown): string | null => (isTime(text) ? text : null);

const NEWLINE = 0x0a;

/**
 * Arrays go as one text each: a driver would quote every element, and the server undo that. No text has a line feed, as
 * JSON escapes it.
 */
const numbers = (values: readonly (number | null)[]): string => `{${values.map((one) => one ?? 'NULL').join()}}`;
const bigints = (values: readonly (number | null)[]): RawBuilder<unknown> => sql`${numbers(values)}::text::bigint[]`;
const integers = (values: readonly number[]): RawBuilder<unknown> => sql`${numbers(values)}::text::integer[]`;
const booleans = (values: readonly boolean[]): RawBuilder<unknown> => sql`${`{${values.join()}}`}::text::boolean[]`;
/** NULL goes as an empty text: no column holds one. */
const texts = (values: readonly (string | null)[]): RawBuilder<unknown> =>
  splitText(values.map((one) => one ?? '').join('\n'));
const splitText = (lines: string | Buffer): RawBuilder<unknown> => sql`string_to_array(${lines}::text, E'\n', '')`;
const times = (values: readonly (string | null)[]): RawBuilder<unknown> => sql`${texts(values)}::timestamptz[]`;

/** A character of UTF-16 takes at most so many bytes of UTF-8. */
const MOST_BYTES_EACH = 3;

/** The same of long texts: each is written where it goes, for to join them first copies all of them. */
function longTexts(values: readonly string[]): RawBuilder<unknown> {
  const lines = Buffer.allocUnsafe(values.reduce((sum, { length }) => sum + MOST_BYTES_EACH * length + 1, 0));
  let at = 0;
  for (const one of values) {
    at += lines.write(one, at);
    lines[at++] = NEWLINE;
  }
  return splitText(lines.subarray(0, at - 1));
}

/** The last lines of a batch, without the newline of the last: a body is sent as it came, as to write it again takes time. */
function lastLines(body: Buffer, count: number): Buffer {
  // The last line of a batch may have none.
  const end = body.at(-1) === NEWLINE ? body.length - 1 : body.length;
  let from = end;
  for (let left = count; left > 0; left--) from = body.lastIndexOf(NEWLINE, from - 1);
  return body.subarray(from + 1, end);
}

/** Stores lines as they came. @param lines the last ones of `body` */
export async function insertEntries(
  tx: Tx,
  { machine, log, advanced_at }: History & Pick<LogRow, 'advanced_at'>,
  lines: readonly ReceivedLine[],
  body: Buffer,
): Promise<void> {
  if (lines.length === 0) return;
  // Never earlier than what is stored of the log already: the clock of the database may jump, or be another server's.
  const advanced = advanced_at?.toISOString() ?? null;
  await sql`
    INSERT INTO entries (machine, log, stored_at, seq, at, event, incident, line)
    SELECT ${machine}, ${log}, (SELECT greatest(clock_timestamp(), ${advanced}::timestamptz)), * FROM unnest(
      ${bigints(lines.map(({ seq }) => seq))}, ${times(lines.map(({ entry }) => entry.timestamp))},
      ${texts(lines.map(({ entry }) => entry.event))}, ${texts(lines.map(({ entry }) => incidentOf(entry) ?? null))},
      ${splitText(lastLines(body, lines.length))})`.execute(tx);
}

/**
 * Writes the read models.
 * @param isCurrent whether lists show the incidents of this history
 */
export async function writeChanges(
  tx: Tx,
  history: History,
  fold: HistoryFold,
  changes: BatchChanges,
  isCurrent: boolean,
): Promise<void> {
  const created = [...changes.incidents.values()].map(({ now }) => Date.parse(now.incident.created_at));
  await sideBySide([
    // The longest first: the words of a batch take a while to find.
    () => putIncidents(tx, history, changes, isCurrent),
    () => putWords(tx, history, changes),
    () => putDocuments(tx, history, changes),
    () => putLaterWords(tx, history, changes),
    () => putDeliveries(tx, history, changes),
    () => putPosture(tx, history, fold),
    () => countStats(tx, history, changes),
    () => countHours(tx, history, changes),
    () => putSmall(tx, history, fold, changes),
    () => markChanged(tx, history, { activity: hoursChanged(changes), created }),
  ]);
}

/** A `tsvector` of the lexemes in `new.lexemes`: much cheaper to make than to read one that is written as text. */
const VECTOR = sql`array_to_tsvector(string_to_array(new.lexemes, ' '))`;

/** The hours since the epoch whose counts a batch has changed. */
const hoursChanged = ({ hours }: BatchChanges): readonly number[] =>
  [...hours.values()].flatMap((counts) =>
    [...counts].flatMap(([key, count]) => (count === 0 ? [] : [Number(key.slice(0, key.indexOf(' ')))])),
  );

/** Those that a batch has reported, and those that it has changed. */
function incidentsIn({ incidents }: BatchChanges) {
  const all = [...incidents.values()];
  return {
    fresh: all.filter(({ before }) => before === undefined),
    changed: all.filter(({ before }) => before !== undefined),
  };
}

async function putIncidents(
  tx: Tx,
  { machine, log }: History,
  changes: BatchChanges,
  isCurrent: boolean,
): Promise<void> {
  const { fresh, changed } = incidentsIn(changes);
  if (fresh.length > 0) {
    const all = fresh.map(({ now }) => now);
    const of = all.map(({ incident }) => incident);
    await sql`
      INSERT INTO incidents (machine, log, current, id, number, class, rank, state, source, created_at, updated_at,
        assignee, containment, recovery, attention, snoozed_until, resolution, drill, version, decisive, carried,
        dedup_key, contained, acknowledged_at, resolved_at, confirmed_at, waited, bytes)
      SELECT ${machine}, ${log}, ${isCurrent}, id, number, class, rank, state, source, created_at, updated_at, assignee,
        containment, recovery, attention, snoozed_until, resolution, drill, version, decisive, carried, dedup_key,
        contained, acknowledged_at, resolved_at, confirmed_at, waited, bytes
      FROM unnest(
        ${texts(of.map(({ id }) => id))}, ${bigints(all.map(({ seq }) => seq))},
        ${texts(of.map((one) => one.class))}, ${integers(of.map(({ severity }) => rankOf(severity)))},
        ${texts(of.map(({ state }) => state))}, ${texts(of.map(({ source }) => column(source)))},
        ${times(of.map(({ created_at }) => created_at))}, ${times(of.map(({ updated_at }) => updated_at))},
        ${texts(of.map(({ assignee }) => columnOrNull(assignee)))}, ${integers(of.map(containmentColumn))},
        ${integers(of.map((one) => recoveryColumns(one)[0]))}, ${booleans(of.map(needsAttention))},
        ${times(of.map(({ snoozed_until }) => timeOrNull(snoozed_until)))},
        ${texts(of.map(({ resolution }) => columnOrNull(resolution)))}, ${integers(of.map(drillColumn))},
        ${integers(of.map(({ version }) => version))}, ${integers(all.map(({ decisive }) => decisive))},
        ${bigints(all.map(({ carried }) => carried ?? null))},
        ${texts(of.map(({ dedup_key }) => columnOrNull(dedup_key)))}, ${booleans(of.map(wasContained))}, ${ends(of)},
        ${integers(of.map(({ id }) => Buffer.byteLength(changes.documents.get(id)!)))}
      ) AS new (id, number, class, rank, state, source, created_at, updated_at, assignee, containment, recovery,
        attention, snoozed_until, resolution, drill, version, decisive, carried, dedup_key, contained, acknowledged_at,
        resolved_at, confirmed_at, waited, bytes)`.execute(tx);
  }
  if (changed.length > 0) {
    const all = changed.map(({ now }) => now);
    const of = all.map(({ incident }) => incident);
    await sql`
      UPDATE incidents AS old SET rank = new.rank, state = new.state, updated_at = new.updated_at,
        assignee = new.assignee, containment = new.containment, recovery = new.recovery, attention = new.attention,
        snoozed_until = new.snoozed_until, resolution = new.resolution, drill = new.drill, version = new.version,
        decisive = new.decisive, carried = new.carried, contained = new.contained, acknowledged_at = new.acknowledged_at,
        resolved_at = new.resolved_at, confirmed_at = new.confirmed_at, waited = new.waited, bytes = new.bytes
      FROM unnest(
        ${texts(of.map(({ id }) => id))}, ${integers(of.map(({ severity }) => rankOf(severity)))},
        ${texts(of.map(({ state }) => state))}, ${times(of.map(({ updated_at }) => updated_at))},
        ${texts(of.map(({ assignee }) => columnOrNull(assignee)))}, ${integers(of.map(containmentColumn))},
        ${integers(of.map((one) => recoveryColumns(one)[0]))}, ${booleans(of.map(needsAttention))},
        ${times(of.map(({ snoozed_until }) => timeOrNull(snoozed_until)))},
        ${texts(of.map(({ resolution }) => columnOrNull(resolution)))}, ${integers(of.map(drillColumn))},
        ${integers(of.map(({ version }) => version))}, ${integers(all.map(({ decisive }) => decisive))},
        ${bigints(all.map(({ carried }) => carried ?? null))}, ${booleans(of.map(wasContained))}, ${ends(of)},
        ${integers(of.map(({ id }) => Buffer.byteLength(changes.documents.get(id)!)))}
      ) AS new (id, rank, state, updated_at, assignee, containment, recovery, attention, snoozed_until, resolution,
        drill, version, decisive, carried, contained, acknowledged_at, resolved_at, confirmed_at, waited, bytes)
      WHERE old.machine = ${machine} AND old.log = ${log} AND old.id = new.id`.execute(tx);
  }
}

/** What a report is found by: it never changes. */
async function putWords(tx: Tx, { machine, log }: History, changes: BatchChanges): Promise<void> {
  const { fresh } = incidentsIn(changes);
  if (fresh.length === 0) return;
  const of = fresh.map(({ now }) => now.incident);
  await sql`
    INSERT INTO words (machine, log, id, search)
    SELECT ${machine}, ${log}, id, ${VECTOR}
    FROM unnest(${texts(of.map(({ id }) => id))}, ${texts(of.map(lexemesOfReport))}) AS new (id, lexemes)`.execute(tx);
}

async function putDocuments(tx: Tx, { machine, log }: History, changes: BatchChanges): Promise<void> {
  const { fresh, changed } = incidentsIn(changes);
  if (fresh.length > 0) {
    const all = fresh.map(({ now }) => now);
    const of = all.map(({ incident }) => incident);
    await sql`
      INSERT INTO documents (machine, log, id, context, document)
      SELECT ${machine}, ${log}, * FROM unnest(${texts(of.map(({ id }) => id))},
        ${texts(all.map(({ snapshot }) => JSON.stringify(snapshot.context)))},
        ${longTexts(of.map(({ id }) => changes.documents.get(id)!))})`.execute(tx);
  }
  if (changed.length > 0) {
    const all = changed.map(({ now }) => now);
    const of = all.map(({ incident }) => incident);
    await sql`
      UPDATE documents AS old SET context = new.context, document = new.document
      FROM unnest(${texts(of.map(({ id }) => id))},
        ${texts(all.map(({ snapshot }) => JSON.stringify(snapshot.context)))},
        ${longTexts(of.map(({ id }) => changes.documents.get(id)!))}) AS new (id, context, document)
      WHERE old.machine = ${machine} AND old.log = ${log} AND old.id = new.id`.execute(tx);
  }
}

/** Writes what was added to incidents that they are found by, where that is something else than before. */
async function putLaterWords(tx: Tx, { machine, log }: History, { incidents }: BatchChanges): Promise<void> {
  const added: { readonly id: string; readonly lexemes: string }[] = [];
  const dropped: string[] = [];
  for (const { before, now } of incidents.values()) {
    if (before !== undefined && !hasOtherWords(before.incident, now.incident)) continue;
    const { id } = now.incident;
    const lexemes = laterLexemesOf(now.incident);
    if (lexemes !== '') added.push({ id, lexemes });
    else if (before !== undefined) dropped.push(id);
  }
  if (added.length > 0)
    await sql`
      INSERT INTO later_words (machine, log, id, search)
      SELECT ${machine}, ${log}, id, ${VECTOR}
      FROM unnest(${texts(added.map(({ id }) => id))}, ${texts(added.map(({ lexemes }) => lexemes))}) AS new (id, lexemes)
      ON CONFLICT (machine, log, id) DO UPDATE SET search = excluded.search`.execute(tx);
  if (dropped.length > 0)
    await sql`
      DELETE FROM later_words WHERE machine = ${machine} AND log = ${log} AND id = ANY(${texts(dropped)})`.execute(tx);
}

const wasContained = ({ contained_at }: Incident): boolean => contained_at !== undefined;

/** When incidents came to their ends, and whether they wait: four columns. */
function ends(of: readonly Incident[]): RawBuilder<unknown> {
  const all = of.map(endsOf);
  return sql.join([
    times(all.map(({ acknowledged_at }) => timeOrNull(acknowledged_at))),
    times(all.map(({ resolved_at }) => timeOrNull(resolved_at))),
    times(all.map(({ confirmed_at }) => timeOrNull(confirmed_at))),
    booleans(of.map(isWaitedFor)),
  ]);
}

/** What is looked at of each kind of words, in characters; the database bounds a vector at 1 MiB. */
const MOST_CHARACTERS = 50_000;

/** What a report is found by: lexemes, with a space between them. The database sorts them and drops those that recur. */
function lexemesOfReport(incident: Incident): string {
  const { words, people } = reportedWordsOf(incident);
  const { evidence } = incident;
  const lexemes =
    lexemesIn(words, KIND.words) +
    lexemesIn(people, KIND.people) +
    (evidence === undefined ? '' : lexemesOfEvidence(evidence));
  return lexemes.slice(1);
}

/** The same of what was added to it; empty where nothing was. */
function laterLexemesOf(incident: Incident): string {
  const { words, people, marks } = laterWordsOf(incident);
  const { latest_report: latest } = incident;
  const lexemes =
    lexemesIn(words, KIND.words) +
    lexemesIn(people, KIND.people) +
    lexemesIn(marks, KIND.marks) +
    (latest?.evidence === undefined ? '' : lexemesOfEvidence(latest.evidence));
  return lexemes.slice(1);
}

function lexemesOfEvidence(evidence: JsonObject): string {
  const { words, marks, isCut } = evidenceWords(evidence);
  return lexemesIn(words, KIND.evidence) + lexemesIn(isCut ? `${marks} ${CUT_EVIDENCE}` : marks, KIND.marks);
}

/** The words of a text as lexemes, with a space before each. */
function lexemesIn(text: string, kind: string): string {
  const words = text.slice(0, MOST_CHARACTERS).toLowerCase().match(WORDS);
  return words === null ? '' : ` ${kind}${[...new Set(words)].join(` ${kind}`)}`;
}

/** All but the signs of ASCII; lower case. */
const WORDS = new RegExp(`[0-9a-z\\u0080-\\uffff]{1,${LONGEST_LEXEME}}`, 'g');

async function putDeliveries(tx: Tx, { machine, log }: History, { incidents }: BatchChanges): Promise<void> {
  const put: (ReturnType<typeof deliveryRow> & { incident: string; asked_at: string; overdue_at: string | null })[] =
    [];
  const dropped: { readonly action: string; readonly incident: string }[] = [];
  for (const [incident, { before, now }] of incidents) {
    const [held, holds] = [onRecord(before?.incident), onRecord(now.incident)];
    if (held === holds) continue;
    for (const delivery of holds) {
      if (held.includes(delivery) || !isTime(delivery.asked_at)) continue;
      const { asked_at, overdue_at } = delivery;
      put.push({ ...deliveryRow(delivery), incident, asked_at, overdue_at: timeOrNull(overdue_at) });
    }
    for (const { action } of held) {
      if (!holds.some((delivery) => delivery.action === action)) dropped.push({ action, incident });
    }
  }
  if (put.length > 0) {
    await sql`
      INSERT INTO deliveries (machine, log, directive, action, incident, status, wait, asked_at, asked_seq, overdue_at, due_at)
      SELECT ${machine}, ${log}, 'engage', * FROM unnest(
        ${texts(put.map(({ action }) => action))}, ${texts(put.map(({ incident }) => incident))},
        ${texts(put.map(({ status }) => status))}, ${integers(put.map(({ wait }) => wait))},
        ${times(put.map(({ asked_at }) => asked_at))}, ${bigints(put.map(({ asked_seq }) => asked_seq))},
        ${times(put.map(({ overdue_at }) => overdue_at))}, ${times(put.map(({ due }) => dueAt(due)))})
      ON CONFLICT (machine, log, action, incident, directive) DO UPDATE SET status = excluded.status,
        wait = excluded.wait, asked_at = excluded.asked_at, asked_seq = excluded.asked_seq,
        overdue_at = excluded.overdue_at, due_at = excluded.due_at`.execute(tx);
  }
  if (dropped.length > 0) {
    await sql`
      DELETE FROM deliveries AS old
      USING unnest(${texts(dropped.map(({ action }) => action))}, ${texts(dropped.map(({ incident }) => incident))})
        AS gone (action, incident)
      WHERE old.machine = ${machine} AND old.log = ${log} AND old.action = gone.action AND old.incident = gone.incident`.execute(
      tx,
    );
  }
}

/** @param due milliseconds since the epoch; 0 for never */
const dueAt = (due: number): string | null =>
  due === 0 || !Number.isFinite(due) || Math.abs(due) > 8e14 ? null : new Date(due).toISOString();

async function putPosture(tx: Tx, { machine, log }: History, { posture }: HistoryFold): Promise<void> {
  const changed = [...posture.changed];
  posture.changed.clear();
  if (changed.length === 0) return;
  const of = changed.map((action: ContainmentAction) => posture.of(action));
  await sql`
    INSERT INTO posture (machine, log, action, holders, since, heard_at, unconfirmed, overdue, seq, document)
    SELECT ${machine}, ${log}, * FROM unnest(
      ${texts(changed)}, ${integers(of.map(({ holders }) => holders))}, ${times(of.map(({ since }) => timeOrNull(since)))},
      ${times(of.map(({ heard_at }) => timeOrNull(heard_at)))}, ${integers(changed.map((action, at) => unconfirmedIn(action, of[at]!)))},
      ${integers(of.map(({ overdue }) => overdue))}, ${bigints(of.map(({ seq }) => seq))},
      ${texts(of.map((one) => JSON.stringify(one)))})
    ON CONFLICT (machine, log, action) DO UPDATE SET holders = excluded.holders, since = excluded.since,
      heard_at = excluded.heard_at, unconfirmed = excluded.unconfirmed, overdue = excluded.overdue, seq = excluded.seq,
      document = excluded.document`.execute(tx);
}

/**
 * How many deliveries of an action are not confirmed. An alert is carried out by being in the log; any other action that is
 * `recorded` waits to be fetched.
 */
const unconfirmedIn = (action: ContainmentAction, { counts }: ActionPosture): number =>
  Object.entries(counts).reduce(
    (sum, [status, count]) =>
      sum + (status === 'confirmed' || (status === 'recorded' && action === 'log_alert') ? 0 : count),
    0,
  );

async function countStats(tx: Tx, { machine, log }: History, { tally }: BatchChanges): Promise<void> {
  const rows: { readonly kind: string; readonly name: string; readonly count: number }[] = [];
  const add = (kind: string, counts: ReadonlyMap<string, number>): void => {
    for (const [name, count] of counts) if (count !== 0) rows.push({ kind, name, count });
  };
  add('population', tally.moved);
  add('entered', tally.entered);
  add('containment', tally.containments);
  add('recovery', tally.recoveries);
  add('resolution', tally.resolutions);
  if (rows.length === 0) return;
  await sql`
    INSERT INTO stats (machine, log, kind, name, count)
    SELECT ${machine}, ${log}, * FROM unnest(${texts(rows.map(({ kind }) => kind))},
      ${texts(rows.map(({ name }) => name))}, ${bigints(rows.map(({ count }) => count))})
    ON CONFLICT (machine, log, kind, name) DO UPDATE SET count = stats.count + excluded.count`.execute(tx);
  if (rows.some(({ count }) => count < 0))
    await sql`DELETE FROM stats WHERE machine = ${machine} AND log = ${log} AND count = 0`.execute(tx);
}

async function countHours(tx: Tx, { machine, log }: History, { hours }: BatchChanges): Promise<void> {
  const rows = [...hours].flatMap(([ofClass, counts]) =>
    [...counts].flatMap(([key, count]) => {
      const [hour, what, step] = key.split(' ') as [string, string, string];
      return count === 0 ? [] : [{ hour: Number(hour), ofClass, what, step: Number(step), count }];
    }),
  );
  if (rows.length === 0) return;
  await sql`
    INSERT INTO hours (machine, log, hour, class, what, step, count)
    SELECT ${machine}, ${log}, * FROM unnest(${bigints(rows.map(({ hour }) => hour))},
      ${texts(rows.map(({ ofClass }) => ofClass))}, ${texts(rows.map(({ what }) => what))},
      ${integers(rows.map(({ step }) => step))}, ${bigints(rows.map(({ count }) => count))})
    ON CONFLICT (machine, log, hour, class, what, step) DO UPDATE SET count = hours.count + excluded.count`.execute(tx);
  if (!rows.some(({ count }) => count < 0)) return;
  const decreased = [...new Set(rows.filter(({ count }) => count < 0).map(({ hour }) => hour))];
  await sql`
    DELETE FROM hours WHERE machine = ${machine} AND log = ${log} AND hour = ANY(${bigints(decreased)}) AND count = 0`.execute(
    tx,
  );
}

/** What there are few of. */
async function putSmall(tx: Tx, history: History, fold: HistoryFold, changes: BatchChanges): Promise<void> {
  const { machine, log } = history;
  if (changes.silencesBefore !== undefined) {
    const known = new Set(changes.silencesBefore);
    const gone = changes.silencesBefore.filter((one) => !fold.silences.some(({ silence }) => silence === one.silence));
    for (const { silence: id } of gone)
      await sql`DELETE FROM silences WHERE machine = ${machine} AND log = ${log} AND id = ${id}`.execute(tx);
    for (const one of fold.silences.filter((silence) => !known.has(silence))) {
      await sql`
        INSERT INTO silences (machine, log, id, seq, silence)
        VALUES (${machine}, ${log}, ${one.silence}, ${one.seq}, ${JSON.stringify(one)})
        ON CONFLICT (machine, log, id) DO UPDATE SET seq = excluded.seq, silence = excluded.silence`.execute(tx);
    }
  }
  for (const { source, heard_at, silent_since } of changes.guards.values()) {
    await sql`
      INSERT INTO guards (machine, log, source, heard_at, silent_since)
      VALUES (${machine}, ${log}, ${column(source)}, ${heard_at}, ${silent_since})
      ON CONFLICT (machine, log, source) DO UPDATE SET heard_at = coalesce(excluded.heard_at, guards.heard_at),
        silent_since = excluded.silent_since`.execute(tx);
  }
  for (const [finding, change] of changes.findings) {
    if (change === undefined) {
      await sql`
        UPDATE findings SET open = false
        WHERE machine = ${machine} AND log = ${log} AND finding = ${column(finding)}`.execute(tx);
      continue;
    }
    await sql`
      INSERT INTO findings (machine, log, finding, detail, found_at, open)
      VALUES (${machine}, ${log}, ${column(finding)}, ${column(change.detail)}, ${change.found_at}, ${change.open})
      ON CONFLICT (machine, log, finding) DO UPDATE SET detail = excluded.detail, found_at = excluded.found_at,
        open = excluded.open`.execute(tx);
  }
}

/** The tables of read models. */
export const READ_MODELS = [
  'incidents',
  'documents',
  'words',
  'later_words',
  'deliveries',
  'posture',
  'stats',
  'left_counts',
  'hours',
  'silences',
  'guards',
  'findings',
] as const;

/** Deletes the read models of a history. */
export async function deleteReadModels(tx: Tx, { machine, log }: History): Promise<void> {
  await markAll(tx, machine);
  for (const table of READ_MODELS)
    await tx.deleteFrom(table).where('machine', '=', machine).where('log', '=', log).execute();
}
