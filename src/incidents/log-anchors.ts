/**
 * The anchors of the log: the fleet, which keeps a copy of it, signs how far that goes.
 *
 * An anchor counts only when it is about this very log and agrees with it; then it is recorded, now and then. One that
 * does not agree says that the past was rewritten, or that an old copy was put back: that is a finding.
 */
import type { FleetTrust } from '../access/principal.ts';
import { type Anchor, readAnchor } from '../anchor.ts';
import { CompactRange } from '../audit/compact-range.ts';
import type { LogFindings } from '../audit/log-findings.ts';
import { firstSeqOf } from '../audit/log-position.ts';
import type { Turn } from '../audit/log-reader.ts';
import type { AuditLog, ReadableLog } from '../audit/log.ts';
import { RawLineReader } from '../audit/raw-lines.ts';
import { type Clock, HOUR, timestamp } from '../clock.ts';
import type { Caller } from '../domain/caller.ts';
import type { AnchorOnRecord } from '../domain/entries.ts';
import { RecorderError } from '../errors.ts';
import type { Projections } from '../projections/projections.ts';
import { KeyedLock } from './keyed-lock.ts';

/** An anchor is recorded when the last one is so old, in milliseconds, or so many entries back. */
const EVERY = HOUR;
const EVERY_ENTRIES = 10_000;

export type AnchorOutcome =
  | { readonly recorded: true; readonly seq: number; readonly at: string }
  | { readonly recorded: false; readonly why: string };

export interface LogAnchorsDependencies {
  readonly log: ReadableLog & Pick<AuditLog, 'append'>;
  /** The identity of the log, when it is known. */
  readonly logId: () => string | undefined;
  readonly projections: Pick<Projections, 'current'>;
  readonly findings: Pick<LogFindings, 'report' | 'open'>;
  /** Whose anchors count. */
  readonly fleet: () => FleetTrust | undefined;
  readonly clock: Clock;
}

export class LogAnchors {
  readonly #dependencies: LogAnchorsDependencies;
  readonly #turns = new KeyedLock();

  constructor(dependencies: LogAnchorsDependencies) {
    this.#dependencies = dependencies;
  }

  /**
   * Compares an anchor with the log, and records it unless the last one is new enough.
   * @param note the signed note
   * @param turn awaited between parts of the work: the first anchor of a long log takes a while
   * @throws RecorderError `invalid_request` for what the fleet has not signed, `foreign` for an anchor of another log or
   *   machine, and where the access file names no fleet; `anchor_mismatch`; `log_unavailable`, `starting`
   */
  record(note: string, caller: Caller, turn: Turn): Promise<AnchorOutcome> {
    return this.#turns.run('anchors', () => this.#record(note, caller, turn));
  }

  async #record(note: string, caller: Caller, turn: Turn): Promise<AnchorOutcome> {
    const { log, projections, clock } = this.#dependencies;
    const anchor = this.#read(note);
    const { seq, hash, root, time, machine } = anchor;
    if (seq < firstSeqOf(log)) return { recorded: false, why: `entry ${seq} is archived` };
    const own = seq > log.status.entries ? undefined : await this.#hashOf(seq);
    if (own !== hash) throw await this.#mismatch(anchor, own);
    const last = projections.current().anchors.last();
    const why = last === undefined ? undefined : this.#isNeedless(anchor, last);
    if (why !== undefined) return { recorded: false, why };
    const range = await this.#rangeUpTo(seq, last, turn);
    const ownRoot = range?.root().toString('hex') ?? root;
    if (ownRoot !== root) throw await this.#mismatch(anchor, own, ownRoot);
    const at = timestamp(clock.now());
    const data = {
      log_id: anchor.log,
      machine,
      anchored_seq: seq,
      hash,
      root,
      time,
      anchor: note,
      ...(range === undefined ? {} : { range: range.toJSON().hashes }),
      ...caller,
    };
    const [entry] = await log.append([{ timestamp: at, event: 'log.anchored', data }]);
    return { recorded: true, seq: entry!.data.seq, at };
  }

  /** @throws RecorderError `invalid_request`, `foreign` */
  #read(note: string): Anchor {
    const { fleet, logId } = this.#dependencies;
    const trust = fleet();
    if (trust === undefined) throw foreign('the access file names no fleet_key, so no anchor counts');
    const anchor = readAnchor(note, [trust.verifier]);
    if (trust.machine !== undefined && anchor.machine !== trust.machine) {
      throw foreign(`this is an anchor of the machine ${anchor.machine}, and this one is ${trust.machine}`);
    }
    const id = logId();
    if (anchor.log !== id)
      throw foreign(`this is an anchor of the log ${anchor.log}, and this one is ${id ?? 'not known'}`);
    return anchor;
  }

  /** The hash of an entry as it stands in the log. @throws RecorderError like `RawLineReader.next` */
  async #hashOf(seq: number): Promise<string | undefined> {
    const { hashes } = await new RawLineReader(this.#dependencies.log, seq).next(1);
    return hashes[0];
  }

  /** Why an anchor is not recorded; undefined when it is to be. */
  #isNeedless({ seq, time }: Anchor, last: AnchorOnRecord): string | undefined {
    const { clock, log } = this.#dependencies;
    // The note may have got a further signature: what the fleet has signed counts.
    if (seq === last.anchored_seq && time === last.time) return 'this anchor is on record';
    // Times are compared for the same entry only: the fleet's clock may have been ahead once.
    if (seq < last.anchored_seq || (seq === last.anchored_seq && time < last.time))
      return 'a later anchor is on record';
    const age = clock.now() - Date.parse(last.at);
    const entries = log.status.entries - last.seq;
    // A clock that was set back says nothing about its age.
    if (age < 0 || age >= EVERY || entries >= EVERY_ENTRIES) return undefined;
    return `the last anchor was recorded ${Math.floor(age / 1000)} s and ${entries} entries ago`;
  }

  /**
   * The range over the entries up to one. It goes on from that of the last anchor, so only what was written since is
   * read.
   * @returns undefined where entries are archived that are needed
   */
  async #rangeUpTo(seq: number, last: AnchorOnRecord | undefined, turn: Turn): Promise<CompactRange | undefined> {
    const { log } = this.#dependencies;
    const known =
      last?.range === undefined ? undefined : CompactRange.read({ size: last.anchored_seq, hashes: last.range });
    const range = known ?? CompactRange.empty();
    if (range.size + 1 < firstSeqOf(log)) return undefined;
    const lines = new RawLineReader(log, range.size + 1);
    try {
      while (range.size < seq) {
        await turn();
        const { hashes } = await lines.next(seq - range.size);
        for (const hash of hashes) range.append(Buffer.from(hash, 'hex'));
      }
    } catch (error) {
      if (error instanceof RecorderError && error.code === 'gone') return undefined;
      throw error;
    }
    return range;
  }

  /** Reports that an anchor does not agree with the log. @returns the refusal */
  async #mismatch(anchor: Anchor, own: string | undefined, ownRoot?: string): Promise<RecorderError> {
    const { findings, log } = this.#dependencies;
    const { seq, hash, root, fleet, time } = anchor;
    const here =
      own === undefined
        ? `this log ends with entry ${log.status.entries}`
        : own === hash
          ? `the entries before it are others here (${ownRoot})`
          : `it is ${own} here`;
    const detail =
      `the fleet ${fleet} has signed at ${time} that entry ${seq} is ${hash}, and ${here}: ` +
      'the log was rewritten, or an old copy was put back';
    // One is enough to look at, and each takes room in the log.
    const isKnown = findings.open.some(({ finding }) => finding.startsWith('anchor_mismatch:'));
    if (!isKnown) await findings.report({ name: 'anchor_mismatch', seq, detail });
    const fields = {
      code: 'anchor_mismatch',
      anchor: { seq, hash, root, time },
      log: { entries: log.status.entries, hash: own ?? null, ...(ownRoot === undefined ? {} : { root: ownRoot }) },
    };
    return new RecorderError('anchor_mismatch', detail, { fields });
  }
}

const foreign = (what: string): RecorderError => new RecorderError('foreign', what);
