/**
 * What services and operators report about deliveries: confirmations by services, and requests to try deliveries again.
 */
import type { DeliveryStatus } from '../../machines/delivery.ts';
import type { Channel, ContainmentAction, Directive } from '../../machines/vocabulary.ts';
import { type Clock, timestamp } from '../clock.ts';
import type { AuditLog } from '../audit/log.ts';
import { isAbsence, RecorderError } from '../errors.ts';
import type { Caller } from '../domain/caller.ts';
import type { DeliveryName, DeliveryNews } from '../domain/delivery.ts';
import { obstacleTo } from '../domain/model-evidence.ts';
import type { IncidentActor, Sender } from '../incidents/incident-actor.ts';
import { type Targets, channelOf } from '../policy/targets.ts';
import type { CurrentReads } from '../projections/current-reads.ts';
import type { Observed } from '../domain/entries.ts';

/** One request changes no more deliveries than this; the next one takes the others. */
const MOST_AT_ONCE = 500;

/**
 * How many incidents are sent to at the same time: all of them are awake then, with their evidence. The longest evidence
 * takes 5 MiB in memory: 16 such incidents were more than the heap has.
 */
const MAX_AWAKE = 4;

export interface Confirmation {
  readonly action: ContainmentAction;
  /** The one incident that is meant; all that hold the action when not given. */
  readonly incident_id?: string;
  readonly directive: Directive;
  /** What the service sees of its own state. */
  readonly observed?: Observed;
  /** Who confirms. */
  readonly caller?: Caller;
}

export interface RetryRequest {
  readonly action: ContainmentAction;
  readonly incident_id?: string;
  readonly note?: string;
  /** Who asks. */
  readonly caller?: Caller;
}

export interface Confirmed {
  /** How many deliveries this has confirmed, or has shown to be lost. */
  readonly confirmed: number;
  readonly lost: number;
  /** How many are left for the next request. */
  readonly remaining: number;
}

export interface ConfirmationsDependencies {
  readonly incidents: { actor(id: string): Pick<IncidentActor, 'send' | 'delivery' | 'read'> };
  /** @throws RecorderError `log_unavailable` while the posture is behind the log */
  readonly current: () => Pick<CurrentReads, 'posture'>;
  readonly log: Pick<AuditLog, 'append'>;
  readonly targets: () => Targets;
  readonly clock: Clock;
  /** Makes the lane of an action look for due deliveries. */
  readonly wake: (action: ContainmentAction) => void;
}

const UNCONFIRMED: readonly DeliveryStatus[] = ['recorded', 'pending', 'delivering', 'failed', 'lost'];
/** Those that were sent to a target, or will be, and that it has not confirmed. */
const SENT: ReadonlySet<DeliveryStatus> = new Set(['pending', 'delivering', 'failed']);
const RETRIABLE: readonly DeliveryStatus[] = ['failed', 'lost', 'needs_person', 'delivering', 'recorded'];

const EXPECTED = { engage: 'engaged', release: 'released' } as const satisfies Record<Directive, Observed>;

export class Confirmations {
  readonly #dependencies: ConfirmationsDependencies;

  constructor(dependencies: ConfirmationsDependencies) {
    this.#dependencies = dependencies;
  }

  /**
   * Takes a service's confirmation that it has carried out a directive and still obeys it. When what it observes
   * contradicts the directive, the containment is lost.
   *
   * What is sent to a target is confirmed by that target first: by its answer, unless the policy says `confirm: callback`.
   * Otherwise whoever has a token could end the attempts by saying that it is done. What needs a person is confirmed
   * for the incident that the request names, and for no other: a service that confirms all it holds does not know of
   * it.
   * @throws RecorderError `not_found` for an unknown incident, `illegal_transition` when the directive is not in force or
   *   the incident does not hold the action, and what an append throws
   */
  async confirm({ action, incident_id, directive, observed, caller }: Confirmation): Promise<Confirmed> {
    const isDrill = this.#isDrill(incident_id);
    if (!isDrill) this.#requireInForce(action, directive);
    const contradicts = observed !== undefined && observed !== EXPECTED[directive];
    const news: DeliveryNews = contradicts
      ? { type: 'lost', reason: `its service says that it is ${observed}` }
      : {
          type: 'confirmed',
          attempted: false,
          receipt: { by: 'confirmation', ...(observed === undefined ? {} : { observed }) },
        };
    const statuses = contradicts ? ['confirmed' as const] : this.#confirmable(action, directive);
    const names = this.#named(action, directive, incident_id, statuses).filter(
      (name) => contradicts || this.#mayConfirm(name, incident_id !== undefined),
    );
    const changed = await this.#sendAll(names, news, { caller });
    if (!contradicts && changed === 0 && !isDrill) await this.#hear(action, directive, caller);
    return {
      confirmed: contradicts ? 0 : changed,
      lost: contradicts ? changed : 0,
      remaining: incident_id === undefined ? this.#left(action, directive, statuses) : 0,
    };
  }

  /**
   * Has deliveries tried again that failed, were lost or wait for their next attempt.
   * @throws RecorderError `not_found` for an unknown incident, `illegal_transition` when it has nothing to try again
   */
  async retry({ action, incident_id, caller, note }: RetryRequest): Promise<{ retried: number; remaining: number }> {
    const { incidents, current, targets, wake } = this.#dependencies;
    if (this.#isDrill(incident_id)) {
      throw new RecorderError('illegal_transition', `${incident_id} is a drill: begin another one`);
    }
    const directive: Directive = current().posture.of(action).holders > 0 ? 'engage' : 'release';
    const via = channelOf(targets(), action, directive);
    // What its service fetches can be tried again only if there is a target now.
    const statuses = RETRIABLE.filter((status) => status !== 'recorded' || via === 'push');
    const names = this.#named(action, directive, incident_id, statuses).filter((name) => {
      const status = incidents.actor(name.incident).delivery(action, directive)?.status;
      return status !== undefined && statuses.includes(status) && this.#obstacle(name, via) === undefined;
    });
    const retried = await this.#sendAll(names, { type: 'retried', via }, { caller, note });
    if (incident_id !== undefined && retried === 0) {
      const obstacle = this.#obstacle({ incident: incident_id, action, directive }, via);
      const what = `nothing of ${action} ${obstacle === undefined ? 'has to' : 'can'} be tried again for ${incident_id}`;
      throw new RecorderError('illegal_transition', obstacle === undefined ? what : `${what}: ${obstacle}`);
    }
    wake(action);
    // Attempts continue meanwhile, so some may be `delivering` again.
    const left = statuses.filter((status) => status !== 'delivering' && status !== 'needs_person');
    return { retried, remaining: incident_id === undefined ? this.#left(action, directive, left) : 0 };
  }

  /** Whether a request names a drill. What is said about a drill is said about no real incident, nor the reverse. */
  #isDrill(id: string | undefined): boolean {
    if (id === undefined) return false;
    try {
      return this.#dependencies.incidents.actor(id).read().incident.drill === true;
    } catch (error) {
      // What is not on record is refused later, in its turn.
      if (isAbsence(error)) return false;
      throw error;
    }
  }

  /** Why no attempt at a delivery could be made. */
  #obstacle({ incident, action, directive }: DeliveryName, via: Channel): string | undefined {
    if (directive === 'release') return undefined;
    return obstacleTo(action, via, this.#dependencies.incidents.actor(incident).read().incident);
  }

  /** The statuses in which a service may confirm a delivery. */
  #confirmable(action: ContainmentAction, directive: Directive): readonly DeliveryStatus[] {
    return this.#isConfirmedByTarget(action, directive)
      ? UNCONFIRMED.filter((status) => !SENT.has(status))
      : UNCONFIRMED;
  }

  /** Whether a service or person may confirm a delivery now; `isNamed` when the request names its incident. */
  #mayConfirm({ incident, action, directive }: DeliveryName, isNamed: boolean): boolean {
    const status = this.#dependencies.incidents.actor(incident).delivery(action, directive)?.status;
    if (status === 'needs_person') return isNamed;
    // Only its target can confirm what was sent.
    return status === undefined || !SENT.has(status) || !this.#isConfirmedByTarget(action, directive);
  }

  #isConfirmedByTarget(action: ContainmentAction, directive: Directive): boolean {
    const targets = this.#dependencies.targets();
    return channelOf(targets, action, directive) === 'push' && targets[action]?.confirm !== 'callback';
  }

  #requireInForce(action: ContainmentAction, directive: Directive): void {
    const { holders, since } = this.#dependencies.current().posture.of(action);
    const engaged = holders > 0;
    if (engaged === (directive === 'engage')) return;
    const now = engaged ? 'engaged' : since === null ? 'not engaged' : 'released';
    throw new RecorderError('illegal_transition', `${action} is ${now}: there is no ${directive} to confirm`, {
      fields: { action, engaged },
    });
  }

  /** The deliveries that are meant. */
  #named(
    action: ContainmentAction,
    directive: Directive,
    incident: string | undefined,
    statuses: readonly DeliveryStatus[],
  ): readonly DeliveryName[] {
    const { incidents, current } = this.#dependencies;
    const { posture } = current();
    if (incident !== undefined) {
      const name = { incident, action, directive };
      if (incidents.actor(incident).delivery(action, directive) !== undefined) return [name];
      throw new RecorderError('illegal_transition', `${incident} does not hold ${action}`, { fields: { action } });
    }
    const { release } = posture.of(action);
    if (directive === 'release') return release === null ? [] : [{ incident: release.incident, action, directive }];
    return statuses
      .flatMap((status) => posture.withStatus(action, status, MOST_AT_ONCE))
      .slice(0, MOST_AT_ONCE)
      .map((holder) => ({ incident: holder.incident, action, directive }));
  }

  /** How many deliveries this changed. */
  async #sendAll(names: readonly DeliveryName[], news: DeliveryNews, sender: Sender = {}): Promise<number> {
    const { incidents } = this.#dependencies;
    const send = ({ incident, ...delivery }: DeliveryName) =>
      incidents.actor(incident).send({ type: 'deliver', ...delivery, news }, sender);
    let moved = 0;
    for (let at = 0; at < names.length; at += MAX_AWAKE) {
      const handled = await Promise.all(names.slice(at, at + MAX_AWAKE).map(send));
      moved += handled.filter(({ change }) => change === 'moved').length;
    }
    return moved;
  }

  #left(action: ContainmentAction, directive: Directive, statuses: readonly DeliveryStatus[]): number {
    if (directive === 'release') return 0;
    const { counts } = this.#dependencies.current().posture.of(action);
    return statuses.reduce((sum, status) => sum + (counts[status] ?? 0), 0);
  }

  /** Records a sign of life if the policy asks for them and the last one is old enough. */
  async #hear(action: ContainmentAction, directive: Directive, caller: Caller | undefined): Promise<void> {
    const { current, log, targets, clock } = this.#dependencies;
    const every = targets()[action]?.confirm_every;
    const { heard_at } = current().posture.of(action);
    if (every === undefined) return;
    if (heard_at !== null && Math.abs(clock.now() - Date.parse(heard_at)) < every / 2) return;
    const data = { action, directive, ...caller };
    await log.append([{ timestamp: timestamp(clock.now()), event: 'containment.heard', data }]);
  }
}
