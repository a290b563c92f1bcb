/**
 * Makes evidence bundles: incidents, their lines of the log, their statecharts and a page to print, with what verifies
 * them.
 *
 * A bundle is written once, field by field, to a file without a name, and sent from there: memory holds one field and the
 * hashes. Who asks for it is in the log before it is made. A log that takes nothing stops no bundle.
 */
import { createHash, randomBytes } from 'node:crypto';
import { dirname } from 'node:path';
import type { Turn } from '../audit/log-reader.ts';
import type { AuditLog, ReadableLog } from '../audit/log.ts';
import { type Clock, timestamp } from '../clock.ts';
import { beginningOf } from '../domain/beginning.ts';
import type { Caller } from '../domain/caller.ts';
import { type Draft, type Entry, readEntry } from '../domain/entries.ts';
import { found, RecorderError } from '../errors.ts';
import { PayloadFile } from '../forensic/payload-file.ts';
import { IncidentPath } from '../incidents/incident-path.ts';
import type { IncidentReads } from '../incidents/incident-reads.ts';
import { writeExact } from '../json/canonical-form.ts';
import { type JsonValue, parseExact } from '../json/exact-json.ts';
import { type Drawings, drawings } from '../statecharts/drawings.ts';
import { incidentSvg } from '../statecharts/svg.ts';
import { VERSION } from '../version.ts';
import type { ExportKey } from './export-key.ts';
import {
  type Bundle,
  type BundledIncident,
  chartName,
  type Field,
  fieldHash,
  FORMAT,
  hashedManifest,
  lineName,
  type Manifest,
  memberName,
  PAGE,
  signedText,
} from './format.ts';
import type { LogTree } from './log-tree.ts';
import { pageOf, type PageEntry, type PageIncident, sectionOf } from './page.ts';

/** How many incidents a bundle may hold. */
export const MOST_INCIDENTS = 50;
/** How many lines a bundle holds: the proof of each is in memory. */
const MOST_LINES = 2000;
/** Of an incident with more, the first so many, and as many of the newest as there is room for. */
const FIRST_LINES = 100;
/** How many keys of evidence are fields of their own, as the hash of each is in memory; others are one field together. */
const MOST_KEYS = 5000;
/** How many characters of notes and reasons the page shows; when they are used up, so many of each. */
const MOST_WORDS = 512 * 1024;
const FEW_WORDS = 200;
const SALT_BYTES = 32;
/** What is sent at a time, in bytes. */
const PIECE = 64 * 1024;
/** Each takes room on the disk, and time. */
const MOST_AT_ONCE = 2;

export interface BundleSources {
  readonly log: ReadableLog & Pick<AuditLog, 'append'>;
  readonly incidents: Pick<IncidentReads, 'get' | 'history'>;
  readonly tree: Pick<LogTree, 'place'>;
  /** The identity of the log, when it is known. */
  readonly logId: () => string | undefined;
  /** The key that signs; undefined where there is none. @throws RecorderError `config` */
  readonly key: () => ExportKey | undefined;
  readonly clock: Clock;
  /** Receives why the log has not taken who asked for a bundle. */
  readonly onUnrecorded: (error: RecorderError) => void;
  /** The path of the log in the directory of the recorder's own files. */
  readonly beside: string;
}

/** A bundle that is ready to be sent. */
export interface ReadyBundle extends AsyncDisposable {
  readonly length: number;
  /** SHA-256 of its manifest, lower-case hex. */
  readonly hash: string;
  read(): AsyncIterable<Uint8Array | string>;
}

export class Bundles {
  readonly #sources: BundleSources;
  #underWay = 0;

  constructor(sources: BundleSources) {
    this.#sources = sources;
  }

  /**
   * Puts a bundle together.
   * @param turn awaited again and again meanwhile; what it throws ends the bundle
   * @throws RecorderError `not_found` (which names the incident), `gone`, `invalid_request` when there are too many,
   *   `overloaded` when there is no key, room or place for another one now, `damaged_log`, `log_unavailable`
   */
  async prepare(ids: readonly string[], caller: Caller, turn: Turn): Promise<ReadyBundle> {
    const { incidents, beside } = this.#sources;
    for (const id of ids) {
      if (incidents.get(id) === undefined) throw new RecorderError('not_found', `incident ${id} is not on record`);
    }
    if (this.#underWay >= MOST_AT_ONCE) throw new RecorderError('overloaded', 'too many bundles at once; try again');
    this.#underWay += 1;
    await using stack = new AsyncDisposableStack();
    stack.defer(() => void (this.#underWay -= 1));
    const key = this.#key();
    await this.#record(ids, caller);
    const path = `${beside}.bundle-${randomBytes(8).toString('hex')}`;
    const file = stack.use(await PayloadFile.create(path, dirname(beside)));
    const hash = await new BundleWriter(this.#sources, file, turn).write(ids, caller, key);
    const releases = stack.move();
    return {
      length: file.length,
      hash,
      read: () => file.read(PIECE),
      [Symbol.asyncDispose]: () => releases.disposeAsync(),
    };
  }

  #key(): ExportKey | undefined {
    try {
      return this.#sources.key();
    } catch (error) {
      if (!(error instanceof RecorderError)) throw error;
      throw new RecorderError('overloaded', `there are no bundles: ${error.message}`, { cause: error });
    }
  }

  async #record(incidents: readonly string[], caller: Caller): Promise<void> {
    const { log, clock, onUnrecorded } = this.#sources;
    const data = { ...caller, incidents };
    const draft: Draft = { timestamp: timestamp(clock.now()), event: 'bundle.requested', data };
    await log.append([draft]).catch((error: unknown) => {
      if (!(error instanceof RecorderError)) throw error;
      onUnrecorded(error);
    });
  }
}

/** An incident that is being written. */
interface Read {
  readonly id: string;
  readonly version: number;
  readonly seqs: readonly number[];
  readonly missing?: BundledIncident['missing'];
}

class BundleWriter {
  readonly #sources: BundleSources;
  readonly #file: PayloadFile;
  readonly #turn: Turn;
  readonly #fields: Record<string, string> = {};
  #isFirst = true;
  #keysLeft = MOST_KEYS;
  #wordsLeft = MOST_WORDS;
  #drawings: Drawings | undefined;

  constructor(sources: BundleSources, file: PayloadFile, turn: Turn) {
    this.#sources = sources;
    this.#file = file;
    this.#turn = turn;
  }

  /** @returns the SHA-256 of the manifest */
  async write(ids: readonly string[], caller: Caller, key: ExportKey | undefined): Promise<string> {
    const { log, tree, clock, logId } = this.#sources;
    this.#drawings = await drawings();
    const madeAt = timestamp(clock.now());
    await this.#file.write(`{"format":${JSON.stringify(FORMAT)},"fields":{`);
    const [sections, read]: [{ readonly id: string; readonly section: string }[], Read[]] = [[], []];
    let room = MOST_LINES;
    for (const [at, id] of ids.entries()) {
      const { section, ...one } = await this.#writeIncident(id, Math.floor(room / (ids.length - at)));
      room -= one.seqs.length;
      sections.push({ id, section });
      read.push(one);
    }
    const { entries: last, last_hash: head } = log.status;
    const { algorithm } = log.hash;
    const placed = await tree.place(read.flatMap(({ seqs }) => seqs).toSorted(ascending), last, head, this.#turn);
    const placeOf = new Map(placed.entries.map((entry) => [entry.seq, entry]));
    const proofs = [
      ...(algorithm === 'hmac-sha256' ? (['audit-key'] as const) : []),
      ...(key === undefined ? [] : (['signature'] as const)),
    ];
    const about = { madeAt, caller, head: { seq: last, entry_hash: head }, logId: logId(), algorithm, proofs };
    await this.#writeField(PAGE, pageOf(sections, about));
    const manifest: Manifest = {
      format: FORMAT,
      made_at: madeAt,
      made_for: caller,
      version: VERSION,
      proofs,
      log: { id: logId() ?? null, algorithm, head: about.head, anchor: null, tree: placed.tree },
      incidents: read.map(({ id, version, seqs, missing }) => ({
        id,
        version,
        entries: seqs.map((seq) => placeOf.get(seq)!),
        ...(missing && { missing }),
      })),
      fields: this.#fields,
    };
    return this.#writeProofs(JSON.stringify(manifest), key);
  }

  async #writeProofs(manifest: string, key: ExportKey | undefined): Promise<string> {
    const manifest_hash = this.#sources.log.hash.digest(hashedManifest(manifest));
    const signed = Buffer.from(signedText({ manifest, manifest_hash }));
    const proofs: Pick<Bundle, 'manifest_hash' | 'signature' | 'public_key'> = {
      manifest_hash,
      ...(key && { signature: key.sign(signed), public_key: key.publicKey }),
    };
    await this.#file.write(`},"manifest":${JSON.stringify(manifest)},${JSON.stringify(proofs).slice(1)}\n`);
    await this.#file.finish();
    return createHash('sha256').update(manifest).digest('hex');
  }

  async #writeIncident(id: string, room: number): Promise<Read & { readonly section: string }> {
    const { json, version } = found(this.#sources.incidents.get(id));
    const incident = parseExact(json, { maxDepth: Infinity }) as Readonly<Record<string, JsonValue>>;
    for (const [member, value] of Object.entries(incident)) {
      const inner = member === 'evidence' ? Object.entries(value as Readonly<Record<string, JsonValue>>) : undefined;
      if (inner === undefined || inner.length > this.#keysLeft) {
        await this.#writeField(memberName(id, member), writeExact(value));
        continue;
      }
      this.#keysLeft -= inner.length;
      for (const [name, one] of inner) await this.#writeField(memberName(id, member, name), writeExact(one));
    }
    const path = new IncidentPath();
    const seqs: number[] = [];
    const shown: PageEntry[] = [];
    let reached = 0;
    for await (const { line, entry } of this.#entriesOf(id, version, Math.max(room, FIRST_LINES))) {
      if (version <= room) path.take(entry);
      seqs.push(entry.data.seq);
      const row = pageEntryOf(entry);
      this.#wordsLeft -= row.words.length;
      shown.push(this.#wordsLeft > 0 ? row : { ...row, words: beginningOf(row.words, FEW_WORDS) });
      reached += 1;
      await this.#writeField(lineName(entry.data.seq), line);
    }
    const missing = version - reached;
    const chart =
      version <= room && path.version === version
        ? incidentSvg(`Incident ${id} at version ${version}`, this.#drawings!.incident!, path.whereabouts)
        : undefined;
    if (chart !== undefined) await this.#writeField(chartName(id), chart);
    const why = version > room ? `a bundle holds ${MOST_LINES} lines` : 'they are in the archive';
    return {
      id,
      version,
      seqs,
      ...(missing > 0 && { missing: { entries: missing, reason: why } }),
      section: sectionOf({ incident: incident as PageIncident['incident'], entries: shown, chart, missing }),
    };
  }

  /** The entries up to a version: all, or the first ones and the newest. */
  async *#entriesOf(id: string, version: number, most: number) {
    const ranges: readonly (readonly [after: number, to: number])[] =
      version <= most
        ? [[0, version]]
        : [
            [0, FIRST_LINES],
            [version - (most - FIRST_LINES), version],
          ];
    for (const [from, to] of ranges) {
      let after: number | undefined = from;
      let isOver = false;
      while (after !== undefined && after < to && !isOver) {
        const page: Awaited<ReturnType<IncidentReads['history']>> = await this.#sources.incidents.history(
          id,
          after,
          this.#turn,
        );
        for (const bytes of found(page).lines) {
          const line = bytes.toString('utf8');
          const entry = readEntry(line);
          isOver = (entry.data as { readonly version?: number }).version! > to;
          if (isOver) break;
          yield { line, entry };
          await this.#turn();
        }
        after = page?.next;
      }
    }
  }

  async #writeField(name: string, value: string): Promise<void> {
    const field: Field = { salt: randomBytes(SALT_BYTES).toString('hex'), value };
    this.#fields[name] = fieldHash(name, field);
    await this.#file.write(`${this.#isFirst ? '' : ','}${JSON.stringify(name)}:${JSON.stringify(field)}`);
    this.#isFirst = false;
    await this.#turn();
  }
}

const ascending = (one: number, other: number): number => one - other;

/** What the page shows of an entry. */
function pageEntryOf({ timestamp: at, event, data, entry_hash }: Entry): PageEntry {
  const { seq, state, by, principal, role, note, reason, error, action } = data as Readonly<
    Record<string, JsonValue>
  > & {
    readonly seq: number;
  };
  const words = [action, note, reason, error].filter((one) => typeof one === 'string');
  const who = [by ?? principal, role].filter((one) => typeof one === 'string').join(' as ');
  return {
    seq,
    at,
    event,
    state: typeof state === 'string' ? state : '',
    who,
    words: words.join(': '),
    hash: entry_hash,
  };
}
