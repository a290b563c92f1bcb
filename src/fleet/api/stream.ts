/**
 * The entries of all machines as Server-Sent Events, as they come.
 *
 * One poller asks the index of the logs which have advanced, four times a second, and reads what is new of these: so it costs the
 * same whatever the number of entries. It knows how far it has read each log. A new reader begins there.
 *
 * A reader that comes back names its place: see `stream-place.ts`.
 */
import type { Context } from 'koa';
import type { ServerResponse } from 'node:http';
import { sql } from 'kysely';
import { SEVERITIES } from '../../../machines/vocabulary.ts';
import type { EventFilter } from '../../api/events/event-filter.ts';
import type { ApiRoute } from '../../api/middleware/routing.ts';
import { filtersOfKinds } from '../../api/request/fields.ts';
import { validate } from '../../api/request/validate.ts';
import { type Clock, MINUTE, SECOND } from '../../clock.ts';
import { shownLine } from '../../domain/withheld.ts';
import { RecorderError } from '../../errors.ts';
import * as z from 'zod/mini';
import { CampaignNews } from '../campaign-news.ts';
import type { FleetDatabase } from '../database.ts';
import { campaignsFor, type ShownCampaign } from './campaigns.ts';
import type { FleetDependencies } from './dependencies.ts';
import { parameters } from './one-incident.ts';
import { anyText, time } from './list-filter.ts';
import { type Reading, readingIn, stillReads } from './reading.ts';
import { scopeOf } from './scope.ts';
import { keyOf, OVERLAP, timeOfNewPlace, readStreamPlace, type StreamPlace, writeStreamPlace } from './stream-place.ts';

const POLL_EVERY = SECOND / 4;
const BEAT_EVERY = 15 * SECOND;
/** How often campaigns are looked at. */
const CAMPAIGNS_EVERY = SECOND;
/** How far back a reader may go on from. */
const LONGEST_ABSENCE = 24 * 60 * MINUTE;
const MOST_STREAMS = 256;
/** How many bytes may wait for a reader, and after how many milliseconds one that was cut off comes back. */
const MOST_WAITING = 4 * 1024 * 1024;
const RETRY = 2 * SECOND;
/** How long a reader that catches up may take to read a page, in milliseconds. */
const PATIENCE = MINUTE;
/** How many entries are read in one query. */
const PAGE = 1000;
/** With more logs than this that have advanced lately, a place comes at the end of a turn and not with each event. */
const MOST_IN_EACH = 16;

interface Advanced {
  readonly machine: string;
  readonly log: string;
  readonly through: number;
  readonly advanced_at: Date | null;
}

interface StoredLine {
  readonly machine: string;
  readonly log: string;
  readonly seq: number;
  readonly event: string;
  readonly incident: string | null;
  readonly line: string;
}

interface Reader {
  readonly response: ServerResponse;
  readonly reading: Reading;
  /** Those that it sees; undefined for all. */
  machines: ReadonlySet<string> | undefined;
  readonly filter: EventFilter;
  readonly isEntitled: () => boolean;
  /** Which machines it sees now: one may have been enrolled meanwhile. */
  readonly scopeNow: () => Promise<readonly string[] | undefined>;
  /** What comes while it catches up; undefined when it is live. */
  waiting: (readonly StoredLine[])[] | undefined;
}

export class FleetStreams {
  readonly #db: FleetDatabase;
  readonly #clock: Clock;
  readonly #log: FleetDependencies['log'];
  readonly #readers = new Set<Reader>();
  /** How far each log was read. */
  readonly #read = new Map<string, number>();
  /** The logs that have advanced lately: how far they were sent, and when. */
  #recent = new Map<string, { readonly machine: string; readonly seq: number; readonly at: number }>();
  /** Up to when logs were looked at, by the clock of the database; undefined before the first time. */
  #looked: number | undefined;
  #polling: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #beaten = 0;
  readonly #campaigns: CampaignNews;
  #lookedAtCampaigns = -Infinity;
  #closed = false;

  constructor({ db, clock, log }: Pick<FleetDependencies, 'db' | 'clock' | 'log'>) {
    this.#db = db;
    this.#campaigns = new CampaignNews(db);
    this.#clock = clock;
    this.#log = log;
  }

  get readers(): number {
    return this.#readers.size;
  }

  /**
   * Responds with what comes, after what came since a place.
   * @throws RecorderError `overloaded`, `stopping`, `gone` for a place that is too old
   */
  async open(
    response: ServerResponse,
    reading: Reading,
    filter: EventFilter,
    after: StreamPlace | undefined,
    isEntitled: () => boolean,
    scopeNow: () => Promise<readonly string[] | undefined>,
  ): Promise<void> {
    if (this.#closed) throw new RecorderError('stopping', 'the service is stopping');
    if (this.#readers.size >= MOST_STREAMS) {
      throw new RecorderError('overloaded', `${MOST_STREAMS} event streams are open; try again later`);
    }
    // Nobody has followed the logs for a while.
    if (this.#timer === undefined) await this.#begin();
    if (after !== undefined && this.#looked! - after.at > LONGEST_ABSENCE) {
      throw new RecorderError('gone', 'that place is more than a day old; begin again, everything may have changed');
    }
    if (response.closed) return;
    const { machines } = reading;
    const reader: Reader = {
      response,
      reading,
      machines: machines === undefined ? undefined : new Set(machines),
      filter,
      isEntitled,
      scopeNow,
      waiting: [],
    };
    const upTo = new Map(this.#read);
    this.#readers.add(reader);
    response.once('close', () => this.#readers.delete(reader));
    response.writeHead(200, { 'Content-Type': 'text/event-stream' });
    response.write(`retry: ${RETRY}\nid: ${writeStreamPlace(after ?? this.#place(reader.machines))}\n\n`);
    this.#catchUp(reader, after, upTo).catch((error: unknown) => this.#giveUp(reader, error));
  }

  /** Ends all streams. */
  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    for (const { response } of this.#readers) response.end();
    this.#readers.clear();
    await this.#polling;
  }

  async #begin(): Promise<void> {
    if (this.#polling === undefined) {
      this.#read.clear();
      this.#campaigns.reset();
      this.#looked = undefined;
      this.#polling = this.#poll().finally(() => {
        this.#polling = undefined;
      });
    }
    await this.#polling;
    if (this.#looked === undefined) throw new RecorderError('overloaded', 'the database does not answer');
    this.#schedule();
  }

  #schedule(): void {
    if (this.#timer !== undefined || this.#closed) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      if (this.#readers.size === 0) return;
      this.#polling = this.#poll().finally(() => {
        this.#polling = undefined;
        this.#schedule();
      });
    }, POLL_EVERY).unref();
  }

  /** Reads what is new, and sends it to all readers. */
  async #poll(): Promise<void> {
    try {
      const now = await timeOfNewPlace(this.#db);
      const isFirst = this.#looked === undefined;
      const advanced = await sql<Advanced>`
        SELECT machine, log, through, advanced_at FROM logs
        ${isFirst ? sql`` : sql`WHERE advanced_at >= ${time(this.#looked! - OVERLAP)}`}`.execute(this.#db);
      const isNew = !isFirst && advanced.rows.some((one) => !this.#read.has(keyOf(one)));
      if (isNew || this.#isBeat()) await this.#lookForMachines();
      for (const one of advanced.rows) {
        const key = keyOf(one);
        const known = isFirst ? one.through : (this.#read.get(key) ?? 0);
        if (one.through > known) await this.#follow(one, known);
        this.#read.set(key, one.through);
        this.#note(one, now);
      }
      for (const [key, { at }] of this.#recent) if (at < now - 2 * OVERLAP) this.#recent.delete(key);
      this.#looked = now;
      await this.#tellOfCampaigns();
      this.#finish();
    } catch (error) {
      this.#log.warn({ err: error }, 'the entries of the fleet can not be read');
    }
  }

  /** Sends readers what is new of the campaigns that they see, with no id: a reader that returns reads the list again. */
  async #tellOfCampaigns(): Promise<void> {
    if (this.#clock.monotonic() - this.#lookedAtCampaigns < CAMPAIGNS_EVERY) return;
    this.#lookedAtCampaigns = this.#clock.monotonic();
    const changes = await this.#campaigns.look();
    if (changes.length === 0) return;
    const named = changes.map(({ campaign }) => campaign);
    // Most readers see the same.
    const seen = new Map<string, ReadonlyMap<string, ShownCampaign>>();
    for (const { response, reading, machines, filter, waiting } of this.#readers) {
      if (waiting !== undefined || response.closed) continue;
      const now = { ...reading, machines: machines && [...machines] };
      const key = JSON.stringify([now.bounds, now.machines, now.reader]);
      if (!seen.has(key)) seen.set(key, await campaignsFor(this.#db, named, now));
      for (const { campaign, eventFor } of changes) {
        const event = eventFor(machines);
        const shown = seen.get(key)!.get(campaign);
        if (event === undefined || shown === undefined || !admitsCampaign(filter, shown)) continue;
        const data = { timestamp: new Date(this.#clock.now()).toISOString(), event, data: shown };
        response.write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
      }
    }
  }

  /** Remembers how far a log was sent that has advanced lately. */
  #note(one: Advanced, now: number): void {
    const { machine, through: seq, advanced_at: advanced } = one;
    if (advanced === null || advanced.getTime() < now - 2 * OVERLAP) return;
    this.#recent.delete(keyOf(one));
    this.#recent.set(keyOf(one), { machine, seq, at: advanced.getTime() });
  }

  /** Which machines their readers see now: one may have been enrolled, or have other labels. */
  async #lookForMachines(): Promise<void> {
    for (const reader of this.#readers) {
      if (reader.machines === undefined) continue;
      const machines = await reader.scopeNow();
      reader.machines = machines === undefined ? undefined : new Set(machines);
    }
  }

  /** Sends what a log has beyond an entry. */
  async #follow(one: Advanced, known: number): Promise<void> {
    for (let seq = known; seq < one.through && this.#readers.size > 0;) {
      const lines = await this.#lines(one, seq, one.through);
      if (lines.length === 0) return;
      ({ seq } = lines.at(-1)!);
      for (const reader of this.#readers) {
        if (reader.waiting === undefined) await this.#send(reader, lines, (line) => this.#placeBehind(line, reader));
        else reader.waiting.push(lines);
      }
    }
  }

  async #lines({ machine, log }: Pick<Advanced, 'machine' | 'log'>, after: number, through: number) {
    const { rows } = await sql<StoredLine>`
      SELECT e.machine, e.log, e.seq, e.event, e.incident, e.line FROM entries e
      WHERE e.machine = ${machine} AND e.log = ${log} AND e.seq > ${after} AND e.seq <= ${through}
      ORDER BY e.seq LIMIT ${PAGE}`.execute(this.#db);
    return rows;
  }

  /** After a turn: where readers are now, and heartbeats. */
  #finish(): void {
    const all = writeStreamPlace(this.#place(undefined));
    const isBeat = this.#isBeat();
    if (isBeat) this.#beaten = this.#clock.monotonic();
    for (const reader of this.#readers) {
      if (isBeat && !reader.isEntitled()) this.#cut(reader);
      else if (reader.waiting === undefined && (isBeat || reader.response.writableLength === 0)) {
        if (isBeat || this.#hasSent.has(reader)) {
          const id = reader.machines === undefined ? all : writeStreamPlace(this.#place(reader.machines));
          reader.response.write(`:\nid: ${id}\n\n`);
        }
      }
    }
    this.#hasSent.clear();
  }

  #isBeat(): boolean {
    return this.#clock.monotonic() - this.#beaten >= BEAT_EVERY;
  }

  /** The readers that have got something in this turn. */
  readonly #hasSent = new Set<Reader>();

  /** The place behind a line, while a turn is under way; undefined where that is long. */
  #placeBehind(line: StoredLine, { machines }: Pick<Reader, 'machines'>): string | undefined {
    const { at, sent } = this.#place(machines);
    if (sent.size > MOST_IN_EACH) return undefined;
    return writeStreamPlace({ at, sent: new Map([...sent, [keyOf(line), line.seq]]) });
  }

  /** The place of a reader. It says nothing of machines that the reader does not see: not how many there are. */
  #place(machines: Reader['machines']): StreamPlace {
    const at = this.#looked ?? 0;
    const sent = new Map<string, number>();
    for (const [key, { machine, seq, at: when }] of this.#recent)
      if (when >= at - OVERLAP && (machines?.has(machine) ?? true)) sent.set(key, seq);
    return { at, sent };
  }

  /** Sends what was stored since a place up to where the poller was, then what has come meanwhile. */
  async #catchUp(reader: Reader, after: StreamPlace | undefined, upTo: ReadonlyMap<string, number>): Promise<void> {
    if (after !== undefined) {
      const { rows } = await sql<Advanced>`
        SELECT machine, log, through, advanced_at FROM logs WHERE advanced_at >= ${time(after.at - OVERLAP)}
          ${reader.reading.machines === undefined ? sql`` : sql`AND machine = ${anyText(reader.reading.machines)}`}
        ORDER BY advanced_at, machine`.execute(this.#db);
      for (const one of rows) {
        const through = upTo.get(keyOf(one)) ?? 0;
        const from = after.sent.get(keyOf(one)) ?? (await this.#storedBefore(one, after.at - OVERLAP));
        for (let seq = from; seq < through && !reader.response.closed;) {
          const lines = await this.#lines(one, seq, through);
          if (lines.length === 0) break;
          ({ seq } = lines.at(-1)!);
          await this.#send(reader, lines);
          await drained(reader.response);
        }
      }
    }
    while (reader.waiting !== undefined) {
      const lines = reader.waiting.shift();
      if (lines === undefined) reader.waiting = undefined;
      else await this.#send(reader, lines);
    }
    this.#hasSent.add(reader);
  }

  /** The last entry of a log that was stored before a time. */
  async #storedBefore({ machine, log }: Advanced, at: number): Promise<number> {
    const { rows } = await sql<{ seq: number }>`
      SELECT seq FROM entries WHERE machine = ${machine} AND log = ${log} AND stored_at < ${time(at)}
      ORDER BY seq DESC LIMIT 1`.execute(this.#db);
    return rows[0]?.seq ?? 0;
  }

  async #send(
    reader: Reader,
    lines: readonly StoredLine[],
    placeBehind: (line: StoredLine) => string | undefined = () => undefined,
  ): Promise<void> {
    const { response, reading, filter, machines } = reader;
    const own = lines.filter(({ machine }) => machines?.has(machine) ?? true);
    const passing = await this.#passing(own, filter);
    if (response.closed || passing.length === 0) return;
    response.cork();
    for (const one of passing) {
      const { machine, event, line } = one;
      const id = placeBehind(one);
      const shown = shownLine(Buffer.from(line), reading.reader).toString();
      response.write(
        `${id === undefined ? '' : `id: ${id}\n`}event: ${event}\ndata: {"machine":${JSON.stringify(machine)},${shown.slice(1)}\n\n`,
      );
    }
    response.uncork();
    this.#hasSent.add(reader);
    // While it catches up it is waited for.
    if (reader.waiting === undefined && response.writableLength > MOST_WAITING) this.#cut(reader);
  }

  /** The lines that a filter passes: those about incidents of these kinds, in the state to which the entry led. */
  async #passing(lines: readonly StoredLine[], filter: EventFilter): Promise<readonly StoredLine[]> {
    const { classes, states, severities } = filter;
    if (classes.length + states.length + severities.length === 0 || lines.length === 0) return lines;
    const about = lines.filter(({ incident, line }) => incident !== null && hasState(line, states));
    if (about.length === 0 || classes.length + severities.length === 0) return about;
    const { rows } = await sql<{ machine: string; id: string }>`
      SELECT i.machine, i.id FROM incidents i
      WHERE i.machine = ${anyText([...new Set(about.map(({ machine }) => machine))])}
        AND i.id = ${anyText([...new Set(about.map(({ incident }) => incident!))])}
        ${classes.length === 0 ? sql`` : sql`AND i.class = ${anyText(classes)}`}
        ${severities.length === 0 ? sql`` : sql`AND i.rank = ANY(${severities.map((one) => SEVERITIES.indexOf(one))}::smallint[])`}`.execute(
      this.#db,
    );
    const of = new Set(rows.map(({ machine, id }) => `${machine} ${id}`));
    return about.filter(({ machine, incident }) => of.has(`${machine} ${incident}`));
  }

  #giveUp(reader: Reader, error: unknown): void {
    this.#log.warn({ err: error }, 'an event stream can not go on');
    this.#cut(reader);
  }

  #cut(reader: Reader): void {
    this.#readers.delete(reader);
    reader.response.destroy();
  }
}

/** Whether a filter that asks for incidents of some kinds asks for a campaign of them, which has no state of its own. */
const admitsCampaign = (
  { classes, states, severities }: EventFilter,
  { class: ofClass, severity }: ShownCampaign,
): boolean =>
  states.length === 0 &&
  (classes.length === 0 || classes.some((one) => one === ofClass)) &&
  (severities.length === 0 || severities.some((one) => one === severity));

function hasState(line: string, states: readonly string[]): boolean {
  if (states.length === 0) return true;
  const { data } = JSON.parse(line) as { readonly data: { readonly state?: string } };
  return data.state !== undefined && states.includes(data.state);
}

/** Waits until a reader has taken what was sent, or has left. @throws RecorderError `overloaded` when that takes too long */
async function drained(response: ServerResponse): Promise<void> {
  if (!response.writableNeedDrain || response.closed) return;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  // What comes meanwhile waits in memory.
  const timer = setTimeout(() => reject(new RecorderError('overloaded', 'its reader does not read')), PATIENCE).unref();
  response.on('drain', resolve).on('close', resolve);
  try {
    await promise;
  } finally {
    clearTimeout(timer);
    response.off('drain', resolve).off('close', resolve);
  }
}

const streamSchema = z.strictObject({ ...filtersOfKinds() });

export const streamRoutes = (dependencies: FleetDependencies, streams: FleetStreams): readonly ApiRoute[] => [
  {
    method: 'GET',
    path: '/api/v1/events',
    handle: async (ctx) => {
      const reading = await readingIn(dependencies, ctx);
      const given = validate(streamSchema, parameters(reading), 'parameter');
      const filter = { classes: given.class ?? [], states: given.state ?? [], severities: given.severity ?? [] };
      const after = lastEventId(ctx);
      if (ctx.method === 'HEAD') {
        ctx.set('Content-Type', 'text/event-stream');
        ctx.status = 200;
        return;
      }
      await streams.open(
        ctx.res,
        reading,
        filter,
        after,
        () => stillReads(dependencies, ctx, reading),
        async () => (await scopeOf(dependencies.db, ctx.querystring, reading.bounds)).machines,
      );
      ctx.respond = false;
    },
  },
];

const lastEventId = ({ req }: Context): StreamPlace | undefined => {
  const id = req.headers['last-event-id'];
  return typeof id !== 'string' || id === '' ? undefined : readStreamPlace(id);
};
