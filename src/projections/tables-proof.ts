/**
 * Proves the small tables: that no finding is hidden, no webhook is said to have taken more than it has, no guard is said
 * to be heard that is silent, and no silence is there that nobody has added.
 */
import { DatabaseSync } from 'node:sqlite';
import { isDeepStrictEqual } from 'node:util';
import type { AnchorOnRecord, GuardOnRecord, NoticeMemory, StoredEntry, UntakenEntries } from '../domain/entries.ts';
import { silencesAfter, withArchived } from '../domain/silence.ts';
import type { SilenceOnRecord } from '../domain/silence-terms.ts';
import { anchorIn } from './anchors.ts';
import { MOST_FINDINGS } from './findings.ts';
import { MOST_GUARDS } from './guards.ts';
import { SCHEMA } from './schema.ts';
import { MOST_LISTED, Webhooks } from './webhooks.ts';

/** What the small tables hold. */
export interface SmallTables {
  /** The findings that nobody has acknowledged. */
  readonly open: readonly string[];
  /** How far each webhook has taken the log. */
  readonly notified: Readonly<Record<string, number>>;
  /** What they have not taken up to there; undefined when they have taken all. */
  readonly untaken: UntakenEntries | undefined;
  /** What those with a format have told besides; undefined when that is nothing. */
  readonly notices: Readonly<Record<string, NoticeMemory>> | undefined;
  /** The guards; with more than an entry about the archive repeats, some of them. */
  readonly guards: readonly GuardOnRecord[];
  /** The silences, oldest first. */
  readonly silences: readonly SilenceOnRecord[];
  /** The last anchor; undefined when there is none. */
  readonly anchor: AnchorOnRecord | undefined;
  /** Whether there was an access file. */
  readonly hadAccessFile: boolean;
  /** Whether there were too many to give all. */
  readonly isCut: boolean;
}

/** How many findings and webhooks are followed. With more, nothing is proved: no recorder has so many. */
const MOST = 10_000;
/** Of how many webhooks it is followed what they have not taken: up to 50 entries that are put aside, and 100 skipped. */
const MOST_WEBHOOKS = 100;

/** As JSON has it, in which the order of members does not count. */
const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

const NOTHING: UntakenEntries = { parked: {}, skipped: [] };

/** Webhooks that nothing is known of, in a database of their own. */
function webhooksInMemory(): Webhooks {
  const database = new DatabaseSync(':memory:');
  database.exec(SCHEMA);
  return new Webhooks(database);
}

export class TablesProof {
  readonly #open = new Map<string, boolean>();
  readonly #notified = new Map<string, number>();
  #untaken: Webhooks | undefined;
  /** The guards, and whether each is silent. */
  readonly #guards = new Map<string, boolean>();
  #hadAccessFile = false;
  #silences: readonly SilenceOnRecord[] = [];
  #anchor: AnchorOnRecord | undefined;
  /** Whether an archived part of the log had more findings than it could repeat. */
  #isCut = false;

  /** Takes the next entry of the log. */
  take(entry: StoredEntry): void {
    if (this.#isFull) return;
    const { event, data } = entry;
    switch (event) {
      case 'log.damage_found':
        this.#open.set(data.finding, true);
        break;
      case 'log.damage_acknowledged':
        if (this.#open.has(data.finding)) this.#open.set(data.finding, false);
        break;
      case 'notification.delivered':
        this.#moveTo(data.url, data.through_seq);
        this.#webhooks?.follow(entry);
        break;
      case 'webhook.skipped':
      case 'webhook.retried':
        // Where the webhook is unknown, it is known from here on.
        this.#moveTo(data.url, 0);
        this.#webhooks?.follow(entry);
        break;
      case 'guard.heard':
      case 'guard.silent':
        this.#guards.set(data.source, event === 'guard.silent');
        break;
      case 'silence.added':
      case 'silence.ended':
        this.#silences = silencesAfter(this.#silences, entry);
        break;
      case 'log.anchored':
        this.#anchor = anchorIn(entry);
        break;
      case 'access.loaded':
        this.#hadAccessFile ||= data.source === 'file';
        break;
      case 'log.archived':
        this.#hadAccessFile ||= data.access_file === true;
        this.#silences = withArchived(this.#silences, data);
        if ((data.anchor?.seq ?? 0) > (this.#anchor?.seq ?? 0)) this.#anchor = data.anchor;
        for (const { source, silent_since } of data.guards ?? []) {
          if (!this.#guards.has(source)) this.#guards.set(source, silent_since !== null);
        }
        for (const { finding, open } of data.findings ?? []) {
          if (!this.#open.has(finding)) this.#open.set(finding, open);
        }
        for (const [url, seq] of Object.entries(data.notified)) this.#moveTo(url, seq);
        this.#webhooks?.leave(data);
        this.#isCut ||= (data.findings ?? []).length >= MOST_FINDINGS;
        break;
      default:
    }
  }

  /** How the tables differ from what the entries make of them. */
  difference({
    open,
    notified,
    untaken,
    notices,
    guards,
    silences,
    anchor,
    hadAccessFile,
    isCut,
  }: SmallTables): string | undefined {
    if (hadAccessFile !== this.#hadAccessFile) return 'it differs whether there was an access file';
    if (this.#isFull || isCut) return undefined;
    if (!isDeepStrictEqual(plain(anchor ?? null), plain(this.#anchor ?? null))) return 'the last anchor is another';
    if (!isDeepStrictEqual(plain(silences), plain(this.#silences))) return 'the silences are others than the log has';
    const expected = [...this.#open].flatMap(([finding, isOpen]) => (isOpen ? [finding] : []));
    if (!isDeepStrictEqual([...open].toSorted(), expected.toSorted())) return 'the open findings are others';
    if (!isDeepStrictEqual({ ...notified }, Object.fromEntries(this.#notified))) {
      return 'the webhooks have taken another part of the log';
    }
    if (guards.some(({ source, silent_since }) => this.#guards.get(source) !== (silent_since !== null))) {
      return 'the guards are not as the log says';
    }
    if (guards.length < Math.min(this.#guards.size, MOST_GUARDS)) return 'guards are missing';
    if (!this.#isSameTold(notices)) return 'the webhooks have told something else';
    return this.#isSameUntaken(untaken) ? undefined : 'the webhooks have not taken other entries';
  }

  #isSameTold(found: SmallTables['notices']): boolean {
    return this.#notified.size > MOST_WEBHOOKS || isDeepStrictEqual(found, this.#untaken?.notices());
  }

  #isSameUntaken(found = NOTHING): boolean {
    if (this.#notified.size > MOST_WEBHOOKS) return true;
    const expected = this.#untaken?.untaken() ?? NOTHING;
    if (!isDeepStrictEqual(found.parked, expected.parked)) return false;
    // Of more than are listed, those that are depends on when segments were archived.
    const isListed = Math.max(found.skipped.length, expected.skipped.length) < MOST_LISTED;
    return !isListed || isDeepStrictEqual(found.skipped, expected.skipped);
  }

  /** Follows what the webhooks have not taken, unless there are too many; made when there is one. */
  get #webhooks(): Webhooks | undefined {
    if (this.#notified.size === 0 || this.#notified.size > MOST_WEBHOOKS) return undefined;
    return (this.#untaken ??= webhooksInMemory());
  }

  #moveTo(url: string, seq: number): void {
    this.#notified.set(url, Math.max(seq, this.#notified.get(url) ?? 0));
  }

  get #isFull(): boolean {
    return this.#isCut || this.#open.size + this.#notified.size + this.#guards.size > MOST;
  }
}
