/**
 * Forensic exports: a signed copy of what is on record, in one file that the appliance's offline verifier takes.
 *
 *     {"exported_at":…,"incidents":[…],"audit_entries":[…],"system_state":{…},"policy_digest":…,
 *      "canonical_payload":…,"bundle_hash":…,"signature":…}
 *
 * The payload is the first five members as compact JSON. It is written once, to a file without a name, from one snapshot of
 * record and log. Then it is sent twice: as the members themselves, and as base64. So both are the same bytes, and memory
 * holds some pieces only.
 *
 * The verifier refuses files of more than 64 MiB. When not everything fits, the oldest of the audit entries are left out
 * first, as far as they take more than three quarters; then incidents, the resolved before the unresolved and the oldest
 * first. `system_state` counts what was left out.
 *
 * Who asks for an export is in the log before it is made, and so in the export itself. A log that takes nothing stops no
 * export: that is when it is needed most.
 */
import { createHmac, randomBytes } from 'node:crypto';
import { dirname } from 'node:path';
import { LastLines } from '../audit/last-lines.ts';
import type { AuditLog, ReadableLog } from '../audit/log.ts';
import { type Clock, timestamp } from '../clock.ts';
import type { Caller } from '../domain/caller.ts';
import type { Draft } from '../domain/entries.ts';
import { RecorderError } from '../errors.ts';
import type { Projections } from '../projections/projections.ts';
import { inSlices } from './in-slices.ts';
import { PayloadFile } from './payload-file.ts';

/** How many lines of the log an export holds. */
export const LINES = 1000;
/** The largest file that the verifier takes, in bytes. */
const LARGEST = 64 * 1024 * 1024;
/** What an export has besides both copies of its payload, in bytes, and what a payload has besides its lists. */
const FRAME = 1024;
export const REST_OF_PAYLOAD = 64 * 1024;
/** With base64, which is four thirds as long, a payload takes seven thirds of its length. */
export const LARGEST_PAYLOAD = Math.floor(((LARGEST - FRAME) * 3) / 7);
/** How much of the payload the audit entries may take, while incidents are left out. */
export const LINES_SHARE = 0.75;
/** How many bytes of lines are verified again. More would take longer than the appliance's script waits. */
const VERIFIED = 4 * 1024 * 1024;
/** How many exports may be under way: each takes room on the disk and time. */
const MOST_AT_ONCE = 2;
/** What is read at a time, in bytes; without a rest when it is written as base64. */
const PIECE = 48 * 1024;

export interface ForensicSources {
  readonly log: ReadableLog & Pick<AuditLog, 'append'>;
  readonly projections: Pick<Projections, 'snapshot'>;
  /** Receives why the log has not taken who asked for an export. */
  readonly onUnrecorded: (error: RecorderError) => void;
  /** What is said about the service, by name. */
  readonly state: () => Readonly<Record<string, string>>;
  /** How many incidents are on record. */
  readonly total: () => number;
  readonly policyDigest: () => string;
  /** The key that signs. @throws RecorderError `config` */
  readonly key: () => Uint8Array;
  readonly clock: Clock;
  /** The path of the log in the directory of the recorder's own files. */
  readonly beside: string;
}

export class ForensicExports {
  readonly #sources: ForensicSources;
  #underWay = 0;

  constructor(sources: ForensicSources) {
    this.#sources = sources;
  }

  /** @throws RecorderError `overloaded`, which names the variable, when there is no key that can be used */
  requireKey(): void {
    this.#key();
  }

  /**
   * Puts an export together. Until it is disposed of, it counts as under way.
   * @param caller who asks for it
   * @param turn awaited again and again meanwhile; what it throws ends the export
   * @throws RecorderError `overloaded` when there is no key, no room or no place for another one now
   */
  async prepare(caller: Caller, turn: () => Promise<void>): Promise<ForensicExport> {
    const key = this.#key();
    if (this.#underWay >= MOST_AT_ONCE) throw new RecorderError('overloaded', 'too many exports at once; try again');
    this.#underWay += 1;
    const end = (): void => void (this.#underWay -= 1);
    try {
      await this.#record(caller);
      return await this.#prepare(key, inSlices(turn, this.#sources.clock), end);
    } catch (error) {
      end();
      throw error;
    }
  }

  async #record(caller: Caller): Promise<void> {
    const { log, clock, onUnrecorded } = this.#sources;
    const draft: Draft = { timestamp: timestamp(clock.now()), event: 'forensic.export_requested', data: caller };
    await log.append([draft]).catch((error: unknown) => {
      if (!(error instanceof RecorderError)) throw error;
      onUnrecorded(error);
    });
  }

  #key(): Uint8Array {
    try {
      return this.#sources.key();
    } catch (error) {
      if (!(error instanceof RecorderError)) throw error;
      throw new RecorderError('overloaded', `there are no forensic exports: ${error.message}`, { cause: error });
    }
  }

  async #prepare(key: Uint8Array, turn: () => Promise<void>, end: () => void): Promise<ForensicExport> {
    const { beside, clock } = this.#sources;
    const path = `${beside}.export-${randomBytes(8).toString('hex')}`;
    await using stack = new AsyncDisposableStack();
    const payload = stack.use(await PayloadFile.create(path, dirname(beside)));
    await this.#write(payload, timestamp(clock.now()), turn);
    const digest = await payload.finish();
    const signature = createHmac('sha256', key).update(digest).digest('hex');
    stack.defer(end);
    return new ForensicExport(payload, digest.toString('hex'), signature, stack.move());
  }

  async #write(payload: PayloadFile, exportedAt: string, turn: () => Promise<void>): Promise<void> {
    const { log, projections, state, total, policyDigest } = this.#sources;
    // All of this in one turn of the event loop: it is one moment.
    const { incidents, position } = projections.snapshot();
    using snapshot = incidents;
    const [said, count, digest] = [state(), total(), policyDigest()];
    const most = LARGEST_PAYLOAD - REST_OF_PAYLOAD;
    await using lines = await LastLines.find(log, { through: position, most: LINES, bytes: most * LINES_SHARE });

    await payload.write(`{"exported_at":${JSON.stringify(exportedAt)},"incidents":[`);
    let written = 0;
    let isFull = false;
    for (let some = snapshot.read(); some.length > 0 && !isFull; some = isFull ? [] : snapshot.read()) {
      for (const document of some) {
        isFull = payload.length + document.length + 1 > most - lines.bytes;
        if (isFull) break;
        await payload.write(written > 0 ? ',' : '');
        await payload.write(document);
        written += 1;
      }
      await turn();
    }
    snapshot[Symbol.dispose]();

    await payload.write('],"audit_entries":[');
    let isFirst = true;
    for await (const texts of lines.read(turn, VERIFIED)) {
      for (const text of texts) {
        await payload.write(isFirst ? '' : ',');
        await payload.write(text);
        isFirst = false;
      }
    }
    const left = {
      omitted: String(count - written),
      audit_entries_omitted: String(Math.min(LINES, position.seq) - lines.count),
      audit_entries_altered: String(lines.altered),
      audit_entries_unverified: String(lines.unverified),
    };
    await payload.write(`],"system_state":${JSON.stringify({ ...said, ...left })}`);
    await payload.write(`,"policy_digest":${JSON.stringify(digest)}}`);
  }
}

/** An export that is ready to be sent. */
export class ForensicExport implements AsyncDisposable {
  /** How long it is, in bytes. */
  readonly length: number;
  /** Names it: the SHA-256 of its payload, in hex. */
  readonly hash: string;
  readonly #payload: PayloadFile;
  readonly #begin: string;
  readonly #end: string;
  readonly #releases: AsyncDisposableStack;

  constructor(payload: PayloadFile, hash: string, signature: string, releases: AsyncDisposableStack) {
    this.#payload = payload;
    this.hash = hash;
    this.#begin = ',"canonical_payload":"';
    this.#end = `","bundle_hash":"${hash}","signature":"${signature}"}`;
    this.#releases = releases;
    const encoded = 4 * Math.ceil(payload.length / 3);
    this.length = payload.length - 1 + this.#begin.length + encoded + this.#end.length;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#releases.disposeAsync();
  }

  /** Its bytes, in pieces. */
  async *read(): AsyncGenerator<Uint8Array | string, void> {
    // Without the brace that ends the payload.
    yield* this.#payload.read(PIECE, this.#payload.length - 1);
    yield this.#begin;
    for await (const piece of this.#payload.read(PIECE)) yield piece.toString('base64');
    yield this.#end;
  }
}
