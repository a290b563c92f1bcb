/**
 * Takes what machines send: entries of their logs.
 *
 * A batch is one transaction that touches one machine. It takes the machine's row first, so batches of one machine come
 * one after the other, whichever process has them. Then it finds the history that the batch continues, stores the lines as
 * they came, and writes the read models that they make.
 *
 * A batch that continues no history because the past differs opens a new one beside it, from the first entry that
 * differs; the fleet incident `log_diverged` says so. Nothing that was stored is changed.
 */
import { type RawBuilder, sql, type Transaction } from 'kysely';
import { type Anchor, readAnchor } from '../../anchor.ts';
import { chainHash } from '../../audit/chain-hash.ts';
import { CompactRange, type WrittenRange } from '../../audit/compact-range.ts';
import { type Clock, SECOND } from '../../clock.ts';
import { type Entry, readEntry } from '../../domain/entries.ts';
import type { ActionPosture } from '../../domain/posture.ts';
import type { SilenceOnRecord } from '../../domain/silence-terms.ts';
import { RecorderError } from '../../errors.ts';
import type { Signer } from '../../signed-note.ts';
import { anchorIfDue } from '../anchors.ts';
import type { FleetDatabase } from '../database.ts';
import { BURST, type Quota, shareOf, tooMuch } from '../quotas.ts';
import { countLeft } from '../read-models/left-counts.ts';
import { markAll, markChanged } from '../read-models/marks.ts';
import type { FleetTables } from '../schema.ts';
import { deleteReadModels, insertEntries, writeChanges } from './batch-rows.ts';
import { FoldCache } from './fold-cache.ts';
import { HistoryFold, incidentOf, type StoredIncident } from './history-fold.ts';
import { historiesOf, linesOf, type LogRow, relationTo } from './histories.ts';
import { type LinesRead, ReadingAhead, type UnreadBatch } from './reading-ahead.ts';
import { type Keys, LineFault, MOST_BYTES, MOST_LINES, type ReceivedLine, readReceived } from './received-lines.ts';
import { sideBySide, Turns } from './side-by-side.ts';

type Tx = Transaction<FleetTables>;

/** How many entries are read at a time when read models are made again. */
const BUILD_AT_ONCE = 1000;
/** How long a request goes on with that before its machine is asked to come back, in milliseconds. */
const BUILD_WITHIN = 5 * SECOND;
/**
 * A machine says with each batch how far its log goes. When that is less than the fleet holds, and the fleet took its last
 * entry longer ago than this (milliseconds), the log was cut: no request is under way for so long.
 */
const SURE_AFTER = 15 * SECOND;
/** Histories that one machine may have: one that makes more is not taken at its word. */
const MOST_HISTORIES = 64;
/** How far to look back for the first entry that differs: a batch. */
const LOOK_BACK = 1000;
/** So many batches are read while others have the connections. Each takes a few times its size. */
const READ_AHEAD = 2;
/** A transaction that lost against another is tried again so often. */
const ATTEMPTS = 4;

export interface Batch extends UnreadBatch {
  /** How far the log goes on the machine, if it says so. */
  readonly entries?: number | undefined;
  /** How far the fleet had it, as the machine had heard before it looked at its log. */
  readonly heard?: number | undefined;
  /** The first entry that is still in the log on the machine. */
  readonly first?: number | undefined;
  /** When the request came: milliseconds of a clock that does not jump. */
  readonly arrived: number;
  /** The names that the machine had before. */
  readonly formerly?: ReadonlySet<string>;
}

/** A history of the machine is not built yet, and that comes first. */
class Unbuilt extends Error {
  override readonly name = 'Unbuilt';
}

/** The log is that of another machine, unless that one was revoked: what that needs is not of this machine's transaction. */
class OthersLog extends Error {
  override readonly name = 'OthersLog';
  readonly other: string;
  readonly seq: number;

  constructor(other: string, seq: number) {
    super(`entry ${seq} is an anchor for ${other}`);
    this.other = other;
    this.seq = seq;
  }
}

export interface Stored {
  readonly machine: string;
  readonly log: string;
  readonly through: number;
  readonly hash: string;
  readonly anchor?: string;
  readonly diverged?: Divergence;
  /** How many entries were new. */
  readonly stored: number;
  /** How long until the machine may send more, in milliseconds; below zero while it has something left of its quota. */
  readonly wait: number;
}

/** Where a machine's log has left what the fleet holds. */
export interface Divergence {
  /** `rewritten`: another entry in its place; `cut`: entries are gone; `new_log`: another log; `returned`: an earlier history goes on. */
  readonly why: 'rewritten' | 'cut' | 'new_log' | 'missing' | 'returned';
  readonly first_differing_seq: number;
  /** The names of the two histories. */
  readonly history: string;
  readonly left: string;
}

export interface IngestOptions {
  readonly db: FleetDatabase;
  readonly clock: Clock;
  readonly signer: Signer;
  /** How many transactions there can be at once. */
  readonly connections?: number;
  /** What one machine may send, whichever process it sends it to; as much as it likes by default. */
  readonly quota?: Quota;
  /** The keys of a machine's audit chain, from what is stored of them, the newest first. */
  readonly unseal: (sealed: string) => readonly Buffer[];
  /** Called with each new divergence, once it is stored. */
  readonly onDiverged?: (machine: string, divergence: Divergence) => void;
}

const UNLIMITED: Quota = { entriesPerSecond: Infinity, bytesPerSecond: Infinity };

/** The history is being built: the machine is to come back. */
const BUILDING = 'what this machine had sent is being read again; come back';

export class Ingest {
  readonly #options: IngestOptions;
  readonly #folds = new FoldCache();
  readonly #readingAhead = new ReadingAhead();
  readonly #turns: Turns;

  constructor(options: IngestOptions) {
    this.#options = options;
    this.#turns = new Turns((options.connections ?? 1) + READ_AHEAD);
  }

  /**
   * Stores a batch.
   * @throws RecorderError `conflict` with `code` and what is `expected`; nothing is stored then. `too_large`,
   *   `unauthenticated` for a machine that is not enrolled, `overloaded` while a history is built, `quota_exceeded`
   */
  async store(received: Batch): Promise<Stored> {
    const { db } = this.#options;
    let batch = received;
    let divergence: Divergence | undefined;
    let wait = 0;
    for (let attempt = 1; ; attempt++) {
      const taken: [log: string, fold: HistoryFold][] = [];
      try {
        const stored = await this.#turns.take(async () => {
          // Others have the connections meanwhile.
          const ahead = await this.#readingAhead.read(batch);
          return db.transaction().execute(async (tx) => {
            const locked = await this.#lockMachine(tx, batch, ahead?.lines.length ?? MOST_LINES);
            wait = locked.wait;
            const result = await this.#storeIn(tx, batch, locked.audit_key_sealed, ahead, taken);
            // Nothing of it counts, so that what comes again counts once.
            if (result === 'unbuilt') throw new Unbuilt();
            divergence = result.divergence;
            return result.stored;
          });
        });
        for (const [log, fold] of taken) this.#folds.put(batch.machine, log, fold);
        if (divergence === undefined) return { ...stored, wait };
        this.#options.onDiverged?.(batch.machine, divergence);
        await this.#build(batch.machine, BUILD_WITHIN);
        return { ...stored, wait };
      } catch (error) {
        if (error instanceof Unbuilt) {
          if (!(await this.#build(batch.machine, BUILD_WITHIN))) throw new RecorderError('overloaded', BUILDING);
        } else if (error instanceof OthersLog) batch = await this.#renamed(batch, error);
        else if (!isLostRace(error) || attempt >= ATTEMPTS) throw error;
      }
    }
  }

  /**
   * How far the fleet has a log.
   * @returns undefined when it does not know it
   */
  async held(machine: string, log: string): Promise<Omit<Stored, 'stored' | 'wait'> | undefined> {
    const rows = await historiesOf(this.#options.db, machine);
    const row = rows.find(({ identity }) => identity === log);
    if (row === undefined) return undefined;
    const divergence = divergenceOf(row);
    return { machine, log, through: row.through, hash: row.hash, ...(divergence && { diverged: divergence }) };
  }

  /** Makes the read models of all histories of a machine again, from the stored lines. @param progress after each step */
  async rebuild(
    machine: string,
    progress: (log: string, built: number, through: number) => void = () => {},
  ): Promise<void> {
    const { db } = this.#options;
    const logs = await db.transaction().execute(async (tx) => {
      await takeMachine(tx, machine);
      const rows = await historiesOf(tx, machine);
      for (const { log } of rows) {
        await deleteReadModels(tx, { machine, log });
        await tx
          .updateTable('logs')
          .set({ built: 0, range: EMPTY_RANGE, unread: 0, recorded_seq: null, recorded_at: null })
          .where('machine', '=', machine)
          .where('log', '=', log)
          .execute();
        this.#folds.take(machine, log);
      }
      // What campaigns have is counted again as well.
      await tx.updateTable('campaign_progress').set({ counted: 0 }).where('machine', '=', machine).execute();
      return rows;
    });
    for (const { log, first_seq, through } of logs.toReversed()) {
      for (let built = first_seq - 1; built < through;) {
        built = await this.#buildSome(machine, log);
        progress(log, built, through);
      }
    }
  }

  /** Goes on with histories that are not built yet. @returns whether all are, within the time */
  async #build(machine: string, within: number): Promise<boolean> {
    const { db, clock } = this.#options;
    const rows = await db
      .selectFrom('logs')
      .select(['log', 'built', 'through', 'first_seq'])
      .where('machine', '=', machine)
      .whereRef('built', '<', 'through')
      .execute();
    const deadline = clock.monotonic() + within;
    for (const { log, through, ...row } of rows) {
      let built = Math.max(row.built, row.first_seq - 1);
      while (built < through) {
        if (clock.monotonic() > deadline) return false;
        built = await this.#buildSome(machine, log);
      }
    }
    return true;
  }

  /** Folds some stored lines of a history; with the last of all, it is settled what lists show. @returns how far it is built */
  async #buildSome(machine: string, log: string): Promise<number> {
    const { db } = this.#options;
    let fold: HistoryFold | undefined;
    const built = await db.transaction().execute(async (tx) => {
      await takeMachine(tx, machine);
      const rows = await historiesOf(tx, machine);
      const row = rows.find((one) => one.log === log);
      if (row === undefined || row.built >= row.through) return row?.through ?? Infinity;
      const from = Math.max(row.built, row.first_seq - 1) + 1;
      const lines = await linesOf(tx, rows, row, from, Math.min(row.through, from + BUILD_AT_ONCE - 1));
      const last = lines.at(-1);
      if (last === undefined) throw new RecorderError('damaged_log', `entry ${from} of ${machine} is not stored`);
      fold = await this.#foldOf(tx, row);
      await this.#fold(
        tx,
        row,
        fold,
        lines.map(({ line }) => readEntry(line)),
        rows.length === 1,
      );
      const isLast = last.seq >= row.through && rows.every((one) => one === row || one.built >= one.through);
      if (isLast) await settleCurrent(tx, machine);
      return last.seq;
    });
    if (fold !== undefined) this.#folds.put(machine, log, fold);
    return built;
  }

  async #storeIn(
    tx: Tx,
    batch: Batch,
    sealed: string | null,
    ahead: LinesRead | undefined,
    taken: [string, HistoryFold][],
  ): Promise<'unbuilt' | { readonly stored: Omit<Stored, 'wait'>; readonly divergence: Divergence | undefined }> {
    const { machine, log } = batch;
    const rows = await historiesOf(tx, machine);
    if (rows.some(({ built, through }) => built < through)) return 'unbuilt';
    const known = rows.filter(({ identity }) => identity === log);
    const wasLost = (known[0]?.key_lost_from ?? null) !== null;
    const { lines, keys } =
      ahead !== undefined && ahead.sealed === sealed && ahead.wasLost === wasLost
        ? ahead
        : this.#read(batch, sealed, wasLost, known[0]);
    this.#readingAhead.note(batch, sealed, keys);
    this.#requireOwn(batch, lines);
    const place =
      known.length === 0 ? this.#begin(batch, lines, rows) : await this.#find(tx, batch, lines, rows, known);
    const { row, fresh, divergence } = place;
    const isNew = place.isNew === true;
    if (isNew) await insertLog(tx, row);
    if (divergence !== undefined) await this.#switch(tx, row, rows, divergence, place.detail ?? {});
    if (isNew && row.built < row.through) {
      // The read models of the entries that it shares with the history that it has left come first, and then these.
      await insertEntries(tx, row, fresh, batch.body);
      if (fresh.length > 0) await advance(tx, row, fresh, batch, keys);
      const { through, hash } = headAfter(row, fresh);
      return { stored: { machine, log, through, hash, stored: fresh.length, ...diverged(divergence) }, divergence };
    }
    if (fresh.length > 0) {
      const fold = await this.#foldOf(tx, row);
      taken.push([row.log, fold]);
      const entries = fresh.map(({ entry }) => entry);
      await restoreMissing(tx, row, fold, entries);
      // The database stores the lines while they are folded.
      await sideBySide([
        () => insertEntries(tx, row, fresh, batch.body),
        () => this.#take(tx, row, fold, entries, true),
      ]);
      await advance(tx, row, fresh, batch, keys);
      if (divergence !== undefined) await settleCurrent(tx, machine);
      else if (rows.length + Number(isNew) > 1) await settleCurrent(tx, machine, idsIn(fresh));
      const anchor = await anchorIfDue(tx, this.#options, row, fold);
      const stored = { machine, log, through: fold.through, hash: fold.hash, stored: fresh.length };
      return { stored: { ...stored, ...(anchor && { anchor }), ...diverged(divergence) }, divergence };
    }
    if (!isNew && batch.entries !== undefined && batch.entries !== row.entries && batch.entries >= row.through)
      await tx
        .updateTable('logs')
        .set({ entries: batch.entries })
        .where('machine', '=', machine)
        .where('log', '=', row.log)
        .execute();
    const fold = isNew ? undefined : await this.#foldOf(tx, row);
    if (fold !== undefined) taken.push([row.log, fold]);
    const anchor = fold && (await anchorIfDue(tx, this.#options, row, fold));
    const stored = { machine, log, through: row.through, hash: row.hash, stored: 0 };
    return { stored: { ...stored, ...(anchor && { anchor }), ...diverged(divergence) }, divergence };
  }

  /**
   * Takes the machine's row, and notes that it was heard and what it sends. All processes count there, by the clock of the
   * database; what is refused is not stored, and counts in the process that refuses it.
   * @throws RecorderError `unauthenticated` when it is not enrolled, or not any more; `quota_exceeded`
   */
  async #lockMachine(
    tx: Tx,
    { machine, body }: Batch,
    entries: number,
  ): Promise<{ readonly audit_key_sealed: string | null; readonly wait: number }> {
    const { quota = UNLIMITED } = this.#options;
    const share = shareOf(quota, entries, body.length);
    // Further than one batch the quota is used up only where the clock was set back: then it is whole again.
    const longest = shareOf(quota, MOST_LINES, MOST_BYTES);
    const { rows } = await sql<{ audit_key_sealed: string | null; wait: number }>`
      UPDATE machines SET heard_at = clock_timestamp(), sent_until = ${milliseconds(share)}
        + CASE WHEN sent_until <= clock_timestamp() + ${milliseconds(longest)}
          THEN greatest(sent_until, clock_timestamp() - ${milliseconds(BURST)})
          ELSE clock_timestamp() - ${milliseconds(BURST)} END
      WHERE machine = ${machine} AND revoked_at IS NULL
      RETURNING audit_key_sealed, (extract(epoch FROM sent_until - clock_timestamp()) * 1000)::float8 AS wait`.execute(
      tx,
    );
    const [row] = rows;
    if (row === undefined) throw new RecorderError('unauthenticated', `the machine ${machine} is not enrolled`);
    if (row.wait > share) throw tooMuch(row.wait - share);
    return row;
  }

  /** @throws OthersLog for a log that holds an anchor which this fleet has signed for another machine */
  #requireOwn({ machine, log, formerly }: Batch, lines: readonly ReceivedLine[]): void {
    for (const { seq, entry } of lines) {
      if (entry.event !== 'log.anchored' || entry.data.machine === machine) continue;
      const anchor = anchorBy(this.#options.signer, entry.data.anchor);
      if (anchor === undefined || anchor.log !== log || anchor.machine === machine) continue;
      if (formerly?.has(anchor.machine) !== true) throw new OthersLog(anchor.machine, seq);
    }
  }

  /**
   * A machine that was revoked may have been enrolled again under another name, and goes on with its log.
   * @returns the batch, which may be taken as far as that is so
   * @throws RecorderError `conflict`
   */
  async #renamed(batch: Batch, { other, seq }: OthersLog): Promise<Batch> {
    const { machine, log, formerly = [] } = batch;
    const { rows } = await sql`
      SELECT 1 FROM machines WHERE machine = ${other} AND revoked_at IS NULL`.execute(this.#options.db);
    if (rows.length === 0) return { ...batch, formerly: new Set([...formerly, other]) };
    // Its name is not said: whoever sends this may not know it.
    const message =
      `entry ${seq} is an anchor of this fleet for another machine, so this is the log of that one; ` +
      'if it has this name now, revoke the other';
    throw conflict('wrong_machine', message, { machine, log });
  }

  /** Where a log begins that the fleet does not have. */
  #begin(
    { machine, log, from, first, entries }: Batch,
    lines: readonly ReceivedLine[],
    rows: readonly LogRow[],
  ): Place {
    const [line] = lines;
    const expected = { log, from: 1, prev_hash: '' };
    if (rows.length >= MOST_HISTORIES) throw conflict('diverged', TOO_MANY, expected);
    const isArchivedBefore = from > 1 && first === from;
    if (line === undefined || (from !== 1 && !isArchivedBefore)) {
      const found = line === undefined ? 'there is none in this batch' : `not ${from}`;
      throw conflict('unexpected_from', `the fleet has nothing of this log: begin with entry 1, ${found}`, expected);
    }
    if (from === 1 && line.entry.entry_hash !== log) {
      const message = `entry 1 has another hash, so it is of another log: ${line.entry.entry_hash}`;
      throw conflict('other_log', message, { ...expected, log: line.entry.entry_hash });
    }
    const left = rows.find(({ active }) => active);
    const name = historyName(log, rows);
    const row: LogRow = {
      ...NEW_LOG,
      machine,
      log: name,
      identity: log,
      ordinal: (rows[0]?.ordinal ?? 0) + 1,
      first_seq: from,
      through: from - 1,
      built: from - 1,
      hash: line.entry.prev_hash,
      entries: entries ?? lines.at(-1)!.seq,
    };
    if (left === undefined) return { row, fresh: lines, isNew: true };
    const divergence: Divergence = { why: 'new_log', first_differing_seq: from, history: name, left: left.log };
    return { row, fresh: lines, isNew: true, divergence };
  }

  /** The history that a batch continues, or the one that it opens. */
  async #find(
    tx: Tx,
    batch: Batch,
    lines: readonly ReceivedLine[],
    rows: readonly LogRow[],
    known: readonly LogRow[],
  ): Promise<Place> {
    const { log, from, entries, heard, arrived } = batch;
    const [latest] = known as [LogRow];
    const first = lines[0];
    if (first?.seq === 1 && first.entry.entry_hash !== log) {
      const message = `entry 1 has another hash, so it is of another log: ${first.entry.entry_hash}`;
      throw conflict('other_log', message, { log, from: 1, prev_hash: '' });
    }
    const opens = (base: LogRow, at: number, why: 'rewritten' | 'cut', kept?: string): Place => {
      if (rows.length >= MOST_HISTORIES) throw conflict('diverged', TOO_MANY, expectedAfter(log, latest));
      const name = historyName(log, rows);
      const fresh = lines.filter(({ seq }) => seq >= at);
      const row: LogRow = {
        ...NEW_LOG,
        machine: base.machine,
        log: name,
        identity: log,
        ordinal: rows[0]!.ordinal + 1,
        first_seq: base.first_seq,
        through: at - 1,
        // The prefix that both share has to be folded first.
        built: base.first_seq - 1,
        hash: '',
        entries: entries ?? at - 1 + fresh.length,
        diverged_from: base.log,
        diverged_at_seq: at,
      };
      const divergence: Divergence = { why, first_differing_seq: at, history: name, left: base.log };
      const found = fresh[0];
      const detail = {
        held_through: base.through,
        kept: kept === undefined ? null : { seq: at, hash: kept },
        found: found === undefined ? null : { seq: at, hash: found.entry.entry_hash },
      };
      return { row, fresh, isNew: true, divergence, detail };
    };
    const withHash = async (place: Place, base: LogRow): Promise<Place> => {
      const { row } = place;
      const [line] = row.through < base.first_seq ? [] : await linesOf(tx, rows, base, row.through, row.through);
      const hash = line === undefined ? '' : (JSON.parse(line.line) as Entry).entry_hash;
      return { ...place, row: { ...row, hash } };
    };
    let differing: { readonly row: LogRow; readonly at: number; readonly kept: string } | undefined;
    let isUnlinked = false;
    for (const row of known) {
      const relation = await relationTo(tx, rows, row, from, lines);
      if (relation.kind === 'continues') {
        const isLatest = row === latest;
        if (isLatest) {
          const end = Math.max(entries ?? 0, from + lines.length - 1);
          const isCut =
            relation.fresh.length === 0 && entries !== undefined && end < row.through && end >= row.first_seq;
          const isSure =
            heard === undefined
              ? (row.idle_ms ?? 0) - (this.#options.clock.monotonic() - arrived) > SURE_AFTER
              : heard <= row.through && heard > end;
          if (isCut && isSure) {
            const [kept] = await linesOf(tx, rows, row, end + 1, end + 1);
            return withHash(opens(row, end + 1, 'cut', kept && (JSON.parse(kept.line) as Entry).entry_hash), row);
          }
          const active = rows.find((one) => one.active);
          if (active === row || active === undefined) return { row, fresh: relation.fresh };
          return {
            row,
            fresh: relation.fresh,
            ...(relation.fresh.length > 0 && { divergence: returned(row, active) }),
          };
        }
        // A late copy of what an earlier history has says nothing; one that goes on is that history come back.
        return relation.fresh.length === 0
          ? { row, fresh: [] }
          : { row, fresh: relation.fresh, divergence: returned(row, latest) };
      } else if (relation.kind === 'differs') {
        if (differing === undefined || relation.at > differing.at) differing = { row, ...relation };
      } else if (relation.kind === 'unlinked') isUnlinked = true;
    }
    if (differing !== undefined) {
      const { row, at, kept } = differing;
      return withHash(opens(row, at, 'rewritten', kept), row);
    }
    if (isUnlinked && from > latest.first_seq) {
      const back = Math.max(latest.first_seq, from - LOOK_BACK);
      const [before] = back === 1 ? [] : await linesOf(tx, rows, latest, back - 1, back - 1);
      const expected = {
        log,
        from: back,
        prev_hash: before === undefined ? '' : (JSON.parse(before.line) as Entry).entry_hash,
      };
      const message = `entry ${from} does not follow entry ${from - 1} that the fleet holds; send from entry ${back} to find the first that differs`;
      throw conflict('diverged', message, expected);
    }
    if (isUnlinked)
      throw conflict('other_log', `entry ${from} is not the first of this log`, expectedAfter(log, latest));
    const message = `entries up to ${latest.through} are here, and these begin with ${from}`;
    throw conflict('unexpected_from', message, expectedAfter(log, latest));
  }

  /** Makes a history the one that the machine goes on with, and raises the fleet incident. */
  async #switch(tx: Tx, row: LogRow, rows: readonly LogRow[], divergence: Divergence, detail: object): Promise<void> {
    const { machine, log } = row;
    const ordinal = (rows[0]?.ordinal ?? 0) + 1;
    await tx
      .updateTable('logs')
      .set({ active: false })
      .where('machine', '=', machine)
      .where('log', '<>', log)
      .execute();
    await tx
      .updateTable('logs')
      .set({ active: true, ordinal })
      .where('machine', '=', machine)
      .where('log', '=', log)
      .execute();
    await markAll(tx, machine);
    await countLeft(tx, machine);
    // The incidents of a history that comes back are members of campaigns with this history again.
    await tx.deleteFrom('campaign_progress').where('machine', '=', machine).where('log', '=', log).execute();
    const id = divergence.why === 'returned' ? `log_diverged:${log}:returned` : `log_diverged:${log}`;
    const all = JSON.stringify({ ...divergence, log: row.identity, ...detail, times: 1 });
    await sql`
      INSERT INTO fleet_incidents (machine, id, kind, opened_at, detail)
      VALUES (${machine}, ${id}, 'log_diverged', clock_timestamp(), ${all}::jsonb)
      ON CONFLICT (machine, id) DO UPDATE SET closed_at = NULL,
        detail = jsonb_set(excluded.detail, '{times}', to_jsonb((fleet_incidents.detail->>'times')::int + 1))`.execute(
      tx,
    );
  }

  /** What the entries of a history have made so far. */
  async #foldOf(tx: Tx, row: LogRow): Promise<HistoryFold> {
    const { machine, log, first_seq } = row;
    const known = this.#folds.take(machine, log);
    const built = Math.max(row.built, first_seq - 1);
    if (known !== undefined && known.through === built && (built < row.through || known.hash === row.hash))
      return known;
    const postures = await tx
      .selectFrom('posture')
      .select(['action', 'document'])
      .where('machine', '=', machine)
      .where('log', '=', log)
      .execute();
    const silences = await tx
      .selectFrom('silences')
      .select('silence')
      .where('machine', '=', machine)
      .where('log', '=', log)
      .orderBy('seq')
      .execute();
    return new HistoryFold({
      through: built,
      hash: built === row.through ? row.hash : '',
      range: JSON.parse(row.range) as WrittenRange,
      posture: new Map(postures.map(({ action, document }) => [action, JSON.parse(document) as ActionPosture])),
      silences: silences.map(({ silence }) => JSON.parse(silence) as SilenceOnRecord),
      hasGap: first_seq > 1,
    });
  }

  /** Reads the lines of a batch. @throws RecorderError `conflict`, `too_large` */
  #read(batch: Batch, sealed: string | null, wasLost: boolean, row: LogRow | undefined): Omit<LinesRead, 'sealed'> {
    const hashes = sealed === null ? [] : this.#options.unseal(sealed).map((key) => chainHash(key));
    const keys = { hashes, isLost: wasLost };
    return { lines: readLines(batch, keys, row), keys, wasLost };
  }

  async #fold(tx: Tx, row: LogRow, fold: HistoryFold, entries: readonly Entry[], isCurrent: boolean): Promise<void> {
    await restoreMissing(tx, row, fold, entries);
    await this.#take(tx, row, fold, entries, isCurrent);
  }

  /** Folds entries, and writes what they have changed. @param isCurrent whether lists show the incidents of this history */
  async #take(tx: Tx, row: LogRow, fold: HistoryFold, entries: readonly Entry[], isCurrent: boolean): Promise<void> {
    const changes = fold.take(entries);
    await writeChanges(tx, row, fold, changes, isCurrent);
    const { recorded } = changes;
    await sql`
      UPDATE logs SET built = ${fold.through}, range = ${JSON.stringify(fold.range)}, unread = unread + ${changes.unread},
        recorded_seq = coalesce(${recorded?.seq ?? null}::bigint, recorded_seq),
        recorded_at = coalesce(${recorded?.at ?? null}::timestamptz, recorded_at)
      WHERE machine = ${row.machine} AND log = ${row.log}`.execute(tx);
  }
}

/** Reads incidents that entries are about and that the fold does not have. */
async function restoreMissing(tx: Tx, row: LogRow, fold: HistoryFold, entries: readonly Entry[]): Promise<void> {
  const missing = fold.missing(entries);
  if (missing.length > 0) fold.restore(await incidentsOf(tx, row, missing));
}

/** As many digits of a log's identity as tell the logs of one machine apart. */
const NAME_DIGITS = 12;

/** A name for a new history: short, as every row and every index has it. */
function historyName(log: string, rows: readonly LogRow[]): string {
  const short = log.slice(0, NAME_DIGITS);
  for (let count = 1; ; count++) {
    const name = count === 1 ? short : `${short}~${count}`;
    if (!rows.some((row) => row.log === name)) return name;
  }
}

interface Place {
  readonly row: LogRow;
  /** The lines that are to be stored. */
  readonly fresh: readonly ReceivedLine[];
  readonly isNew?: true;
  readonly divergence?: Divergence;
  readonly detail?: object;
}

const EMPTY_RANGE = JSON.stringify(CompactRange.empty());

const NEW_LOG = {
  active: true,
  range: EMPTY_RANGE,
  first_at: null,
  last_at: null,
  advanced_at: null,
  anchored_seq: null,
  anchored_at: null,
  anchor: null,
  recorded_seq: null,
  recorded_at: null,
  unverified_from: null,
  key_lost_from: null,
  unread: 0,
  diverged_from: null,
  diverged_at_seq: null,
  idle_ms: null,
} as const;

const TOO_MANY = `this machine has ${MOST_HISTORIES} histories already; look at its fleet incidents`;

const returned = (row: LogRow, left: LogRow): Divergence => ({
  why: 'returned',
  first_differing_seq: row.through + 1,
  history: row.log,
  left: left.log,
});

const diverged = (divergence: Divergence | undefined) => (divergence === undefined ? {} : { diverged: divergence });

function divergenceOf({ log, diverged_from, diverged_at_seq }: LogRow): Divergence | undefined {
  if (diverged_from === null || diverged_at_seq === null) return undefined;
  return { why: 'rewritten', first_differing_seq: diverged_at_seq, history: log, left: diverged_from };
}

/** An anchor that this fleet has signed; undefined for anything else. */
function anchorBy(signer: Signer, note: unknown): Anchor | undefined {
  if (typeof note !== 'string') return undefined;
  try {
    return readAnchor(note, [signer]);
  } catch (error) {
    if (error instanceof RecorderError) return undefined;
    throw error;
  }
}

const conflict = (code: string, message: string, expected: object): RecorderError =>
  new RecorderError('conflict', message, { fields: { code, expected } });

const expectedAfter = (log: string, row: LogRow | undefined) =>
  row === undefined ? { log, from: 1, prev_hash: '' } : { log, from: row.through + 1, prev_hash: row.hash };

/** Whether another transaction was faster: a distributed database says so instead of waiting. */
const isLostRace = (error: unknown): boolean => {
  const { code } = error as { readonly code?: unknown };
  return code === '40001' || code === '40P01' || code === '23505';
};

/** An interval of so many milliseconds. */
const milliseconds = (count: number): RawBuilder<unknown> => sql`${count}::float8 * interval '1 millisecond'`;

/** Takes the machine's row for work of the fleet's own: nothing was heard of it. @throws RecorderError `not_found` */
async function takeMachine(tx: Tx, machine: string): Promise<void> {
  const { rows } = await sql`SELECT machine FROM machines WHERE machine = ${machine} FOR UPDATE`.execute(tx);
  if (rows.length === 0) throw new RecorderError('not_found', `the fleet knows no machine ${machine}`);
}

/** @throws RecorderError `conflict` for lines that are no entries or do not link */
function readLines({ body, from, log }: Batch, keys: Keys, row: LogRow | undefined): readonly ReceivedLine[] {
  try {
    return readReceived(body, from, keys);
  } catch (error) {
    if (!(error instanceof LineFault)) throw error;
    throw conflict('broken_chain', error.message, expectedAfter(log, row));
  }
}

const insertLog = async (tx: Tx, { idle_ms: _, ...row }: LogRow): Promise<void> => {
  await tx.insertInto('logs').values(row).execute();
};

const headAfter = (
  row: LogRow,
  fresh: readonly ReceivedLine[],
): { readonly through: number; readonly hash: string } => {
  const last = fresh.at(-1);
  return last === undefined ? row : { through: last.seq, hash: last.entry.entry_hash };
};

/** Notes how far a history goes now. */
async function advance(
  tx: Tx,
  row: LogRow,
  fresh: readonly ReceivedLine[],
  batch: Batch,
  { isLost }: Keys,
): Promise<void> {
  const [first, last] = [fresh[0]!, fresh.at(-1)!];
  const unverified = fresh.find(({ verified }) => !verified)?.seq ?? null;
  const lost = isLost ? (row.key_lost_from ?? unverified) : null;
  await sql`
    UPDATE logs SET through = ${last.seq}, hash = ${last.entry.entry_hash}, last_at = ${last.entry.timestamp}::timestamptz,
      first_at = coalesce(first_at, ${first.entry.timestamp}::timestamptz), advanced_at = greatest(clock_timestamp(), advanced_at),
      entries = ${Math.max(batch.entries ?? 0, last.seq)}, unverified_from = coalesce(unverified_from, ${unverified}::bigint),
      key_lost_from = ${lost}::bigint
    WHERE machine = ${row.machine} AND log = ${row.log}`.execute(tx);
}

async function incidentsOf(
  tx: Tx,
  { machine, log }: LogRow,
  ids: readonly string[],
): Promise<readonly StoredIncident[]> {
  const { rows } = await sql<StoredIncident>`
    SELECT i.id, i.number, i.decisive, i.carried, d.context, d.document
    FROM incidents i JOIN documents d ON d.machine = i.machine AND d.log = i.log AND d.id = i.id
    WHERE i.machine = ${machine} AND i.log = ${log} AND i.id = ANY(${ids}::text[])`.execute(tx);
  return rows;
}

const idsIn = (lines: readonly ReceivedLine[]): readonly string[] => [
  ...new Set(lines.flatMap(({ entry }) => incidentOf(entry) ?? [])),
];

/**
 * Decides which incidents of a machine lists show, where it has several histories: each once, from the latest history that
 * has it. So nothing vanishes that only a history shows which the machine has left.
 * @param ids only these
 */
async function settleCurrent(tx: Tx, machine: string, ids?: readonly string[]): Promise<void> {
  if (ids === undefined) await markAll(tx, machine);
  const only = ids === undefined ? sql`` : sql`AND old.id = ANY(${ids}::text[])`;
  const { rows } = await sql<{ created_at: Date }>`
    UPDATE incidents AS old SET current = (ranked.place = 1)
    FROM (
      SELECT incidents.log, incidents.id,
        row_number() OVER (PARTITION BY incidents.id ORDER BY logs.ordinal DESC) AS place
      FROM incidents JOIN logs ON logs.machine = incidents.machine AND logs.log = incidents.log
      WHERE incidents.machine = ${machine} ${ids === undefined ? sql`` : sql`AND incidents.id = ANY(${ids}::text[])`}
    ) AS ranked
    WHERE old.machine = ${machine} AND old.log = ranked.log AND old.id = ranked.id ${only}
      AND old.current <> (ranked.place = 1)
    RETURNING old.created_at`.execute(tx);
  if (ids === undefined || rows.length > 0) await countLeft(tx, machine);
  if (ids === undefined) return;
  // What a batch has changed is marked with it; the same incident in another history may have been created at another time.
  const created = rows.map(({ created_at: at }) => at.getTime());
  await markChanged(tx, { machine, log: '' }, { activity: [], created });
}
