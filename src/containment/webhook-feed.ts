/**
 * Sends one webhook the entries of the audit log that it asked for: each at least once, in order.
 *
 * A feed reads the log from the webhook's position, sends one entry at a time, and continues when the webhook has taken
 * it: only 2xx is an answer that takes. Anything else is tried again.
 *
 * One entry that a receiver can't take must not stop all that follow. After five minutes the feed also tries the
 * entries behind it, one at a time: when the receiver takes one it is up, and the entry that it still does not take is
 * parked (`ParkedEntries`). When it takes none it is away: everything waits, and nothing is parked.
 *
 * Position and parked entries are recorded in the log (`notification.delivered`): the position from time to time, so
 * that after a crash the last entries are sent again, under the same keys. The log names the webhook by `nameOf`,
 * because its path may be a secret and many people read the log.
 */
import type { Signed } from '../domain/caller.ts';
import type { EntryLine } from '../audit/entry-line.ts';
import { LogCursor } from '../audit/log-cursor.ts';
import type { AuditLog, ReadableLog } from '../audit/log.ts';
import { type Clock, MINUTE, SECOND, timestamp } from '../clock.ts';
import type { ParkedEntry } from '../domain/entries.ts';
import type { Incident } from '../domain/incident.ts';
import { isStillSo, type VendorFormat } from '../domain/notice.ts';
import { RecorderError } from '../errors.ts';
import { nameOf, originOf } from '../policy/target-url.ts';
import { isVendor, type VendorWebhook, type Webhook } from '../policy/targets.ts';
import type { CurrentReads } from '../projections/current-reads.ts';
import type { WebhookPosition } from '../projections/webhooks.ts';
import type { AttemptResult } from './attempt-result.ts';
import { AlertResend, type ResendStatus } from './alert-resend.ts';
import { sendNotice } from './formats/notice-request.ts';
import { pagerdutyEvent } from './formats/pagerduty.ts';
import { briefly } from './http-target.ts';
import { LaterEntries, lineOf } from './later-entries.ts';
import { ParkedEntries } from './parked-entries.ts';
import { Reminders } from './reminders.ts';
import { Rest } from './rest.ts';
import { pauseAfter } from './retry-pause.ts';
import { type IncidentReads, WebhookReceiver } from './webhook-receiver.ts';

/** How often the webhook's position is recorded in the log. */
const RECORD_EVERY = 30 * SECOND;
/** The same for how often parked entries were tried. */
const RECORD_ATTEMPTS_EVERY = 10 * MINUTE;
/** How long an entry is tried until later ones are tried as well. */
const TRIED_ALONE = 5 * MINUTE;

/** How a webhook is, as `GET /health` shows it to anybody. */
export interface WebhookStatus {
  /** Its origin: the path may be a secret. */
  readonly url: string;
  readonly status: 'ok' | 'failing';
  /** How many entries of the log are after its position, wanted or not. */
  readonly behind: number;
  /** How many entries it has refused for good since the start: they were skipped. */
  readonly refused: number;
  /** How many entries it does not take while it takes others; they are tried again. */
  readonly parked: number;
  /** How many entries on record were skipped: they are not sent any more. */
  readonly skipped: number;
  /** Without the words of its answer. */
  readonly last_error?: string;
  /** What it is sent; not there when that is entries. */
  readonly format?: VendorFormat;
  /** For Alertmanager: how the last turn went in which all unresolved incidents were sent again. */
  readonly resend?: ResendStatus;
}

/** How a webhook is, for the metrics, and for readers with the token. */
export interface DetailedWebhookStatus {
  readonly webhook: Webhook;
  readonly status: WebhookStatus;
  /** In the words of its answer. */
  readonly lastError: string | undefined;
}

export interface WebhookFeedParts {
  readonly log: ReadableLog & Pick<AuditLog, 'append'>;
  readonly clock: Clock;
  /** How far the webhook has taken the log; undefined when it is new. */
  readonly known: WebhookPosition | undefined;
  /** After which entry it begins when it is new. */
  readonly since: number;
  /** How many entries on record were skipped for it. */
  readonly countSkipped: () => number;
  readonly reads: IncidentReads;
  /** @throws RecorderError while the incidents on record are not known */
  readonly current: () => Pick<CurrentReads, 'incidentsOf' | 'allSilences'>;
}

/** What sends one webhook what it asked for. */
export interface Feed {
  readonly webhook: Webhook;
  readonly status: WebhookStatus;
  readonly detailedStatus: DetailedWebhookStatus;
  /** Continues under the policy in force, at once. */
  follow(webhook: Webhook): void;
  /** Looks whether there is something to send. Cheap when there is not. */
  wake(): void;
  /** Sends what an entry asks for again. @returns whether there is such an entry: also one that is still to be sent */
  retry(seq: number, skippedEvent: string | undefined, sender: Signed): Promise<boolean>;
  /** Records how far the webhook is, if the log does not say so. */
  record(): Promise<void>;
  /** Stops sending and records the position in the log. */
  stop(): Promise<void>;
}

export class WebhookFeed implements Feed {
  readonly #parts: WebhookFeedParts;
  readonly #stopping = new AbortController();
  readonly #receiver: WebhookReceiver;
  readonly #parked: ParkedEntries;
  readonly #rest: Rest;
  #cursor: LogCursor | undefined;
  /** The last entry that was taken or parked, or is not for it. */
  #position: number;
  /** What the log says of the feed, as JSON, and when it was recorded, by the monotonic clock. */
  #said: string | undefined;
  #recordedAt = -Infinity;
  /** Whether anything was sent since. */
  #sent = false;
  #working: Promise<void> | undefined;
  /** How many attempts came to nothing since one was taken; for the pauses also since it was hurried. */
  #misses = 0;
  #pauses = 0;
  #retryAfter: number | undefined;
  readonly #later: LaterEntries;
  /** Whether the last attempt was refused for good. */
  #isRefused = false;
  /** What is sent again to PagerDuty, and to Alertmanager. */
  readonly #reminders: Reminders | undefined;
  #reminding: Promise<void> | undefined;
  readonly #resend: AlertResend | undefined;
  /** The entry that was taken last. */
  #tookLast: number | undefined;
  #refused = 0;
  #lastError: string | undefined;

  constructor(webhook: Webhook, parts: WebhookFeedParts) {
    const { log, clock, known, since } = parts;
    const { signal } = this.#stopping;
    this.#parts = parts;
    this.#receiver = new WebhookReceiver(webhook, clock, signal, parts.reads);
    this.#rest = new Rest(clock, signal);
    this.#later = new LaterEntries(log, (line) => this.#receiver.wants(line));
    this.#parked = new ParkedEntries(known?.parked ?? [], {
      log,
      clock,
      receiver: this.#receiver,
      isUp: () => this.#misses === 0,
      skip: (entry, error) => this.#recordSkipped(entry, error),
      record: () => this.record(),
    });
    // In a database that somebody has edited it may be ahead of the log: then it would take nothing any more.
    const { entries } = log.status;
    this.#position = Math.min(known?.seq ?? since, entries);
    const common = { webhook: () => this.#receiver.webhook as VendorWebhook, current: parts.current, clock };
    const { isSilenced } = parts.reads;
    if (webhook.format === 'pagerduty') {
      const tell = (incidents: readonly Incident[]): Promise<AttemptResult> => this.#remind(incidents);
      this.#reminders = new Reminders({ ...common, isSilenced, known: known?.notices?.repeated_at, tell });
    }
    if (webhook.format === 'alertmanager') {
      const exclusively: WebhookReceiver['exclusively'] = (work) => this.#receiver.exclusively(work);
      this.#resend = new AlertResend({ ...common, isSilenced, stopping: signal, exclusively });
    }
    const isKnown = known !== undefined && (this.#reminders === undefined || known.notices !== undefined);
    this.#said = isKnown ? this.#saying(known.seq, known.parked) : undefined;
  }

  get webhook(): Webhook {
    return this.#receiver.webhook;
  }

  get status(): WebhookStatus {
    const lastError = this.#error;
    const again = this.#resend ?? this.#reminders;
    return {
      url: originOf(this.webhook.url),
      status: this.#misses === 0 && again?.lastError === undefined ? 'ok' : 'failing',
      behind: this.#parts.log.status.entries - this.#position,
      refused: this.#refused,
      parked: this.#parked.size,
      skipped: this.#parts.countSkipped(),
      ...(lastError === undefined ? {} : { last_error: briefly(lastError) }),
      ...(isVendor(this.webhook) ? { format: this.webhook.format } : {}),
      ...(this.#resend === undefined ? {} : { resend: this.#resend.status }),
    };
  }

  get detailedStatus(): DetailedWebhookStatus {
    return { webhook: this.webhook, status: this.status, lastError: this.#error };
  }

  get #error(): string | undefined {
    return this.#lastError ?? this.#resend?.lastError ?? this.#reminders?.lastError ?? this.#parked.lastError;
  }

  follow(webhook: Webhook): void {
    this.#receiver.webhook = webhook;
    this.#hurry();
  }

  wake(): void {
    if (this.#stopping.signal.aborted) return;
    this.#resend?.look();
    this.#lookForReminders();
    this.#parked.look();
    this.#rest.look();
    this.#working ??= this.#work()
      .catch(() => {
        // Stopping, or the log can't be read or written now: the next wake continues from the position.
        this.#cursor = undefined;
      })
      .finally(() => {
        this.#working = undefined;
      });
  }

  /**
   * Sends an entry again that was skipped or is parked, for another day, and ends the pause before the next attempt.
   * @param skippedEvent the event of the entry when it was skipped
   * @param sender who asks, and why
   * @returns whether there is such an entry: also one that is still to be sent
   */
  async retry(seq: number, skippedEvent: string | undefined, sender: Signed): Promise<boolean> {
    const event = this.#parked.list.find((entry) => entry.seq === seq)?.event ?? skippedEvent;
    const isToCome = seq > this.#position && seq <= this.#parts.log.status.entries;
    if (event === undefined && !isToCome) return false;
    if (event !== undefined) {
      const data = { url: nameOf(this.webhook.url), retried_seq: seq, retried_event: event, ...sender };
      const time = timestamp(this.#parts.clock.now());
      await this.#parked.again({ seq, event }, async () => {
        await this.#parts.log.append([{ timestamp: time, event: 'webhook.retried', data }]);
      });
    }
    this.#hurry();
    this.wake();
    return true;
  }

  async record(): Promise<void> {
    const { log, clock } = this.#parts;
    const through_seq = this.#position;
    const parked = this.#parked.list;
    const said = this.#saying(through_seq, parked);
    if (this.#said === said) return;
    const data = {
      url: nameOf(this.webhook.url),
      through_seq,
      ...(parked.length === 0 ? {} : { parked }),
      ...(this.#reminders === undefined ? {} : { notices: { repeated_at: this.#reminders.through } }),
    };
    await log.append([{ timestamp: timestamp(clock.now()), event: 'notification.delivered', data }]);
    this.#said = said;
    this.#recordedAt = clock.monotonic();
    this.#sent = false;
  }

  /** What a record says, apart from times that go by. */
  #saying(seq: number, parked: readonly ParkedEntry[]): string {
    return JSON.stringify([seq, parked, this.#reminders?.told ?? 0]);
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await Promise.all([this.#working, this.#parked.settle(), this.#reminding, this.#resend?.settle()]);
    await this.record().catch(() => {});
  }

  #hurry(): void {
    this.#pauses = 0;
    this.#parked.hurry();
    this.#resend?.hurry();
    this.#reminders?.hurry();
    this.#rest.end();
  }

  /** Tells again what nobody attends to, while the receiver takes what it is sent. */
  #lookForReminders(): void {
    if (this.#reminders === undefined || this.#misses > 0 || this.#said === undefined) return;
    const reminders = this.#reminders;
    const { told } = reminders;
    this.#reminding ??= reminders
      .look()
      .then(() => (reminders.told === told ? undefined : this.record()))
      .catch(() => {
        // Stopping, or the log can't be read or written now: the next look goes on.
      })
      .finally(() => {
        this.#reminding = undefined;
      });
  }

  /** Sends PagerDuty the events of some incidents again. */
  async #remind(incidents: readonly Incident[]): Promise<AttemptResult> {
    const webhook = this.webhook as VendorWebhook;
    let result: AttemptResult = { kind: 'done', receipt: { by: 'answer' } };
    for (const { id } of incidents) {
      result = await this.#receiver.exclusively(() => this.#remindOf(id, webhook));
      if (result.kind !== 'done') break;
    }
    return result;
  }

  /** The same for one, unless somebody attends to it by now. */
  #remindOf(id: string, webhook: VendorWebhook): Promise<AttemptResult> {
    const json = this.#parts.reads.incident(id);
    const incident = json === undefined ? undefined : (JSON.parse(json) as Incident);
    if (incident === undefined || !isStillSo('new', incident)) {
      return Promise.resolve({ kind: 'done', receipt: { by: 'answer' } });
    }
    const body = (routingKey: string): object => pagerdutyEvent(incident, webhook, routingKey);
    const key = `again-${id}-${incident.version}`;
    return sendNotice(webhook, { key, event: 'incident.unattended', body, signal: this.#stopping.signal });
  }

  async #work(): Promise<void> {
    // A new webhook's first entry must not depend on when the next start is.
    if (this.#said === undefined) await this.record();
    this.#cursor ??= new LogCursor(this.#parts.log, this.#position);
    for (let page = await this.#page(); page.length > 0; page = await this.#page()) {
      for (const line of page) {
        if (!this.#later.passes(line.seq)) await this.#deliver(line);
        this.#goOn(line.seq);
        await this.#recordIfDue();
      }
    }
    await this.#recordIfDue();
  }

  async #page(): Promise<readonly EntryLine[]> {
    const cursor = this.#cursor!;
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

  /** Goes on behind entries that were archived before the webhook took them. */
  async #passOver(first: number, last: number): Promise<void> {
    const since = timestamp(this.#parts.clock.now());
    const entry = { seq: last, event: 'log.archived', since, attempts: 0, waited_ms: 0 };
    await this.#recordSkipped(entry, `entries ${first} to ${last} have left the log for the archive`);
    this.#goOn(last);
  }

  /** Goes on behind an entry: nothing is in the way any more. */
  #goOn(seq: number): void {
    this.#position = seq;
    this.#misses = 0;
    this.#pauses = 0;
    this.#lastError = undefined;
  }

  /** Sends an entry until it is taken, parked, or not asked for any more. */
  async #deliver(line: EntryLine): Promise<void> {
    let began: number | undefined;
    while (this.#receiver.wants(line)) {
      const early = this.#receiver.dueIn(line);
      if (early > 0) {
        await this.#rest.for(early);
        continue;
      }
      if (await this.#attempt(line)) return;
      const now = this.#parts.clock.monotonic();
      began ??= now;
      if (this.#isRefused || now - began >= TRIED_ALONE) {
        if (this.#receiver.hasTakenSince(began)) return this.#park(line);
        await this.#pause();
        if (await this.#isUp(line.seq)) continue;
      }
      await this.#pause();
    }
  }

  /** Sends an entry once; false when it was not taken. */
  async #attempt(line: EntryLine): Promise<boolean> {
    const result = await this.#receiver.send(line);
    this.#sent = true;
    if (result.kind === 'done') {
      this.#misses = 0;
      this.#pauses = 0;
      this.#lastError = undefined;
      this.#tookLast = line.seq;
      return true;
    }
    this.#misses += 1;
    this.#lastError = result.error;
    this.#isRefused = result.kind === 'refused';
    this.#retryAfter = result.kind === 'missed' ? result.retryAfter : undefined;
    return false;
  }

  async #pause(): Promise<void> {
    const pause = pauseAfter(this.#pauses, this.#retryAfter);
    this.#pauses += 1;
    await this.#rest.for(pause);
  }

  /**
   * Finds out whether the receiver is up: sends an entry behind `head` before its turn, or again what it took last
   * where there is none. False when that was not taken.
   */
  async #isUp(head: number): Promise<boolean> {
    const line = (await this.#later.next(head)) ?? (await this.#lastTaken());
    if (line === undefined || !(await this.#attempt(line))) return false;
    if (line.seq > head) this.#later.took(line.seq);
    return true;
  }

  #lastTaken(): Promise<EntryLine | undefined> {
    const seq = this.#tookLast;
    return seq === undefined ? Promise.resolve(undefined) : lineOf(this.#parts.log, seq);
  }

  /** Parks an entry: the receiver takes others. */
  async #park(line: EntryLine): Promise<void> {
    await this.#parked.add(line, this.#lastError);
    this.#goOn(line.seq);
    await this.record();
  }

  async #recordIfDue(): Promise<void> {
    const age = this.#parts.clock.monotonic() - this.#recordedAt;
    if (this.#sent ? age >= RECORD_EVERY : this.#parked.size > 0 && age >= RECORD_ATTEMPTS_EVERY) await this.record();
  }

  async #recordSkipped({ seq, event, since, attempts, waited_ms }: ParkedEntry, error: string): Promise<void> {
    const { log, clock } = this.#parts;
    const data = {
      url: nameOf(this.webhook.url),
      skipped_seq: seq,
      skipped_event: event,
      since,
      attempts,
      waited_ms,
      error,
    };
    await log.append([{ timestamp: timestamp(clock.now()), event: 'webhook.skipped', data }]);
    this.#refused += 1;
  }
}
