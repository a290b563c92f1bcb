/**
 * Writes an evidence bundle: field by field to a file without a name, so that memory holds one field and the hashes of all.
 *
 * What it is made from, the recorder reads from its files, and the fleet from its database.
 */
import { createHash, randomBytes } from 'node:crypto';
import { StringDecoder } from 'node:string_decoder';
import type { Turn } from '../audit/log-reader.ts';
import { type Clock, timestamp } from '../clock.ts';
import type { Caller } from '../domain/caller.ts';
import { type AnchorOnRecord, type Entry, readEntry } from '../domain/entries.ts';
import { found, RecorderError } from '../errors.ts';
import type { PayloadFile } from '../forensic/payload-file.ts';
import { writeExact } from '../json/canonical-form.ts';
import { type JsonValue, parseExact } from '../json/exact-json.ts';
import { IncidentPath } from '../query/incident-path.ts';
import { type Drawings, drawings } from '../statecharts/drawings.ts';
import { incidentSvg } from '../statecharts/svg.ts';
import { VERSION } from '../version.ts';
import type { ExportKey } from './export-key.ts';
import {
  type Bundle,
  type BundledIncident,
  type BundledMachine,
  chartName,
  type Field,
  fieldHash,
  type FleetSigner,
  FORMAT,
  hashedManifest,
  lineName,
  LONGEST_BUNDLE,
  type Manifest,
  memberName,
  PAGE,
  signedText,
} from './format.ts';
import type { PlacedEntries } from './log-tree.ts';
import { type PageEntry, type PageIncident, pageBegin, pageEnd, pageSection } from './page.ts';

/** Why lines are missing in a bundle that a fleet makes. */
const ARCHIVED_BEFORE = 'the machine had archived them before its log came to the fleet';
/** How many lines a bundle holds: the proof of each is in memory. Incidents with few leave room to the others. */
const MOST_LINES = 2000;
/** Of an incident with more than fit, at most so many of its first ones, and as many of the newest as there is room for. */
const FIRST_LINES = 100;
/** How many bytes of lines a bundle holds: a line may have nearly a mebibyte. */
const MOST_LINE_BYTES = 48 * 1024 * 1024;
/** Lines longer than this, in bytes, leave a quarter of the room to others, which say who did what. */
const LONG_LINE = 4096;
const SHARE_OF_LONG = 0.75;
/** Evidence with more keys is one field: the manifest names each field. */
const MOST_KEYS = 256;
/** Up to how many entries of an incident are read for its statechart. */
const MOST_DRAWN = 5000;
const SALT_BYTES = 32;
/** What is sent at a time, in bytes. */
export const PIECE = 64 * 1024;

/** How far a log goes. */
export interface LogHead {
  readonly seq: number;
  readonly entry_hash: string;
}

/** An anchor, as far as a bundle shows it. */
export type BundledAnchorNote = Pick<AnchorOnRecord, 'anchored_seq' | 'anchor' | 'machine' | 'time' | 'root'>;

/** The log that the incidents are in. */
export interface BundledLog {
  readonly id: string | null;
  readonly algorithm: Manifest['log']['algorithm'];
  readonly head: LogHead;
  /** The last anchor whose entry is still here. */
  readonly anchor: BundledAnchorNote | undefined;
  /** Whose log it is; in a bundle that a fleet makes. */
  readonly machine?: BundledMachine;
  /** @param seqs of entries, ascending */
  place(seqs: readonly number[], turn: Turn): Promise<PlacedEntries>;
}

/** What a bundle is made from. */
export interface BundleMaterial {
  /** An incident as it is now: its document, JSON. */
  get(id: string): Awaitable<{ readonly json: string; readonly version: number } | undefined>;
  /** Its lines of the log, from behind its version `after` on. */
  history(id: string, after: number, turn: Turn): Promise<LinesOfIncident | undefined>;
  /** The log, which is asked for once the incidents are read: it goes at least as far. */
  log(): Awaitable<BundledLog>;
  /** What proves the manifest besides a signature. */
  readonly proof: { readonly isKeyed: boolean; digest(manifest: string): string };
  /** The key that signs. */
  readonly key: ExportKey | undefined;
  /** The fleet that makes the bundle; not there where the recorder itself does. */
  readonly fleet?: FleetSigner;
  readonly clock: Clock;
}

type Awaitable<Value> = Value | Promise<Value>;

interface LinesOfIncident {
  readonly lines: readonly (Buffer | string)[];
  /** The version behind which the next lines are. */
  readonly next?: number | undefined;
}

/** An incident that is being written. */
interface Read {
  readonly id: string;
  readonly version: number;
  readonly seqs: readonly number[];
  /** How long its lines are together. */
  readonly bytes: number;
  readonly missing?: BundledIncident['missing'];
}

export class BundleWriter {
  readonly #material: BundleMaterial;
  readonly #file: PayloadFile;
  /** What the page shows of the incidents: it is the last field, since it shows the head of the log as well. */
  readonly #page: PayloadFile;
  readonly #turn: Turn;
  readonly #fields: Record<string, string> = {};
  #isFirst = true;
  #drawings: Drawings | undefined;

  constructor(
    material: BundleMaterial,
    { file, page }: { readonly file: PayloadFile; readonly page: PayloadFile },
    turn: Turn,
  ) {
    this.#material = material;
    this.#file = file;
    this.#page = page;
    this.#turn = turn;
  }

  /**
   * @param room how many lines each incident may have
   * @returns the SHA-256 of the manifest, lower-case hex
   */
  async write(ids: readonly string[], room: number, caller: Caller): Promise<string> {
    const { clock, proof, key, fleet: signed_by } = this.#material;
    this.#drawings = await drawings();
    const madeAt = timestamp(clock.now());
    await this.#file.write(`{"format":${JSON.stringify(FORMAT)},"fields":{`);
    const read: Read[] = [];
    let bytes = MOST_LINE_BYTES;
    for (const [at, id] of ids.entries()) {
      const one = await this.#writeIncident(id, room, Math.floor(bytes / (ids.length - at)));
      bytes -= one.bytes;
      read.push(one);
    }
    const log = await this.#material.log();
    const { id: logId, algorithm, head, anchor: anchored, machine } = log;
    const fleet = signed_by && machine && { signed_by, machine };
    const placing = [...read.flatMap((one) => one.seqs), ...(anchored === undefined ? [] : [anchored.anchored_seq])];
    const placed = await log.place([...new Set(placing)].toSorted(ascending), this.#turn);
    const placeOf = new Map(placed.entries.map((entry) => [entry.seq, entry]));
    const anchor = anchored && { note: anchored.anchor, entry: placeOf.get(anchored.anchored_seq)! };
    const proofs = [
      ...(proof.isKeyed ? (['audit-key'] as const) : []),
      ...(key === undefined ? [] : (['signature'] as const)),
    ];
    await this.#writePage(
      pageBegin({ ids, madeAt, caller, head, logId: logId ?? undefined, algorithm, proofs, anchor: anchored, fleet }),
    );
    const manifest: Manifest = {
      format: FORMAT,
      made_at: madeAt,
      made_for: caller,
      version: VERSION,
      proofs,
      signer: key?.fingerprint ?? null,
      ...fleet,
      log: { id: logId, algorithm, head, anchor: anchor ?? null, tree: placed.tree },
      incidents: read.map(({ id, version, seqs, missing }) => ({
        id,
        version,
        entries: seqs.map((seq) => placeOf.get(seq)!),
        ...(missing && { missing }),
      })),
      fields: this.#fields,
    };
    return this.#writeProofs(JSON.stringify(manifest));
  }

  async #writeProofs(manifest: string): Promise<string> {
    const { proof, key } = this.#material;
    const manifest_hash = proof.digest(hashedManifest(manifest));
    const signed = Buffer.from(signedText({ manifest, manifest_hash }));
    const proofs: Pick<Bundle, 'manifest_hash' | 'signature' | 'public_key'> = {
      manifest_hash,
      ...(key && { signature: key.sign(signed), public_key: key.publicKey }),
    };
    await this.#file.write(`},"manifest":${JSON.stringify(manifest)},${JSON.stringify(proofs).slice(1)}\n`);
    this.#requireShort();
    await this.#file.finish();
    return createHash('sha256').update(manifest).digest('hex');
  }

  async #writeIncident(id: string, room: number, byteRoom: number): Promise<Read> {
    const { json, version } = found(await this.#material.get(id));
    const incident = parseExact(json, { maxDepth: Infinity }) as PageIncident['incident'];
    for (const [member, value] of Object.entries(incident)) {
      const inner = member === 'evidence' ? Object.entries(value as Readonly<Record<string, JsonValue>>) : [];
      if (inner.length === 0 || inner.length > MOST_KEYS)
        await this.#writeField(memberName(id, member), writeExact(value));
      else for (const [name, one] of inner) await this.#writeField(memberName(id, member, name), writeExact(one));
    }
    let path = isDrawable(version, room) ? new IncidentPath() : undefined;
    const seqs: number[] = [];
    const shown: PageEntry[] = [];
    let [bytes, withoutRoom] = [0, 0];
    for await (const { line, entry, isIncluded } of this.#entriesOf(id, version, room)) {
      if (path !== undefined && !isTaken(path, entry)) path = undefined;
      if (!isIncluded) continue;
      const length = Buffer.byteLength(line);
      if (bytes + length > (length > LONG_LINE ? SHARE_OF_LONG * byteRoom : byteRoom)) {
        withoutRoom += 1;
        continue;
      }
      bytes += length;
      seqs.push(entry.data.seq);
      shown.push(pageEntryOf(entry));
      await this.#writeField(lineName(entry.data.seq), line);
    }
    const missing = version - seqs.length;
    const chart =
      path?.version === version
        ? incidentSvg(`Incident ${id} at version ${version}`, this.#drawings!.incident!, path.whereabouts)
        : undefined;
    if (chart !== undefined) await this.#writeField(chartName(id), chart);
    await this.#page.write(pageSection({ incident, entries: shown, chart, missing }));
    const whys = [
      ...(version > room ? [`a bundle holds ${MOST_LINES} lines`] : []),
      ...(withoutRoom > 0 ? [`a bundle holds ${MOST_LINE_BYTES / 1024 / 1024} MiB of lines`] : []),
    ];
    const inArchive = this.#material.fleet === undefined ? 'they are in the archive' : ARCHIVED_BEFORE;
    const why = whys.length === 0 ? inArchive : whys.join(', and ');
    return { id, version, seqs, bytes, ...(missing > 0 && { missing: { entries: missing, reason: why } }) };
  }

  /**
   * The entries up to a version: as many as are needed for the statechart, and which of them go into the bundle: all, or
   * the first ones and the newest.
   */
  async *#entriesOf(id: string, version: number, room: number) {
    const first = version <= room ? version : Math.min(FIRST_LINES, Math.floor(room / 2));
    const newest = version - (room - first);
    const ranges: readonly (readonly [after: number, to: number])[] = isDrawable(version, room)
      ? [[0, version]]
      : [
          [0, first],
          [newest, version],
        ];
    for (const [from, to] of ranges) {
      let after: number | undefined = from;
      let isOver = false;
      while (after !== undefined && after < to && !isOver) {
        const page: LinesOfIncident | undefined = await this.#material.history(id, after, this.#turn);
        for (const bytes of found(page).lines) {
          const line = typeof bytes === 'string' ? bytes : bytes.toString('utf8');
          const entry = readEntry(line);
          const at = (entry.data as { readonly version?: number }).version!;
          isOver = at > to;
          if (isOver) break;
          yield { line, entry, isIncluded: at <= first || at > newest };
          await this.#turn();
        }
        after = page?.next;
      }
    }
  }

  async #writeField(name: string, value: string): Promise<void> {
    const field: Field = { salt: newSalt(), value };
    this.#fields[name] = fieldHash(name, field);
    await this.#file.write(`${this.#separator()}${JSON.stringify(name)}:${JSON.stringify(field)}`);
    this.#requireShort();
    await this.#turn();
  }

  /** Writes the page in pieces, as `#writeField` writes a text. */
  async #writePage(begin: string): Promise<void> {
    await this.#page.write(pageEnd());
    await this.#page.finish();
    const salt = newSalt();
    const hash = createHash('sha256').update(`${salt}\n${PAGE}\n`);
    await this.#file.write(`${this.#separator()}${JSON.stringify(PAGE)}:{"salt":"${salt}","value":"`);
    const write = async (piece: string): Promise<void> => {
      hash.update(piece);
      await this.#file.write(JSON.stringify(piece).slice(1, -1));
      this.#requireShort();
      await this.#turn();
    };
    await write(begin);
    const decoder = new StringDecoder('utf8');
    for await (const bytes of this.#page.read(PIECE)) await write(decoder.write(bytes));
    await this.#file.write('"}');
    this.#fields[PAGE] = hash.digest('hex');
  }

  #separator(): string {
    const separator = this.#isFirst ? '' : ',';
    this.#isFirst = false;
    return separator;
  }

  /** @throws RecorderError `invalid_request` */
  #requireShort(): void {
    if (this.#file.length <= LONGEST_BUNDLE) return;
    throw new RecorderError('invalid_request', 'the bundle becomes too long: ask for fewer incidents at a time');
  }
}

/** Whether all entries of an incident are read. */
const isDrawable = (version: number, room: number): boolean => version <= Math.max(room, MOST_DRAWN);

/** Whether an entry fits the path. A line is evidence even where it contradicts those before it: then no chart shows it. */
function isTaken(path: IncidentPath, entry: Entry): boolean {
  try {
    path.take(entry);
    return true;
  } catch (error) {
    if (!(error instanceof RecorderError)) throw error;
    return false;
  }
}

const newSalt = (): string => randomBytes(SALT_BYTES).toString('hex');

/** How many lines each incident may have, so that all have no more than `MOST_LINES`. @param versions how many they have */
export function lineRoom(versions: readonly number[]): number {
  let room = MOST_LINES;
  for (const [at, version] of versions.toSorted(ascending).entries()) {
    const share = Math.floor(room / (versions.length - at));
    if (version > share) return share;
    room -= version;
  }
  return MOST_LINES;
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
