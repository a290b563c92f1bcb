/**
 * Sends Slack what happens to incidents: one message for each group of them.
 *
 * A group waits `group_wait` for more after its first entry, and after a message `group_interval` until the next one. Both
 * are counted in the time of the entries, so the log alone says when a message is due. The feed reads the log once, in
 * order, and keeps of each group that waits a few identifiers and counts. Its position is before the first entry that
 * waits. What was told of entries behind that is on record by group (`groups` of `notification.delivered`), so a restart
 * reads them again and tells none of them twice; only what was sent in the moment of a crash is.
 *
 * Nothing is parked: a message that Slack refuses is sent without the text of reporters. With more groups than are kept,
 * the oldest ones do not wait any longer.
 */
import { createHash } from 'node:crypto';
import type { EntryLine } from '../audit/entry-line.ts';
import { LogCursor } from '../audit/log-cursor.ts';
import { MINUTE, SECOND, timestamp } from '../clock.ts';
import type { Signed } from '../domain/caller.ts';
import type { NoticeMemory, ToldGroup } from '../domain/entries.ts';
import type { Incident } from '../domain/incident.ts';
import { type GroupedBy, type NoticeKind, noticeIn, passes } from '../domain/notice.ts';
import { RecorderError } from '../errors.ts';
import { nameOf, originOf } from '../policy/target-url.ts';
import type { VendorWebhook, Webhook } from '../policy/targets.ts';
import { wasSilenced } from '../query/silence-match.ts';
import type { AttemptResult } from './attempt-result.ts';
import { sendNotice } from './formats/notice-request.ts';
import { MOST_SHOWN, slackFallback, slackMessage, slackReminder } from './formats/slack.ts';
import { briefly } from './http-target.ts';
import { type ReminderReason, Reminders } from './reminders.ts';
import { pauseAfter } from './retry-pause.ts';
import type { DetailedWebhookStatus, Feed, WebhookFeedParts, WebhookStatus } from './webhook-feed.ts';

const DEFAULT_WAIT = 10 * SECOND;
const DEFAULT_INTERVAL = 5 * MINUTE;
const DEFAULT_BY: readonly GroupedBy[] = ['class', 'source'];

/** How many groups wait at most, and of how many it is kept what they were told: records of it stay small. */
const MOST_GROUPS = 64;
/** Of how many incidents of a group the identifiers are kept: the message shows fewer. */
const MOST_KEPT = 2 * MOST_SHOWN;
const KEY_DIGITS = 12;
/** After how many entries without a message the position is recorded. */
const RECORD_EVERY = 1000;

/** A group that waits for its message. */
interface Waiting {
  readonly firstSeq: number;
  lastSeq: number;
  /** When its first entry was written, in milliseconds since the epoch. */
  readonly since: number;
  /** The newest incidents. */
  readonly incidents: Set<string>;
  readonly counts: Record<'new' | 'again' | 'resolved', number>;
}

/** A group that was told: up to which entry, and when, in milliseconds since the epoch. */
interface Told {
  readonly seq: number;
  readonly at: number;
}

export class GroupedFeed implements Feed {
  #webhook: VendorWebhook;
  readonly #parts: WebhookFeedParts;
  readonly #stopping = new AbortController();
  readonly #reminders: Reminders;
  readonly #waiting = new Map<string, Waiting>();
  readonly #told = new Map<string, Told>();
  /** How many messages were taken. */
  #messages = 0;
  #cursor: LogCursor | undefined;
  /** The last entry that was read. */
  #read: number;
  /** What the log says of the messages, and of the position. */
  #said: string | undefined;
  #recordedPosition = 0;
  #working: Promise<void> | undefined;
  /** No attempt before that, by the monotonic clock. */
  #due = -Infinity;
  #misses = 0;
  #lastError: string | undefined;
  #skipped = 0;

  constructor(webhook: VendorWebhook, parts: WebhookFeedParts) {
    const { log, clock, known, since, current, reads } = parts;
    this.#webhook = webhook;
    this.#parts = parts;
    this.#read = Math.min(known?.seq ?? since, log.status.entries);
    for (const [group, seq, at] of known?.notices?.groups ?? []) this.#told.set(group, { seq, at: Date.parse(at) });
    this.#reminders = new Reminders({
      webhook: () => this.#webhook,
      current,
      isSilenced: reads.isSilenced,
      clock,
      known: known?.notices?.repeated_at,
      tell: (incidents, reason) => this.#remind(incidents, reason),
    });
    if (known?.notices !== undefined) {
      this.#said = this.#saying();
      this.#recordedPosition = known.seq;
    }
  }

  get webhook(): Webhook {
    return this.#webhook;
  }

  get status(): WebhookStatus {
    const error = this.#error;
    let behind = this.#parts.log.status.entries - this.#read;
    for (const { counts } of this.#waiting.values()) behind += counts.new + counts.again + counts.resolved;
    return {
      url: originOf(this.#webhook.url),
      status: this.#misses === 0 && this.#reminders.lastError === undefined ? 'ok' : 'failing',
      behind,
      refused: this.#skipped,
      parked: 0,
      skipped: this.#parts.countSkipped(),
      ...(error === undefined ? {} : { last_error: briefly(error) }),
      format: this.#webhook.format,
    };
  }

  get detailedStatus(): DetailedWebhookStatus {
    return { webhook: this.#webhook, status: this.status, lastError: this.#error };
  }

  get #error(): string | undefined {
    return this.#lastError ?? this.#reminders.lastError;
  }

  follow(webhook: Webhook): void {
    this.#webhook = webhook as VendorWebhook;
    this.#hurry();
  }

  wake(): void {
    if (this.#stopping.signal.aborted || this.#working !== undefined) return;
    if (this.#parts.clock.monotonic() < this.#due) return;
    this.#working = this.#work()
      .catch(() => {
        // Stopping, or the log can't be read or written now: the next wake goes on.
        this.#cursor = undefined;
      })
      .finally(() => {
        this.#working = undefined;
      });
  }

  /** Ends the pause before the next message, when it may be about the entry. Nothing is parked or skipped here. */
  retry(seq: number, _skippedEvent: string | undefined, _sender: Signed): Promise<boolean> {
    const isToCome = seq > this.#position && seq <= this.#parts.log.status.entries;
    if (isToCome) {
      this.#hurry();
      this.wake();
    }
    return Promise.resolve(isToCome);
  }

  async record(): Promise<void> {
    const { log, clock } = this.#parts;
    const said = this.#saying();
    const position = this.#position;
    if (this.#said === said && this.#recordedPosition === position) return;
    const groups = this.#groups();
    const notices: NoticeMemory = {
      repeated_at: this.#reminders.through,
      ...(groups.length === 0 ? {} : { groups }),
    };
    const data = { url: nameOf(this.#webhook.url), through_seq: position, notices };
    await log.append([{ timestamp: timestamp(clock.now()), event: 'notification.delivered', data }]);
    this.#said = said;
    this.#recordedPosition = position;
  }

  /** Records what was told, and from time to time the position alone: a start reads the entries behind it again. */
  async #recordIfDue(): Promise<void> {
    const isTold = this.#said !== this.#saying();
    if (isTold || this.#position - this.#recordedPosition >= RECORD_EVERY) await this.record();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#working;
    await this.record().catch(() => {});
  }

  /** The entry before the first one that waits. */
  get #position(): number {
    let position = this.#read;
    for (const { firstSeq } of this.#waiting.values()) position = Math.min(position, firstSeq - 1);
    return position;
  }

  #groups(): readonly ToldGroup[] {
    return [...this.#told].map(([group, { seq, at }]) => [group, seq, timestamp(at)]);
  }

  /** Changes with each message that was taken. */
  #saying(): string {
    return `${this.#messages} ${this.#reminders.told}`;
  }

  #hurry(): void {
    this.#due = -Infinity;
    this.#reminders.hurry();
  }

  async #work(): Promise<void> {
    // A new webhook's first entry must not depend on when the next start is.
    if (this.#said === undefined) await this.record();
    do {
      await this.#readOn();
      if (!(await this.#tellDue())) return;
    } while (this.#read < this.#parts.log.status.entries && !this.#stopping.signal.aborted);
    await this.#reminders.look();
    await this.#recordIfDue();
  }

  /** Reads what the log has more, until so many groups wait that one of them has to be told first. */
  async #readOn(): Promise<void> {
    while (!this.#isFull && this.#read < this.#parts.log.status.entries) {
      this.#cursor ??= new LogCursor(this.#parts.log, this.#read);
      const page = await this.#page(this.#cursor);
      for (const line of page) {
        if (this.#isFull) {
          // The page is read again from here.
          this.#cursor = undefined;
          return;
        }
        if (line.seq > this.#read) this.#take(line);
        this.#read = line.seq;
      }
      if (page.length === 0) return;
    }
  }

  async #page(cursor: LogCursor): Promise<readonly EntryLine[]> {
    try {
      return await cursor.next();
    } catch (error) {
      if (!(error instanceof RecorderError) || error.code !== 'gone') throw error;
      const next = Number(error.fields.first_seq);
      await this.#passOver(cursor.position + 1, next - 1);
      this.#cursor = new LogCursor(this.#parts.log, next - 1);
      return this.#cursor.next();
    }
  }

  /** Goes on behind entries that were archived before they were told. */
  async #passOver(first: number, last: number): Promise<void> {
    const { log, clock } = this.#parts;
    const since = timestamp(clock.now());
    const data = {
      url: nameOf(this.#webhook.url),
      skipped_seq: last,
      skipped_event: 'log.archived',
      since,
      attempts: 0,
      waited_ms: 0,
      error: `entries ${first} to ${last} have left the log for the archive`,
    };
    await log.append([{ timestamp: since, event: 'webhook.skipped', data }]);
    this.#skipped += 1;
    this.#read = last;
  }

  get #isFull(): boolean {
    return this.#waiting.size >= MOST_GROUPS || this.#heldTold >= MOST_GROUPS;
  }

  /** How many groups were told of entries behind the position: to forget them would tell those twice. */
  get #heldTold(): number {
    const position = this.#position;
    let count = 0;
    for (const { seq } of this.#told.values()) if (seq > position) count += 1;
    return count;
  }

  /** Takes an entry into its group, when there is a notice of it. */
  #take(line: EntryLine): void {
    const { clock, reads, current } = this.#parts;
    const notice = noticeIn(line);
    if (notice === undefined || notice.kind === 'attended') return;
    const { kind, incident: id } = notice;
    if (kind === 'resolved' && this.#webhook.send_resolved === false) return;
    const json = reads.incident(id);
    // It has left the record, resolved.
    if (json === undefined) return;
    const incident = JSON.parse(json) as Incident;
    const now = clock.now();
    if (!passes(this.#webhook, incident) || reads.isSilenced(incident, now)) return;
    // The silence may be over since: then the reminders tell what is still open, and nothing else of that time.
    const at = Date.parse(notice.timestamp);
    if (wasSilenced(incident, current().allSilences(), { seq: line.seq, at })) return;
    const key = this.#keyOf(incident);
    if (line.seq <= (this.#told.get(key)?.seq ?? 0)) return;
    const since = Math.min(at, now);
    const group = this.#waiting.get(key) ?? newGroup(line.seq, since);
    this.#waiting.set(key, group);
    add(group, line.seq, id, kind);
  }

  #keyOf(incident: Incident): string {
    const by = this.#webhook.group_by ?? DEFAULT_BY;
    const values = JSON.stringify(by.map((key) => [key, incident[key]]));
    return createHash('sha256').update(values).digest('hex').slice(0, KEY_DIGITS);
  }

  /** When the message of a group is due, in milliseconds since the epoch. */
  #dueAt(key: string, { since }: Waiting): number {
    const { group_wait: wait = DEFAULT_WAIT, group_interval: interval = DEFAULT_INTERVAL } = this.#webhook;
    // The clock may have been set back.
    const told = Math.min(this.#told.get(key)?.at ?? -Infinity, this.#parts.clock.now());
    return Math.max(since + wait, told + interval);
  }

  /** Sends the messages that are due, and records that. Returns false when one was not taken. */
  async #tellDue(): Promise<boolean> {
    const { clock } = this.#parts;
    let isTaken = true;
    try {
      for (const [key, group] of this.#waiting) {
        // The first of them has waited longest; then there is room for others.
        const isDue = clock.now() >= this.#dueAt(key, group) || this.#isFull;
        if (!isDue) continue;
        const result = await this.#tell(group);
        if (result.kind === 'done') this.#tookGroup(key, group);
        else {
          this.#pause(result);
          isTaken = false;
          break;
        }
      }
    } finally {
      this.#forget();
      if (!this.#stopping.signal.aborted) await this.#recordIfDue();
    }
    return isTaken;
  }

  #tookGroup(key: string, { lastSeq }: Waiting): void {
    this.#waiting.delete(key);
    this.#told.delete(key);
    this.#told.set(key, { seq: lastSeq, at: this.#parts.clock.now() });
    this.#messages += 1;
    this.#misses = 0;
    this.#lastError = undefined;
  }

  #pause(result: Exclude<AttemptResult, { kind: 'done' }>): void {
    this.#lastError = result.error;
    const pause = pauseAfter(this.#misses, result.kind === 'missed' ? result.retryAfter : undefined);
    this.#misses += 1;
    this.#due = this.#parts.clock.monotonic() + pause;
  }

  /** Forgets groups that were told long ago, of entries before the position; the oldest first, when there are many. */
  #forget(): void {
    const { group_interval: interval = DEFAULT_INTERVAL } = this.#webhook;
    const [position, now] = [this.#position, this.#parts.clock.now()];
    for (const [key, { seq, at }] of this.#told) {
      if (seq > position || (now - at < interval && this.#told.size <= MOST_GROUPS)) continue;
      this.#told.delete(key);
    }
  }

  async #tell({ incidents, counts, lastSeq }: Waiting): Promise<AttemptResult> {
    const { clock, reads } = this.#parts;
    const all = [...incidents].flatMap((id) => {
      const json = reads.incident(id);
      return json === undefined ? [] : [JSON.parse(json) as Incident];
    });
    // A silence may have begun while the group waited.
    const shown = all.filter((one) => !reads.isSilenced(one, clock.now()));
    if (all.length > 0 && shown.length === 0) return { kind: 'done', receipt: { by: 'answer' } };
    const total = Math.max(counts.new + counts.again, counts.resolved, all.length);
    const news = {
      counts,
      incidents: shown.slice(-MOST_SHOWN),
      more: Math.max(0, total - Math.min(shown.length, MOST_SHOWN)),
    };
    return this.#send(`slack-${lastSeq}`, 'incident.notice', slackMessage(news, this.#webhook));
  }

  async #remind(incidents: readonly Incident[], reason: ReminderReason): Promise<AttemptResult> {
    const groups = new Map<string, Incident[]>();
    for (const one of incidents) {
      const key = this.#keyOf(one);
      groups.set(key, [...(groups.get(key) ?? []), one]);
    }
    let result: AttemptResult = { kind: 'done', receipt: { by: 'answer' } };
    for (const [key, group] of groups) {
      const message = slackReminder(group, reason, this.#webhook, this.#parts.clock.now());
      result = await this.#send(`again-${key}-${group[0]!.id}`, 'incident.unattended', message);
      if (result.kind !== 'done') break;
    }
    return result;
  }

  /** Sends a message; without the text of reporters, when Slack says that it can't read that. */
  async #send(key: string, event: string, message: object): Promise<AttemptResult> {
    const { signal } = this.#stopping;
    const result = await sendNotice(this.#webhook, { key, event, body: () => message, signal });
    if (result.kind === 'done' || !/^answered 400\b/.test(result.error)) return result;
    const plain = await sendNotice(this.#webhook, { key: `${key}-plain`, event, body: slackFallback, signal });
    return plain.kind === 'done' ? plain : result;
  }
}

const newGroup = (seq: number, since: number): Waiting => ({
  firstSeq: seq,
  lastSeq: seq,
  since,
  incidents: new Set(),
  counts: { new: 0, again: 0, resolved: 0 },
});

function add(group: Waiting, seq: number, id: string, kind: Exclude<NoticeKind, 'attended'>): void {
  group.lastSeq = seq;
  group.counts[kind] += 1;
  group.incidents.delete(id);
  group.incidents.add(id);
  for (const oldest of group.incidents) {
    if (group.incidents.size <= MOST_KEPT) break;
    group.incidents.delete(oldest);
  }
}
