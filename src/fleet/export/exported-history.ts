/**
 * One history of a machine's log as exports read it: its entries, those before it left another history among them, and
 * what the fleet knows about it.
 */
import { sql } from 'kysely';
import { claimedAnchor } from '../../anchor.ts';
import type { ChainHash } from '../../audit/chain-hash.ts';
import { CompactRange, type WrittenRange } from '../../audit/compact-range.ts';
import type { Turn } from '../../audit/log-reader.ts';
import type { BundledAnchorNote, LogHead } from '../../bundle/bundle-writer.ts';
import type { BundledMachine } from '../../bundle/format.ts';
import type { Entry } from '../../domain/entries.ts';
import { found, RecorderError } from '../../errors.ts';
import type { FleetDatabase } from '../database.ts';
import { historiesOf, type LogRow } from '../ingest/histories.ts';
import { hashOfLine } from '../ingest/received-lines.ts';

/** How many lines are read in one query, and how many bytes of them. */
const PAGE = 200;
const PAGE_BYTES = 1024 * 1024;

/** The entries of the history that are stored under one history's name. */
interface Stretch {
  readonly row: LogRow;
  readonly from: number;
  readonly to: number;
}

export interface StoredLine {
  readonly seq: number;
  readonly line: string;
}

export class ExportedHistory {
  readonly machine: string;
  /** The history itself. */
  readonly row: LogRow;
  readonly #db: FleetDatabase;
  /** From the first entry to the last. */
  readonly #stretches: readonly Stretch[];

  private constructor(db: FleetDatabase, row: LogRow, stretches: readonly Stretch[]) {
    this.#db = db;
    this.machine = row.machine;
    this.row = row;
    this.#stretches = stretches;
  }

  /**
   * Reads how far a history goes now.
   * @param log its name
   * @throws RecorderError `not_found`
   */
  static async read(db: FleetDatabase, machine: string, log: string): Promise<ExportedHistory> {
    const rows = await historiesOf(db, machine);
    const row = found(
      rows.find((one) => one.log === log),
      'the log of the machine',
    );
    return new ExportedHistory(db, row, stretchesOf(rows, row, row.first_seq, row.through));
  }

  get first(): number {
    return this.row.first_seq;
  }

  get head(): LogHead {
    return { seq: this.row.through, entry_hash: this.row.hash };
  }

  /** The root over the hashes of its entries, lower-case hex; undefined while its read models are made again. */
  get root(): string | undefined {
    const { through, first_seq, range } = this.row;
    const read = CompactRange.read(JSON.parse(range) as WrittenRange);
    return read?.size === through - first_seq + 1 ? read.root().toString('hex') : undefined;
  }

  /** The first entry whose hash the fleet has not verified; null where it has verified all. */
  get unverifiedFrom(): number | null {
    const places = this.#stretches.flatMap(({ row: { unverified_from, key_lost_from }, to }) =>
      [unverified_from, key_lost_from].filter((seq) => seq !== null && seq <= to),
    ) as number[];
    return places.length === 0 ? null : Math.min(...places);
  }

  /** What an export says about it. */
  get described(): BundledMachine {
    const { machine: name, log: history, active, diverged_from: from, diverged_at_seq: at_seq } = this.row;
    const unverified_from = this.unverifiedFrom;
    return {
      name,
      history,
      standing: active ? 'current' : 'left',
      diverged: from === null || at_seq === null ? null : { from, at_seq },
      hashes: unverified_from === null ? 'verified' : 'unverified',
      unverified_from,
    };
  }

  /** The last anchor that the fleet has signed for it, or for the part of another history that it goes on from. */
  get anchor(): BundledAnchorNote | undefined {
    const signed = this.#stretches.filter(
      ({ row: { anchor, anchored_seq: seq }, to }) => anchor !== null && seq !== null && seq >= this.first && seq <= to,
    );
    const note = signed.at(-1)?.row.anchor;
    if (note === undefined || note === null) return undefined;
    const { seq, machine, time, root } = claimedAnchor(note);
    return { anchored_seq: seq, anchor: note, machine, time, root };
  }

  /** How its last entry is chained. @throws RecorderError `conflict` for a way that no recorder has */
  async algorithm(): Promise<ChainHash['algorithm']> {
    const [last] = await this.lines(this.row.through, this.row.through);
    const { algorithm } = JSON.parse(found(last).line) as Entry;
    if (algorithm === 'hmac-sha256' || algorithm === 'sha256') return algorithm;
    throw new RecorderError('conflict', `the log of ${this.machine} is chained with ${algorithm}, as no recorder does`);
  }

  /** Some lines from one entry on: at most `PAGE`, and about `PAGE_BYTES` of them. @param incident only those about it */
  async lines(from: number, to: number, incident?: string): Promise<readonly StoredLine[]> {
    for (const { row, from: begin, to: end } of this.#stretches) {
      if (end < from || begin > to) continue;
      const { rows } = await sql<StoredLine>`
        SELECT p.seq, p.line FROM (
          SELECT e.seq, e.line, sum(octet_length(e.line)) OVER (ORDER BY e.seq) - octet_length(e.line) AS before
          FROM (
            SELECT seq, line FROM entries
            WHERE machine = ${this.machine} AND log = ${row.log}
              AND seq >= ${Math.max(from, begin)} AND seq <= ${Math.min(to, end)}
              ${incident === undefined ? sql`` : sql`AND incident = ${incident}`}
            ORDER BY seq LIMIT ${sql.lit(PAGE)}
          ) AS e
        ) AS p WHERE p.before < ${sql.lit(PAGE_BYTES)} ORDER BY p.seq`.execute(this.#db);
      if (rows.length > 0) return rows;
    }
    return [];
  }

  /** How long the lines from one on are as JSON strings with a comma each, in bytes; the last line first. */
  async sizes(from: number): Promise<readonly { readonly size: number }[]> {
    const sizes: { readonly size: number }[] = [];
    for (const { row, from: begin, to: end } of this.#stretches.toReversed()) {
      if (end < from) continue;
      const { rows } = await sql<{ size: number }>`
        SELECT octet_length(to_json(line)::text) + 1 AS size FROM entries
        WHERE machine = ${this.machine} AND log = ${row.log} AND seq >= ${Math.max(from, begin)} AND seq <= ${end}
        ORDER BY seq DESC`.execute(this.#db);
      sizes.push(...rows);
    }
    return sizes;
  }

  /** The hashes of all entries from one to another, lower-case hex. @throws RecorderError `damaged_log` where one is missing */
  async hashes(from: number, to: number): Promise<readonly string[]> {
    const hashes: string[] = [];
    for (const { row, from: begin, to: end } of this.#stretches) {
      if (end < from || begin > to) continue;
      // By bytes: the database takes four times as long to count characters, and 0.3 ms a line for a regular expression.
      const { rows } = await sql<{ seq: number; tail: Uint8Array }>`
        SELECT seq, substring(convert_to(line, 'UTF8') FROM octet_length(line) - ${sql.lit(TAIL - 1)}) AS tail FROM entries
        WHERE machine = ${this.machine} AND log = ${row.log}
          AND seq >= ${Math.max(from, begin)} AND seq <= ${Math.min(to, end)} ORDER BY seq`.execute(this.#db);
      for (const { seq, tail } of rows)
        hashes.push(HASH.exec(Buffer.from(tail).toString('latin1'))?.[1] ?? (await this.#hashOf(seq)));
    }
    if (hashes.length === to - from + 1) return hashes;
    throw new RecorderError('damaged_log', `entries of ${this.machine} from ${from} to ${to} are not in the database`);
  }

  /** The hash of an entry that is spelt as no recorder spells it. */
  async #hashOf(seq: number): Promise<string> {
    const [line] = await this.lines(seq, seq);
    return hashOfLine(found(line).line);
  }

  /** Reads the lines about an incident, from behind a version on, in pages. */
  readerOf(incident: string): (after: number, turn: Turn) => Promise<Lines> {
    let last = { version: 0, seq: 0 };
    return async (after, turn) => {
      let { version, seq } = last.version <= after ? last : { version: 0, seq: 0 };
      for (;;) {
        await turn();
        const page = await this.lines(seq + 1, this.row.through, incident);
        const lines: string[] = [];
        for (const { seq: at, line } of page) {
          seq = at;
          const own = versionOf(line);
          // What a machine has written may be no history: each version counts once.
          if (own === undefined || own <= version) continue;
          version = own;
          if (own > after) lines.push(line);
        }
        last = { version, seq };
        if (page.length === 0) return { lines };
        if (lines.length > 0) return { lines, next: version };
      }
    };
  }
}

interface Lines {
  readonly lines: readonly string[];
  readonly next?: number;
}

/** The hash of an entry stands at the end of its line, as recorders write it: in so many bytes. */
const TAIL = 128;
const HASH = /"entry_hash":"([0-9a-f]{64})","algorithm":"[a-z0-9-]+"\}$/;

function stretchesOf(rows: readonly LogRow[], row: LogRow, from: number, to: number): readonly Stretch[] {
  const { diverged_from: left, diverged_at_seq: at } = row;
  const base = left === null ? undefined : rows.find(({ log }) => log === left);
  const before = base === undefined || at === null ? [] : stretchesOf(rows, base, from, Math.min(to, at - 1));
  const own = { row, from: Math.max(from, at ?? from), to };
  return own.from <= own.to ? [...before, own] : before;
}

function versionOf(line: string): number | undefined {
  const { data } = JSON.parse(line) as { readonly data?: { readonly version?: unknown } };
  const version = data?.version;
  return typeof version === 'number' && Number.isSafeInteger(version) && version > 0 ? version : undefined;
}
