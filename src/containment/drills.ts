/**
 * Drills: rehearsals of the whole path from a report to the release, with the real targets that take part (`drill: true`).
 *
 * A drill is an incident that is marked as one. It goes to the targets through the lanes, one attempt at a time, behind
 * everything real. It ends when all that it asked for has been answered, or after a time; then it is resolved, and what
 * it asked for is released. It holds no action: the posture does not know of it, so a real incident is never hidden
 * behind it, and what a real incident holds is neither asked for nor released.
 *
 * There is one drill at a time. A drill that a restart finds half done ends there: it is resolved and released.
 */
import { setTimeout as pause } from 'node:timers/promises';
import type { ContainmentAction, Directive, IncidentClass } from '../../machines/vocabulary.ts';
import { type Clock, MINUTE, SECOND } from '../clock.ts';
import type { Caller } from '../domain/caller.ts';
import { type DeliveryNews, type DeliveryRecord, isUndelivered } from '../domain/delivery.ts';
import { documentOf, type IncidentDocument } from '../domain/document.ts';
import type { Incident } from '../domain/incident.ts';
import { isAbsence, RecorderError } from '../errors.ts';
import type { ActorRegistry } from '../incidents/actor-registry.ts';
import type { Recorder } from '../incidents/recorder.ts';
import { channelOf, type Targets } from '../policy/targets.ts';
import type { CurrentReads } from '../projections/current-reads.ts';
import type { Dispatcher } from './dispatcher.ts';
import { pauseAfter } from './retry-pause.ts';

/** For how long a release is tried; then an alert says that a person has to release it. */
const RELEASE_PATIENCE = 5 * MINUTE;
/** How often it is looked whether a service has confirmed, or a real directive has been sent. */
const LOOK_AGAIN = 0.1 * SECOND;
/** The pause before something is tried again that the log or the posture has refused. */
const TRY_AGAIN = 1 * SECOND;

export interface DrillRequest {
  readonly class: IncidentClass;
  readonly caller?: Caller | undefined;
  readonly note?: string | undefined;
}

export interface DrillsDependencies {
  readonly incidents: Pick<ActorRegistry, 'actor'>;
  readonly recorder: Pick<Recorder, 'drill'>;
  /** @throws RecorderError `log_unavailable`, `starting` while it is not known which drills there are */
  readonly current: () => Pick<CurrentReads, 'runningDrills'>;
  readonly targets: () => Targets;
  /** After how many milliseconds a drill ends although something was not answered. */
  readonly duration: () => number;
  readonly rehearse: Dispatcher['rehearse'];
  readonly clock: Clock;
  /** Receives errors that should never happen. */
  readonly onFault: (error: unknown) => void;
}

export class Drills {
  readonly #dependencies: DrillsDependencies;
  readonly #stopping = new AbortController();
  /** The drill that is running, and its end. */
  #running: { readonly id: string; readonly over: Promise<void> } | undefined;
  #isStarting = false;

  constructor(dependencies: DrillsDependencies) {
    this.#dependencies = dependencies;
  }

  /**
   * Begins a drill. It goes on by itself.
   * @returns its incident
   * @throws RecorderError `illegal_transition` while another one is running, and what an append throws
   */
  async start({ class: ofClass, caller, note }: DrillRequest): Promise<IncidentDocument> {
    const { recorder, current, targets, duration, clock } = this.#dependencies;
    this.#stopping.signal.throwIfAborted();
    const [known] = current().runningDrills();
    const running = this.#running?.id ?? known;
    if (this.#isStarting || running !== undefined) {
      const message = `a drill is running${running === undefined ? '' : `: ${running}`}; try again when it is over`;
      throw new RecorderError('illegal_transition', message, { fields: { incident: running ?? null } });
    }
    this.#isStarting = true;
    try {
      const inForce = targets();
      const asks = (action: ContainmentAction): boolean =>
        inForce[action]?.drill === true && channelOf(inForce, action, 'engage') === 'push';
      const record = await recorder.drill({ class: ofClass, caller, note, asks });
      this.#run(record.incident.id, clock.monotonic() + duration());
      return documentOf(record);
    } finally {
      this.#isStarting = false;
    }
  }

  /** Ends what a restart has interrupted. To be called every second or so; cheap when there is nothing to do. */
  look(): void {
    if (this.#running !== undefined || this.#isStarting || this.#stopping.signal.aborted) return;
    try {
      const [id] = this.#dependencies.current().runningDrills();
      if (id !== undefined) this.#run(id, -Infinity);
    } catch (error) {
      if (!(error instanceof RecorderError)) this.#dependencies.onFault(error);
    }
  }

  /** Breaks the drill off; the next start ends it. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running?.over;
  }

  /** @param endAt when the drill ends although something was not answered, by the monotonic clock */
  #run(id: string, endAt: number): void {
    const over = this.#rehearse(id, endAt)
      .catch((error: unknown) => {
        if (!this.#stopping.signal.aborted && !isAbsence(error)) this.#dependencies.onFault(error);
      })
      .finally(() => (this.#running = undefined));
    this.#running = { id, over };
  }

  async #rehearse(id: string, endAt: number): Promise<void> {
    const incident = await this.#read(id);
    const asked = (incident.containment?.actions ?? []).filter(isUndelivered);
    await Promise.all(asked.map(({ action }) => this.#carryOut(id, action, 'engage', endAt)));
    await this.#insist(() =>
      this.#dependencies.incidents.actor(id).send({ type: 'resolve' }, { note: 'The drill ends.' }),
    );
    const { drill_releases: releases = [] } = await this.#read(id);
    const patience = this.#dependencies.clock.monotonic() + RELEASE_PATIENCE;
    await Promise.all(
      releases.filter(isUndelivered).map(({ action }) => this.#carryOut(id, action, 'release', patience)),
    );
  }

  /** Sends a directive until it is answered, spared, or its time is over. */
  async #carryOut(incident: string, action: ContainmentAction, directive: Directive, endAt: number): Promise<void> {
    const { clock, rehearse } = this.#dependencies;
    const find = async (): Promise<DeliveryRecord | undefined> =>
      deliveryIn(await this.#read(incident), action, directive);
    for (;;) {
      const delivery = await find();
      if (delivery === undefined || !isUndelivered(delivery)) return;
      const isOver = clock.monotonic() >= endAt;
      // What an engage has not got is superseded by the end of the drill.
      if (isOver && directive === 'engage') return;
      const result = await this.#insist(() => rehearse({ incident, action, directive }));
      if (result.kind === 'later') {
        await this.#rest(LOOK_AGAIN);
        continue;
      }
      const news = newsOf(result, delivery, isOver);
      await this.#insist(() =>
        this.#dependencies.incidents.actor(incident).send({ type: 'deliver', action, directive, news }),
      );
      if (news.type !== 'missed') return;
      const until = Math.min(clock.monotonic() + news.wait, endAt);
      for (let now = await find(); now !== undefined && isUndelivered(now); now = await find()) {
        const left = until - clock.monotonic();
        if (left <= 0) break;
        await this.#rest(Math.min(left, LOOK_AGAIN));
      }
    }
  }

  #read(id: string): Promise<Incident> {
    return this.#insist(() => this.#dependencies.incidents.actor(id).read().incident);
  }

  /** Does something again and again while the recorder refuses it now. @throws when it stops, and any other error */
  async #insist<Result>(work: () => Result | Promise<Result>): Promise<Result> {
    for (;;) {
      this.#stopping.signal.throwIfAborted();
      try {
        return await work();
      } catch (error) {
        if (!(error instanceof RecorderError) || isAbsence(error)) throw error;
        await this.#rest(TRY_AGAIN);
      }
    }
  }

  async #rest(milliseconds: number): Promise<void> {
    await pause(milliseconds, undefined, { signal: this.#stopping.signal });
  }
}

const deliveryIn = (
  { containment, drill_releases: releases = [] }: Incident,
  action: ContainmentAction,
  directive: Directive,
): DeliveryRecord | undefined =>
  (directive === 'engage' ? (containment?.actions ?? []) : releases).find((delivery) => delivery.action === action);

/** @param isOver whether this was the last attempt */
function newsOf(
  result: Exclude<Awaited<ReturnType<Dispatcher['rehearse']>>, { kind: 'later' }>,
  { attempts }: DeliveryRecord,
  isOver: boolean,
): DeliveryNews {
  switch (result.kind) {
    case 'done':
      return { type: 'confirmed', attempted: true, receipt: result.receipt };
    case 'refused':
      return { type: 'refused', error: result.error, ...(result.unsent && { unsent: true }) };
    case 'spared':
      return { type: 'spared', reason: result.reason };
    case 'accepted':
    case 'missed':
      return { type: 'missed', error: result.error, wait: isOver ? Infinity : pauseAfter(attempts, result.retryAfter) };
    default:
      return result satisfies never;
  }
}
