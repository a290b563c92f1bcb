/**
 * Makes evidence bundles: incidents, their lines of the log, their statecharts and a page to print, with what verifies
 * them.
 *
 * A bundle is written once, field by field, to a file without a name, and sent from there: memory holds one field and the
 * hashes of all. Who asks for it is in the log before it is made. A log that takes nothing stops no bundle.
 */
import { createHash, randomBytes } from 'node:crypto';
import { dirname } from 'node:path';
import { StringDecoder } from 'node:string_decoder';
import { firstSeqOf } from '../audit/log-position.ts';
import type { Turn } from '../audit/log-reader.ts';
import type { AuditLog, ReadableLog } from '../audit/log.ts';
import { type Clock, timestamp } from '../clock.ts';
import type { Caller } from '../domain/caller.ts';
import { type AnchorOnRecord, type Draft, type Entry, readEntry } from '../domain/entries.ts';
import { found, RecorderError } from '../errors.ts';
import { inSlices } from '../forensic/in-slices.ts';
import { PayloadFile } from '../forensic/payload-file.ts';
import { IncidentPath } from '../query/incident-path.ts';
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
  LONGEST_BUNDLE,
  type Manifest,
  memberName,
  PAGE,
  signedText,
} from './format.ts';
import type { LogTree } from './log-tree.ts';
import { type PageEntry, type PageIncident, pageBegin, pageEnd, pageSection } from './page.ts';

/** How many incidents a bundle may hold. */
export const MOST_INCIDENTS = 50;
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
const PIECE = 64 * 1024;
/** Each takes room on the disk, and time. */
const MOST_AT_ONCE = 2;

export interface BundleSources {
  readonly log: ReadableLog & Pick<AuditLog, 'append'>;
  readonly incidents: Pick<IncidentReads, 'get' | 'history'>;
  readonly tree: Pick<LogTree, 'place'>;
  /** The identity of the log, when it is known. */
  readonly logId: () => string | undefined;
  /** The last anchor of the log. */
  readonly anchor: () => AnchorOnRecord | undefined;
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
   * @throws RecorderError `not_found` (which names the incident), `gone`, `invalid_request` when it becomes too long,
   *   `overloaded` when there is no key, room or place for another one now, `damaged_log`, `log_unavailable`
   */
  async prepare(ids: readonly string[], caller: Caller, turn: Turn): Promise<ReadyBundle> {
    const { beside, clock } = this.#sources;
    const versions = this.versionsOf(ids);
    if (this.#underWay >= MOST_AT_ONCE) throw new RecorderError('overloaded', 'too many bundles at once; try again');
    this.#underWay += 1;
    await using stack = new AsyncDisposableStack();
    stack.defer(() => void (this.#underWay -= 1));
    const key = this.#key();
    await this.#record(ids, caller);
    const path = `${beside}.bundle-${randomBytes(8).toString('hex')}`;
    const file = stack.use(await PayloadFile.create(path, dirname(beside)));
    await using page = await PayloadFile.create(`${path}-page`, dirname(beside));
    const writer = new BundleWriter(this.#sources, { file, page }, inSlices(turn, clock));
    const hash = await writer.write(ids, lineRoom(versions), caller, key);
    const releases = stack.move();
    return {
      length: file.length,
      hash,
      read: () => file.read(PIECE),
      [Symbol.asyncDispose]: () => releases.disposeAsync(),
    };
  }

  /** The version of each incident. @throws RecorderError `not_found`, which names the incident, or `gone` */
  versionsOf(ids: readonly string[]): readonly number[] {
    return ids.map((id) => {
      const incident = this.#sources.incidents.get(id);
      if (incident === undefined) throw new RecorderError('not_found', `incident ${id} is not on record`);
      return incident.version;
    });
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
  /** How long its lines are together. */
  readonly bytes: number;
  readonly missing?: BundledIncident['missing'];
}

class BundleWriter {
  readonly #sources: BundleSources;
  readonly #file: PayloadFile;
  /** What the page shows of the incidents: it is the last field, since it shows the head of the log as well. */
  readonly #page: PayloadFile;
  readonly #turn: Turn;
  readonly #fields: Record<string, string> = {};
  #isFirst = true;
  #drawings: Drawings | undefined;

  constructor(
    sources: BundleSources,
    { file, page }: { readonly file: PayloadFile; readonly page: PayloadFile },
    turn: Turn,
  ) {
    this.#sources = sources;
    this.#file = file;
    this.#page = page;
    this.#turn = turn;
  }

  /**
   * @param room how many lines each incident may have
   * @returns the SHA-256 of the manifest
   */
  async write(ids: readonly string[], room: number, caller: Caller, key: ExportKey | undefined): Promise<string> {
    const { log, tree, clock, logId } = this.#sources;
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
    const { entries: last, last_hash: head } = log.status;
    const { algorithm } = log.hash;
    const anchored = this.#anchor(last);
    const placing = [...read.flatMap((one) => one.seqs), ...(anchored === undefined ? [] : [anchored.anchored_seq])];
    const placed = await tree.place([...new Set(placing)].toSorted(ascending), last, head, this.#turn);
    const placeOf = new Map(placed.entries.map((entry) => [entry.seq, entry]));
    const anchor = anchored && { note: anchored.anchor, entry: placeOf.get(anchored.anchored_seq)! };
    const proofs = [
      ...(algorithm === 'hmac-sha256' ? (['audit-key'] as const) : []),
      ...(key === undefined ? [] : (['signature'] as const)),
    ];
    const about = {
      ids,
      madeAt,
      caller,
      head: { seq: last, entry_hash: head },
      logId: logId(),
      algorithm,
      proofs,
      anchor: anchored,
    };
    await this.#writePage(pageBegin(about));
    const manifest: Manifest = {
      format: FORMAT,
      made_at: madeAt,
      made_for: caller,
      version: VERSION,
      proofs,
      signer: key?.fingerprint ?? null,
      log: { id: logId() ?? null, algorithm, head: about.head, anchor: anchor ?? null, tree: placed.tree },
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

  /** The last anchor, where the entry that it is of is still here. @param last the last entry of the log */
  #anchor(last: number): AnchorOnRecord | undefined {
    const { log, anchor } = this.#sources;
    const known = anchor();
    const isHere = known !== undefined && known.anchored_seq >= firstSeqOf(log) && known.anchored_seq <= last;
    return isHere ? known : undefined;
  }

  async #writeProofs(manifest: string, key: ExportKey | undefined): Promise<string> {
    const manifest_hash = this.#sources.log.hash.digest(hashedManifest(manifest));
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
    const { json, version } = found(this.#sources.incidents.get(id));
    const incident = parseExact(json, { maxDepth: Infinity }) as PageIncident['incident'];
    for (const [member, value] of Object.entries(incident)) {
      const inner = member === 'evidence' ? Object.entries(value as Readonly<Record<string, JsonValue>>) : [];
      if (inner.length === 0 || inner.length > MOST_KEYS)
        await this.#writeField(memberName(id, member), writeExact(value));
      else for (const [name, one] of inner) await this.#writeField(memberName(id, member, name), writeExact(one));
    }
    const path = isDrawable(version, room) ? new IncidentPath() : undefined;
    const seqs: number[] = [];
    const shown: PageEntry[] = [];
    let [bytes, withoutRoom] = [0, 0];
    for await (const { line, entry, isIncluded } of this.#entriesOf(id, version, room)) {
      path?.take(entry);
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
    const why = whys.length === 0 ? 'they are in the archive' : whys.join(', and ');
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
        const page: Awaited<ReturnType<IncidentReads['history']>> = await this.#sources.incidents.history(
          id,
          after,
          this.#turn,
        );
        for (const bytes of found(page).lines) {
          const line = bytes.toString('utf8');
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

const newSalt = (): string => randomBytes(SALT_BYTES).toString('hex');

/** How many lines each incident may have, so that all have no more than `MOST_LINES`. @param versions how many they have */
function lineRoom(versions: readonly number[]): number {
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
