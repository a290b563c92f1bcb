/**
 * One incident as it lives: an XState actor with a mailbox, and the record that goes with its snapshot.
 *
 * A message is handled in four steps:
 * 1. *Wake*: an actor that is asleep gets its persisted snapshot back. That carries nothing out again.
 * 2. *Decide*: the statechart says, for the actor's own snapshot, what follows from the message. Nothing has changed yet.
 * 3. *Append*: the entries go to the audit log. When they are refused, nothing changes.
 * 4. *Take*: once they are on disk the XState actor takes the event of each entry, and its actions carry out what the
 *    chart asks for. This happens in the log's own turn (`take`), so nobody sees the incident in between.
 *
 * A report has no step 1: its actor is spawned by step 4. It starts in its chart, and the entry actions of the chart, run
 * as the actor's own, engage containment. All incidents under the same rule begin alike, so what the chart gives for a
 * rule is asked once and kept (`Birth`): to ask each time would cost four times as much. XState's own object for the
 * actor is made from the snapshot when the first event comes, as most incidents get none while they are in memory.
 * An actor whose incident is resolved has stopped; it sleeps as soon as its mailbox is empty.
 */
import { type Actor, type ActorOptions, type AnyActorRef, createActor, type initialTransition } from 'xstate';
import {
  allowedIn,
  type IncidentSnapshot,
  RECOVERY_INCOMPLETE,
  snapshotOf,
  transitionsIn,
} from '../../machines/decision.ts';
import type { incidentMachine } from '../../machines/incident.ts';
import type { Channel, ContainmentAction, Directive, Rule } from '../../machines/vocabulary.ts';
import type { AuditLog } from '../audit/log.ts';
import { type Clock, timestamp } from '../clock.ts';
import type { Caller } from '../domain/caller.ts';
import {
  type Circumstances,
  decide,
  followUpsOf,
  markedAsDrill,
  type IncidentDecision,
  type Message,
} from '../domain/decide-incident.ts';
import { type ActMessage, decideAct, decideNote, isAct, reopenedAs } from '../domain/decide-acts.ts';
import { decideRecovery, isRecoveryMessage, type RecoveryMessage } from '../domain/decide-recovery.ts';
import { type DeliveryName, type DeliveryRecord, isHeld } from '../domain/delivery.ts';
import type { EntryOf, IncidentDraft, IncidentEntry, LineExtent } from '../domain/entries.ts';
import {
  decidedEffect,
  effectOf,
  evolve,
  fold,
  type IncidentRecord,
  opened,
  type RecordChange,
} from '../domain/incident.ts';
import { type CarriedParts, carry } from '../domain/whole-incident.ts';
import { RecorderError } from '../errors.ts';
import type { CurrentReads } from '../projections/current-reads.ts';
import { Mailbox } from './mailbox.ts';
import { bindingOf } from './recovery-binding.ts';
import type { ReportCounter } from './report-counter.ts';
import type { SharedAppend } from './shared-append.ts';

/** Receives every step that the XState actors take. */
export type Inspect = NonNullable<ActorOptions<typeof incidentMachine>['inspect']>;

/** Who sends a message, what they say about it, and the version that they have seen. */
export interface Sender {
  /** Undefined when the recorder itself does. */
  readonly caller?: Caller | undefined;
  readonly note?: string | undefined;
  /** The version that the incident must have, or have had before entries that decide nothing; any when not given. */
  readonly ifVersion?: number | undefined;
}

export interface Handled {
  /** `unchanged` when the incident was there already, or the news came too late. */
  readonly change: 'moved' | 'unchanged';
  /** The incident after the message. */
  readonly record: IncidentRecord;
}

/** How the incidents of a rule begin: their first snapshot, and the actions of the chart that led there. */
export type Birth = ReturnType<typeof initialTransition<typeof incidentMachine>>;

export interface ActorDependencies {
  /** The incident's machine, with actions that carry containment out. */
  readonly machine: typeof incidentMachine;
  readonly birth: (rule: Rule) => Birth;
  readonly inspect: Inspect | undefined;
  readonly log: Pick<AuditLog, 'append'>;
  /** Reads that are up with the log. @throws RecorderError `log_unavailable` while they are not */
  readonly current: () => CurrentReads;
  readonly channelOf: (action: ContainmentAction, directive: Directive) => Channel;
  readonly clock: Clock;
  /** Counts the reports that are decided, refused and durable. */
  readonly reports: Pick<ReportCounter, 'count' | 'appended' | 'refused' | 'taken'>;
  /**
   * Proves an incident against the log while the database is not proved; undefined when that is not needed. Rejects
   * with RecorderError `log_unavailable` when the incident is not what the log says, or that can't be said now.
   */
  readonly prove?: ((id: string) => Promise<void> | undefined) | undefined;
  /** Whether it is proved that an action is not in force. */
  readonly isProved?: ((action: ContainmentAction) => boolean) | undefined;
  /** Called when the mailbox has become empty, and when an actor wakes. */
  readonly onRest: (actor: IncidentActor) => void;
  readonly onWake: (actor: IncidentActor) => void;
  /** Called when its weight changes by so much while it is awake. */
  readonly onGrowth: (by: number) => void;
}

/** The incident that takes another one up again: its actor, and the entries that open it. */
export interface Reopening {
  readonly other: IncidentActor;
  readonly drafts: readonly IncidentDraft[];
}

export class IncidentActor {
  readonly id: string;
  readonly #dependencies: ActorDependencies;
  readonly #mailbox: Mailbox;
  /** How long the record is as JSON, near enough, in characters; 0 while asleep. */
  weight = 0;
  /** Whether this process has opened the incident. */
  #isOwn = false;
  /** Made when the chart takes an event: most incidents take none while they are in memory. */
  #xstate: Actor<typeof incidentMachine> | undefined;
  #record: IncidentRecord | undefined;
  /** The delivery of the decision that is being appended, as its first entry leaves it. */
  #decided: DeliveryRecord | undefined;
  /** How much of the weight is that of the latest further report. */
  #latestWeight = 0;
  /** The entries that it has added to a shared append, as far as `#ahead` does not hold them. */
  #shared: IncidentDraft[] = [];
  /** The record as the entries of a shared append will leave it. */
  #ahead: IncidentRecord | undefined;

  /** Only the registry calls this: it keeps a single actor for each incident. */
  constructor(id: string, dependencies: ActorDependencies) {
    this.id = id;
    this.#dependencies = dependencies;
    this.#mailbox = new Mailbox(() => dependencies.onRest(this));
  }

  get isAwake(): boolean {
    return this.#record !== undefined;
  }

  get isIdle(): boolean {
    return this.#mailbox.isEmpty;
  }

  /** Whether its incident is resolved: the statechart is at its end. */
  get isDone(): boolean {
    return this.#record?.snapshot.status === 'done';
  }

  /**
   * Sends a message to the incident, and resolves when what follows from it is on disk and carried on.
   * @throws RecorderError `not_found`, `gone` when it may be in the archive, `illegal_transition` (with `state`,
   *   `allowed`, `transitions`, and `missing` of a recovery), `forbidden`, `stale_version` (with `version`), `log_unavailable`, `overloaded`, `too_large`,
   *   `stopping`; nothing has changed then
   */
  send(message: Message | RecoveryMessage | ActMessage, sender: Sender = {}): Promise<Handled> {
    return this.#mailbox.post(async () => {
      const proof = this.#proof();
      if (proof !== undefined) await proof;
      const current = this.#dependencies.current();
      const record = this.#wake(current);
      if (message.type === 'deliver' && message.directive === 'release') this.#requireProof(message.action);
      requireVersion(record, sender.ifVersion);
      const decision = permitted(message, this.#decide(record, message, sender, current));
      if (decision.kind === 'unchanged') return { change: 'unchanged', record };
      return { change: 'moved', record: await this.#append(decision.drafts, decision.delivery) };
    });
  }

  /**
   * Opens the incident by the entries that `decideReport` has drafted.
   * @throws RecorderError like `send`
   */
  open(drafts: readonly IncidentDraft[]): Promise<IncidentRecord> {
    return this.#mailbox.post(() => this.#append(drafts));
  }

  /**
   * Takes part in a shared append: from then on no other message is handled until that is over.
   * @returns the record, when all messages before are handled
   * @throws RecorderError like `send`; it takes no part then
   */
  join(shared: SharedAppend): Promise<IncidentRecord> {
    const { promise, resolve, reject } = Promise.withResolvers<IncidentRecord>();
    const share = async (): Promise<void> => {
      const proof = this.#proof();
      if (proof !== undefined) await proof;
      resolve(this.#wake(this.#dependencies.current()));
      await this.#sharing(shared);
    };
    this.#mailbox.post(share).catch(reject);
    return promise;
  }

  /** Adds the entries that open the incident to a shared append. */
  openWith(shared: SharedAppend, drafts: readonly IncidentDraft[]): void {
    void this.#mailbox.post(() => this.#sharing(shared));
    this.#share(shared, drafts);
  }

  /**
   * Decides a message on the incident as the entries of the shared append leave it, in which it takes part, and adds
   * what follows to that.
   * @returns the entries that were added; none when the message changes nothing
   * @throws RecorderError like `send`; nothing was added then
   */
  decideWith(shared: SharedAppend, message: Message, sender: Sender = {}): readonly IncidentDraft[] {
    const record = this.#recordAhead();
    const decision = permitted(message, this.#decide(record, message, sender, this.#dependencies.current()));
    if (decision.kind === 'unchanged') return [];
    const drafts = record.incident.drill === true ? decision.drafts.map(markedAsDrill) : decision.drafts;
    this.#share(shared, drafts);
    return drafts;
  }

  /**
   * Takes the resolved incident up again as another one. The entries that open that one and the entry by which this one
   * names it are one write.
   * @param begin drafts the entries that open the other one, whose actor it gives
   * @returns the identifier of the other one, and whether this has opened it: it may have been before
   * @throws RecorderError like `send`; `illegal_transition` for an incident that is not resolved, and for a drill
   */
  reopen(
    begin: (record: IncidentRecord, circumstances: Circumstances) => Reopening,
    sender: Sender = {},
  ): Promise<{ readonly as: string; readonly isNew: boolean }> {
    return this.#mailbox.post(async () => {
      const proof = this.#proof();
      if (proof !== undefined) await proof;
      const record = this.#wake(this.#dependencies.current());
      requireVersion(record, sender.ifVersion);
      const { reopened_as: as } = record.incident;
      if (as !== undefined) return { as, isNew: false };
      requireReopenable(record);
      const circumstances = this.#circumstances(sender);
      const { other, drafts } = begin(record, circumstances);
      // The log finds the actor of the other one only while that has something to do.
      await other.exclusively(() => this.#append([...drafts, reopenedAs(other.id, record, circumstances)]));
      return { as: other.id, isNew: true };
    });
  }

  /**
   * Names the incident that has taken this one up again, where a crash came between both entries.
   * @throws RecorderError like `send`
   */
  completeReopening(as: string, sender: Sender): Promise<void> {
    return this.#mailbox.post(async () => {
      const proof = this.#proof();
      if (proof !== undefined) await proof;
      const record = this.#wake(this.#dependencies.current());
      if (record.incident.reopened_as !== undefined) return;
      await this.#append([reopenedAs(as, record, this.#circumstances(sender))]);
    });
  }

  /**
   * Appends the entries that should follow the last entry of the log, where a crash came between them.
   * @throws RecorderError like `send`
   */
  complete(last: IncidentEntry): Promise<void> {
    return this.#mailbox.post(async () => {
      const proof = this.#proof();
      if (proof !== undefined) await proof;
      const record = this.#wake(this.#dependencies.current());
      if (record.incident.version !== last.data.version) return;
      const now = timestamp(this.#dependencies.clock.now());
      const missing = followUpsOf(last, record).map((draft) => ({ ...draft, timestamp: now }));
      if (missing.length > 0) await this.#append(missing);
    });
  }

  /**
   * Carries the incident over: an entry repeats all of it, so that those before can go to the archive. Nothing else about
   * it changes. One that is resolved is left as it is.
   * @param partsOf reads what the entry says besides the record, while no message changes it
   * @param caller who asks for it
   * @returns whether the entry was written
   * @throws RecorderError like `send`
   */
  carry(partsOf: (record: IncidentRecord, time: string) => Promise<CarriedParts>, caller?: Caller): Promise<boolean> {
    return this.#mailbox.post(async () => {
      const proof = this.#proof();
      if (proof !== undefined) await proof;
      const record = this.#wake(this.#dependencies.current());
      if (record.incident.state === 'resolved') return false;
      const time = timestamp(this.#dependencies.clock.now());
      const parts = await partsOf(record, time);
      await this.#append([carry(record, parts, time, caller)]);
      return true;
    });
  }

  /** The incident as it is now. @throws RecorderError `not_found`, `log_unavailable` */
  read(): IncidentRecord {
    try {
      return this.#wake(this.#dependencies.current());
    } finally {
      if (this.isIdle) this.#dependencies.onRest(this);
    }
  }

  /**
   * Proves the incident while the database is not proved: what follows leaves the recorder.
   * @throws RecorderError `log_unavailable`, `overloaded`
   */
  proved(): Promise<void> {
    return this.#mailbox.post(async () => this.#proof());
  }

  /** One of its deliveries as it is now, if there is such a one. @throws RecorderError like `read` */
  delivery(action: ContainmentAction, directive: Directive): DeliveryRecord | undefined {
    return deliveryOf(this.read(), { action, directive }, this.#dependencies.current());
  }

  /** Runs work while no message is handled; messages that arrive meanwhile wait. */
  exclusively<Result>(work: () => Promise<Result>): Promise<Result> {
    return this.#mailbox.post(work);
  }

  /**
   * Takes an entry about the incident that has just reached the disk. The log calls this in the order of its entries,
   * before the append that wrote them resolves.
   * @throws Contradiction when the statechart does not allow the entry
   */
  take(entry: IncidentEntry & LineExtent): RecordChange {
    const before = this.#record;
    const now = entry.event === 'incident.reported' ? this.#spawn(entry) : this.#follow(entry);
    this.#record = now;
    if (entry.event === 'incident.recurred') this.#weighLatest(entry.length);
    else if ('note' in entry.data) this.#grow(entry.data.note?.length ?? 0);
    return { before, now };
  }

  /** Drops what is in memory; the next message wakes the actor from its persisted snapshot. */
  passivate(): void {
    // An actor without an inspector holds no resources, and stopping it would cost half as much as waking it.
    if (this.#dependencies.inspect !== undefined) this.#xstate?.stop();
    this.#xstate = undefined;
    this.#record = undefined;
    this.weight = 0;
    this.#latestWeight = 0;
  }

  #decide(
    record: IncidentRecord,
    message: Message | RecoveryMessage | ActMessage,
    sender: Sender,
    current: CurrentReads,
  ): IncidentDecision {
    const circumstances = this.#circumstances(sender);
    if (isAct(message)) return orNoted(decideAct(record, message, circumstances), record, circumstances);
    if (isRecoveryMessage(message)) {
      return decideRecovery(record, message, { ...circumstances, binding: bindingOf(record.incident) });
    }
    const delivery = message.type === 'deliver' ? deliveryOf(record, message, current) : undefined;
    const decision = decide(record, message, circumstances, delivery);
    return message.type === 'acknowledge' ? orNoted(decision, record, circumstances) : decision;
  }

  async #sharing(shared: SharedAppend): Promise<void> {
    await shared.over;
    this.#shared = [];
    this.#ahead = undefined;
  }

  #share(shared: SharedAppend, drafts: readonly IncidentDraft[]): void {
    const { reports } = this.#dependencies;
    const [first] = drafts;
    if (first === undefined) return;
    reports.appended(first);
    shared.add(drafts, () => reports.refused(first));
    this.#shared.push(...drafts);
  }

  #recordAhead(): IncidentRecord {
    let record = this.#ahead ?? this.#record;
    for (const draft of this.#shared.splice(0)) record = fold(record, entryAhead(draft));
    return (this.#ahead = record ?? this.#wake(this.#dependencies.current()));
  }

  #weighLatest(length: number): void {
    const growth = length - this.#latestWeight;
    this.#latestWeight = length;
    this.#grow(growth);
  }

  #grow(by: number): void {
    this.weight += by;
    this.#dependencies.onGrowth(by);
  }

  /** The proof of the incident; undefined when it needs none: this process has opened it, or the database is proved. */
  #proof(): Promise<void> | undefined {
    if (this.#isOwn) return undefined;
    this.#dependencies.current();
    return this.#dependencies.prove?.(this.id);
  }

  #requireProof(action: ContainmentAction): void {
    if (this.#dependencies.isProved?.(action) !== false) return;
    throw new RecorderError('log_unavailable', `it is not proved yet that ${action} is not in force; try again`);
  }

  #spawn(entry: EntryOf<'incident.reported'> & LineExtent): IncidentRecord {
    const [snapshot, actions] = this.#dependencies.birth(entry.data.rule);
    this.weight = entry.length;
    this.#isOwn = true;
    this.#dependencies.onWake(this);
    if (this.#dependencies.inspect !== undefined) this.#xstate = this.#create(snapshot);
    // The actions look at the identifier only.
    const self: AnyActorRef = this.#xstate ?? ({ id: this.id } as AnyActorRef);
    for (const { exec, info, params } of actions) exec?.(Object.assign({ ...info }, { self }), params);
    return opened(entry, snapshot);
  }

  #follow(entry: IncidentEntry): IncidentRecord {
    const record = this.#record!;
    const decided = this.#decided;
    this.#decided = undefined;
    const { event, delivery } = decided === undefined ? effectOf(record, entry) : decidedEffect(decided, entry);
    if (event === undefined) return evolve(record, entry, record.snapshot, delivery);
    const xstate = (this.#xstate ??= this.#create(record.snapshot));
    xstate.send(event);
    return evolve(record, entry, xstate.getSnapshot(), delivery);
  }

  #wake(current: CurrentReads): IncidentRecord {
    if (this.#record !== undefined) return this.#record;
    const persisted = current.incident(this.id);
    if (persisted === undefined) throw current.absenceOf(this.id);
    const { incident, context, seq, decisive, carried, length } = persisted;
    const snapshot = snapshotOf(incident.state, context);
    this.weight = length;
    this.#dependencies.onWake(this);
    if (this.#dependencies.inspect !== undefined) this.#xstate = this.#create(snapshot);
    this.#record = { incident, snapshot, seq, decisive, carried };
    return this.#record;
  }

  /** A root actor that goes on from a snapshot. */
  #create(snapshot: IncidentSnapshot): Actor<typeof incidentMachine> {
    const { machine, inspect } = this.#dependencies;
    const options = inspect === undefined ? { id: this.id, snapshot } : { id: this.id, snapshot, inspect };
    return createActor(machine, options).start();
  }

  /** @param delivery the delivery that the first entry is about, as it is then */
  #append(drafts: readonly IncidentDraft[], delivery?: DeliveryRecord): Promise<IncidentRecord> {
    this.#decided = delivery;
    const isDrill = this.#record?.incident.drill ?? drafts[0]?.data.drill;
    const written = isDrill === true ? drafts.map(markedAsDrill) : drafts;
    const { log, reports } = this.#dependencies;
    const [first] = written;
    if (first !== undefined) reports.appended(first);
    return log.append(written).then(
      // Should it not have taken its own entries, it is what the projections make of them.
      () => this.#record ?? this.#wake(this.#dependencies.current()),
      (error: unknown) => {
        if (first !== undefined) reports.refused(first);
        throw error;
      },
    );
  }

  #circumstances({ caller, note }: Sender): Circumstances {
    const { clock, channelOf, reports } = this.#dependencies;
    return { timestamp: timestamp(clock.now()), channelOf, counted: reports.count, caller, note };
  }
}

/** The delivery that a message is about, as it is now. What is resolved holds nothing any more. */
function deliveryOf(
  { incident }: IncidentRecord,
  { action, directive }: Pick<DeliveryName, 'action' | 'directive'>,
  { posture }: CurrentReads,
): DeliveryRecord | undefined {
  if (directive === 'engage') {
    const held = incident.state === 'resolved' ? undefined : incident.containment?.actions;
    return held?.find((delivery) => delivery.action === action && isHeld(delivery));
  }
  if (incident.drill === true) return incident.drill_releases?.find((release) => release.action === action);
  const { release } = posture.of(action);
  return release?.incident === incident.id ? release.delivery : undefined;
}

/** An expected version holds as long as no entry after it decides anything. */
function requireVersion({ incident: { version }, decisive }: IncidentRecord, expected: number | undefined): void {
  if (expected === undefined || (expected >= decisive && expected <= version)) return;
  const message = `the incident is at version ${version}, not ${expected}`;
  throw new RecorderError('stale_version', message, { fields: { version } });
}

/** @throws RecorderError `illegal_transition` */
function requireReopenable({ incident: { state, drill }, snapshot }: IncidentRecord): void {
  if (state === 'resolved' && drill !== true) return;
  const message =
    state === 'resolved'
      ? 'reopen is not possible: it was a drill; begin another one'
      : `reopen is not possible: the incident is ${state}`;
  const fields = { state, allowed: allowedIn(snapshot), transitions: transitionsIn(snapshot) };
  throw new RecorderError('illegal_transition', message, { fields });
}

/** What a person asks for may be done already; their note is kept all the same. */
const orNoted = (decision: IncidentDecision, record: IncidentRecord, circumstances: Circumstances): IncidentDecision =>
  decision.kind === 'unchanged' ? decideNote(record, circumstances) : decision;

/** What a message decides when it is legal. @throws RecorderError `illegal_transition`, `forbidden` */
function permitted(
  message: Message | RecoveryMessage | ActMessage,
  decision: IncidentDecision,
): Exclude<IncidentDecision, { readonly kind: 'refused' | 'forbidden' }> {
  if (decision.kind === 'refused') throw refusal(message, decision);
  if (decision.kind !== 'forbidden') return decision;
  const { because, needs, roles, missing } = decision;
  const fields = { ...(needs && { needs, roles }), ...(missing && { missing }) };
  throw new RecorderError('forbidden', `forbidden: ${because}`, { fields });
}

/** An entry that is not in the log yet: its place and its hash are not known. */
const entryAhead = ({ data, ...draft }: IncidentDraft): IncidentEntry =>
  ({ ...draft, data: { seq: 0, ...data }, prev_hash: '', entry_hash: '', algorithm: '' }) as unknown as IncidentEntry;

const refusal = (
  { type }: Message | RecoveryMessage | ActMessage,
  { state, allowed, transitions, missing, because, holds }: Extract<IncidentDecision, { kind: 'refused' }>,
): RecorderError => {
  const message = because ?? (missing && RECOVERY_INCOMPLETE) ?? `${type} is not possible: the incident is ${state}`;
  return new RecorderError('illegal_transition', message, {
    fields: { ...(missing && { missing }), state, ...(holds && { holds }), allowed, transitions },
  });
};
