/**
 * Has the attestor prove the machine for incidents whose recovery asks for that.
 *
 * A request is an entry of the log before the attestor is asked, and it is pending until its outcome is one too: so a
 * crash in between loses nothing. The next start asks again. It does so with another nonce, because an attestation holds
 * from when it is made: nothing is carried out by asking, and an answer to a question of before the crash proves less.
 * While the attestor can't be reached it is asked again, with pauses that double up to a minute, for a day.
 *
 * One attestation is about the machine. It counts for all incidents that wait for one when it begins, each as it is then:
 * an incident that changes meanwhile takes no proof from before its change, and the attestor is asked again.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { DAY, type Clock, SECOND, timestamp } from '../clock.ts';
import type { Caller } from '../domain/caller.ts';
import type { IncidentRecord } from '../domain/incident.ts';
import type { RecoveryMessage } from '../domain/decide-recovery.ts';
import { withoutAnswer } from '../domain/withheld.ts';
import { isAbsence, RecorderError } from '../errors.ts';
import type { IncidentActor } from '../incidents/incident-actor.ts';
import { bindingOf } from '../incidents/recovery-binding.ts';
import type { CurrentReads } from '../projections/current-reads.ts';
import { isOfIncident } from '../projections/incident-proof.ts';
import type { AttestationOutcome, Attestor } from './attestor.ts';
import { pauseAfter } from './retry-pause.ts';

/** For how many incidents one attestation counts at most; the others wait for the next. */
const MOST_AT_ONCE = 100;
/** The least pause between two attestations: an incident that changes all the time must not keep a TPM busy. */
const LEAST_PAUSE = 1 * SECOND;
/** How long a request is tried while the attestor can't be reached. */
const TRIED_FOR = 1 * DAY;
/** How long a client waits for the outcome, in milliseconds: as long as the attestor may take, and a little more. */
const LONGEST_WAIT = 40 * SECOND;
/** How many clients may wait at the same time. */
const MOST_WAITING = 32;

const NO_ATTESTOR = 'RUNTIME_ATTESTOR_URL is not set: there is no attestor to ask';

export interface ReattestationDependencies {
  readonly incidents: { actor(id: string): Pick<IncidentActor, 'send' | 'read' | 'proved'> };
  /** @throws RecorderError `log_unavailable` while the reads are behind the log */
  readonly current: () => Pick<CurrentReads, 'recoveries'>;
  /** Undefined when none is configured. */
  readonly attestor: Attestor | undefined;
  readonly clock: Clock;
  /** Receives errors that should never happen. */
  readonly onFault: (error: unknown) => void;
}

/** An incident that waits for an attestation, as it is when that begins. */
interface Waiting {
  readonly id: string;
  readonly binding: string;
  readonly record: IncidentRecord;
}

/** A client that waits for the outcome of a request. */
interface Waiter {
  readonly settle: (record: IncidentRecord) => void;
  readonly fail: (error: RecorderError) => void;
}

export class Reattestation {
  readonly #dependencies: ReattestationDependencies;
  readonly #stopping = new AbortController();
  readonly #waiters = new Map<string, Set<Waiter>>();
  #waiting = 0;
  /** How often in a row the attestor could not be reached. */
  #misses = 0;
  /** When the last attestation ended, and when the next is due while nobody waits for it, by the monotonic clock. */
  #endedAt = -Infinity;
  #nextAt = -Infinity;
  #working: Promise<void> | undefined;
  /** Since when it can't be reached, and why; undefined while it answers. */
  #unreached: { readonly since: string; readonly error: string } | undefined;

  constructor(dependencies: ReattestationDependencies) {
    this.#dependencies = dependencies;
  }

  /** What an operator should know: that incidents wait for an attestor that can't be reached. Without its words. */
  get warnings(): readonly string[] {
    if (this.#unreached === undefined) return [];
    const { since, error } = this.#unreached;
    return [`incidents wait for the attestor, which could not be reached since ${since}: ${withoutAnswer(error)}`];
  }

  /**
   * Records that the attestor is to be asked for an incident, and waits for the outcome. When one is on record that
   * counts for the incident as it is, that is the outcome. A request that is pending is not recorded twice.
   * @returns the incident with the evidence
   * @throws RecorderError `attestation_refused` with `faults`; `attestor_unavailable` when it can't be reached, whose
   *   request stays pending; `illegal_transition` when no attestation is asked for; `not_found`, `gone`, `overloaded`,
   *   and what an append throws
   */
  async request(id: string, caller: Caller, note?: string, ifVersion?: number): Promise<IncidentRecord> {
    const { incidents, attestor } = this.#dependencies;
    if (attestor === undefined && incidents.actor(id).read().incident.recovery?.missing.includes('attest') === true) {
      throw new RecorderError('attestor_unavailable', NO_ATTESTOR);
    }
    if (this.#waiting >= MOST_WAITING) {
      throw new RecorderError('overloaded', `${MOST_WAITING} clients wait for the attestor already; try again later`);
    }
    this.#waiting += 1;
    try {
      const { record } = await incidents.actor(id).send({ type: 'request_attestation' }, { caller, note, ifVersion });
      const { attestation, attested } = record.incident.recovery ?? {};
      if (attestation !== undefined) return await this.#outcome(id);
      if (attested !== undefined) return record;
      throw needless(record);
    } finally {
      this.#waiting -= 1;
    }
  }

  /** Looks whether the attestor is to be asked. Called every second or so. */
  look(): void {
    const { clock } = this.#dependencies;
    const due = this.#waiters.size > 0 ? this.#endedAt + LEAST_PAUSE : this.#nextAt;
    if (this.#stopping.signal.aborted || this.#working !== undefined || clock.monotonic() < due) return;
    this.#working = this.#work().finally(() => (this.#working = undefined));
  }

  /** Breaks off what is asked; the next start asks again. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    for (const id of this.#waiters.keys()) this.#fail(id, stopping());
    await this.#working;
  }

  async #outcome(id: string): Promise<IncidentRecord> {
    if (this.#stopping.signal.aborted) throw stopping();
    const ended = new AbortController();
    const waiter = Promise.withResolvers<IncidentRecord>();
    const one: Waiter = { settle: waiter.resolve, fail: waiter.reject };
    const others = this.#waiters.get(id) ?? new Set();
    this.#waiters.set(id, others.add(one));
    this.look();
    const late = async (): Promise<never> => {
      await pause(LONGEST_WAIT, undefined, { signal: ended.signal });
      throw unavailable(`it has not answered within ${LONGEST_WAIT / SECOND} s`);
    };
    try {
      return await Promise.race([waiter.promise, late()]);
    } finally {
      ended.abort();
      others.delete(one);
      if (others.size === 0) this.#waiters.delete(id);
    }
  }

  async #work(): Promise<void> {
    try {
      this.#answerNeedless();
      const waiting = await this.#allWaiting();
      if (waiting.length === 0) {
        this.#unreached = undefined;
        return;
      }
      const outcome = await this.#attest();
      this.#endedAt = this.#dependencies.clock.monotonic();
      this.#misses = outcome.kind === 'unreachable' ? this.#misses + 1 : 0;
      this.#nextAt = this.#endedAt + Math.max(LEAST_PAUSE, this.#misses === 0 ? 0 : pauseAfter(this.#misses));
      this.#noteReach(outcome);
      for (const one of waiting) await this.#settle(one, outcome);
    } catch (error) {
      // While the reads are behind the log it is not known who waits. The next look finds it.
      if (!this.#stopping.signal.aborted && !(error instanceof RecorderError)) this.#dependencies.onFault(error);
    }
  }

  #noteReach(outcome: AttestationOutcome): void {
    const since = this.#unreached?.since ?? timestamp(this.#dependencies.clock.now());
    this.#unreached = outcome.kind === 'unreachable' ? { since, error: outcome.error } : undefined;
  }

  /** Answers the clients whose request is not pending any more: the recovery was waived meanwhile. */
  #answerNeedless(): void {
    for (const id of this.#waiters.keys()) {
      const record = this.#dependencies.incidents.actor(id).read();
      if (record.incident.recovery?.attestation !== undefined) continue;
      if (record.incident.recovery?.attested === undefined) this.#fail(id, needless(record));
      else this.#succeed(id, record);
    }
  }

  /** The incidents that wait for an attestation, each proved against the log. Those that can't be proved now wait on. */
  async #allWaiting(): Promise<readonly Waiting[]> {
    const { incidents, current } = this.#dependencies;
    const waiting: Waiting[] = [];
    for (const id of current().recoveries.attesting(MOST_AT_ONCE)) {
      try {
        const actor = incidents.actor(id);
        await actor.proved();
        const record = actor.read();
        waiting.push({ id, binding: bindingOf(record.incident), record });
      } catch (error) {
        if (!isOfIncident(error)) throw error;
        this.#fail(id, error as RecorderError);
      }
    }
    return waiting;
  }

  async #attest(): Promise<AttestationOutcome> {
    const { attestor } = this.#dependencies;
    if (attestor === undefined) return { kind: 'unreachable', error: NO_ATTESTOR };
    return attestor.attest(this.#stopping.signal);
  }

  /** Records what came of an attestation for one of the incidents that it is for. */
  async #settle({ id, binding, record }: Waiting, outcome: AttestationOutcome): Promise<void> {
    switch (outcome.kind) {
      case 'attested': {
        const { evidence } = outcome;
        const taken = await this.#send(id, { type: 'attest', binding, evidence });
        // What has changed meanwhile waits for the next attestation.
        if (taken !== undefined) this.#succeed(id, taken);
        return;
      }
      case 'refused': {
        const { faults } = outcome;
        await this.#send(id, { type: 'fail_attestation', faults });
        const message = `the machine could not be attested: ${faults.join('; ')}`;
        this.#fail(id, new RecorderError('attestation_refused', message, { fields: { faults } }));
        return;
      }
      case 'unreachable': {
        const { error } = outcome;
        const requested = record.incident.recovery?.attestation?.at;
        const isOver = requested !== undefined && this.#dependencies.clock.now() - Date.parse(requested) >= TRIED_FOR;
        if (isOver) await this.#send(id, { type: 'fail_attestation', error });
        this.#fail(id, unavailable(error));
        return;
      }
      default:
        outcome satisfies never;
    }
  }

  /** The incident after a message that it takes; undefined when it does not, or when that can't be recorded now. */
  async #send(id: string, message: RecoveryMessage): Promise<IncidentRecord | undefined> {
    try {
      const { change, record } = await this.#dependencies.incidents.actor(id).send(message);
      return change === 'moved' ? record : undefined;
    } catch (error) {
      if (!(error instanceof RecorderError)) throw error;
      // What was not recorded is asked again.
      if (!isAbsence(error)) this.#fail(id, error);
      return undefined;
    }
  }

  #succeed(id: string, record: IncidentRecord): void {
    for (const { settle } of this.#waiters.get(id) ?? []) settle(record);
  }

  #fail(id: string, error: RecorderError): void {
    for (const { fail } of this.#waiters.get(id) ?? []) fail(error);
  }
}

const needless = ({ incident: { state } }: IncidentRecord): RecorderError =>
  new RecorderError('illegal_transition', 'its recovery is waived: no attestation is asked for', { fields: { state } });

/** The request is on record: the next start asks the attestor. */
const stopping = (): RecorderError =>
  new RecorderError('stopping', 'the recorder is stopping; the request stays on record, and the next start asks again');

const unavailable = (error: string): RecorderError =>
  new RecorderError(
    'attestor_unavailable',
    `the attestor can't be reached: ${error}; the request stays on record and is tried again for a day`,
  );
