/**
 * Makes evidence bundles: incidents, their lines of the log, their statecharts and a page to print, with what verifies
 * them.
 *
 * A bundle is written once, field by field, to a file without a name, and sent from there: memory holds one field and the
 * hashes of all. Who asks for it is in the log before it is made. A log that takes nothing stops no bundle.
 */
import { randomBytes } from 'node:crypto';
import { dirname } from 'node:path';
import { firstSeqOf } from '../audit/log-position.ts';
import type { Turn } from '../audit/log-reader.ts';
import type { AuditLog, ReadableLog } from '../audit/log.ts';
import { type Clock, timestamp } from '../clock.ts';
import type { Caller } from '../domain/caller.ts';
import type { AnchorOnRecord, Draft } from '../domain/entries.ts';
import { RecorderError } from '../errors.ts';
import { inSlices } from '../forensic/in-slices.ts';
import { PayloadFile } from '../forensic/payload-file.ts';
import type { IncidentReads } from '../incidents/incident-reads.ts';
import { type BundledLog, type BundleMaterial, BundleWriter, lineRoom, PIECE } from './bundle-writer.ts';
import type { ExportKey } from './export-key.ts';
import type { LogTree } from './log-tree.ts';

/** How many incidents a bundle may hold. */
export const MOST_INCIDENTS = 50;
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
    const ready = stack.use(
      await writeBundle(this.#material(key), { ids, versions, caller, beside }, inSlices(turn, clock)),
    );
    const releases = stack.move();
    return { ...ready, [Symbol.asyncDispose]: () => releases.disposeAsync() };
  }

  #material(key: ExportKey | undefined): BundleMaterial {
    const { log, incidents, clock } = this.#sources;
    return {
      get: (id) => incidents.get(id),
      history: (id, after, turn) => incidents.history(id, after, turn),
      log: () => this.#log(),
      proof: { isKeyed: log.hash.algorithm === 'hmac-sha256', digest: (text) => log.hash.digest(text) },
      key,
      clock,
    };
  }

  #log(): BundledLog {
    const { log, tree, logId } = this.#sources;
    const { entries: seq, last_hash: entry_hash } = log.status;
    return {
      id: logId() ?? null,
      algorithm: log.hash.algorithm,
      head: { seq, entry_hash },
      anchor: this.#anchor(seq),
      place: (seqs, turn) => tree.place(seqs, seq, entry_hash, turn),
    };
  }

  /** The last anchor, where the entry that it is of is still here. @param last the last entry of the log */
  #anchor(last: number): AnchorOnRecord | undefined {
    const { log, anchor } = this.#sources;
    const known = anchor();
    const isHere = known !== undefined && known.anchored_seq >= firstSeqOf(log) && known.anchored_seq <= last;
    return isHere ? known : undefined;
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

/** Which incidents a bundle is of, at which versions at least, for whom, and the beginning of the path of its files. */
export interface BundleRequest {
  readonly ids: readonly string[];
  readonly versions: readonly number[];
  readonly caller: Caller;
  readonly beside: string;
}

/** Writes a bundle to a file without a name. @throws RecorderError as `Bundles.prepare` */
export async function writeBundle(
  material: BundleMaterial,
  { ids, versions, caller, beside }: BundleRequest,
  turn: Turn,
): Promise<ReadyBundle> {
  await using stack = new AsyncDisposableStack();
  const path = `${beside}.bundle-${randomBytes(8).toString('hex')}`;
  const file = stack.use(await PayloadFile.create(path, dirname(beside)));
  await using page = await PayloadFile.create(`${path}-page`, dirname(beside));
  const hash = await new BundleWriter(material, { file, page }, turn).write(ids, lineRoom(versions), caller);
  const releases = stack.move();
  return {
    length: file.length,
    hash,
    read: () => file.read(PIECE),
    [Symbol.asyncDispose]: () => releases.disposeAsync(),
  };
}
