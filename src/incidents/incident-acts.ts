/**
 * What people do with incidents besides commands: note, assign, snooze, reopen.
 *
 * Each act is a message to the incident's actor, and an entry in the log. A request that is sent again does no harm: who
 * it is assigned to already, and until when it is snoozed already, changes nothing; the same note of the same person
 * within ten minutes counts once; and an incident is reopened once.
 */
import type { Channel, ContainmentAction, Directive, Rule } from '../../machines/vocabulary.ts';
import { readEntriesAt } from '../audit/log-reader.ts';
import type { ReadableLog } from '../audit/log.ts';
import { type Clock, DAY, timestamp } from '../clock.ts';
import type { Caller } from '../domain/caller.ts';
import { type ActMessage, decideReopening } from '../domain/decide-acts.ts';
import { documentOf, type IncidentDocument } from '../domain/document.ts';
import type { IncidentRecord } from '../domain/incident.ts';
import { isAbsence, RecorderError } from '../errors.ts';
import type { PolicyContent } from '../policy/policy.ts';
import { isOfIncident } from '../projections/incident-proof.ts';
import type { Projections } from '../projections/projections.ts';
import type { ActorRegistry } from './actor-registry.ts';
import { incidentId } from './incident-id.ts';

/** For how long an incident may be snoozed, in milliseconds. */
const LONGEST_SNOOZE = 90 * DAY;
/** @throws RecorderError `invalid_request` for a time until which nothing may be snoozed. Both in milliseconds since the epoch */
export function requireSnoozable(until: number, now: number): void {
  if (until > now && until <= now + LONGEST_SNOOZE) return;
  const message = `until must be in the future, at most ${LONGEST_SNOOZE / DAY} days ahead; null ends the snooze`;
  throw new RecorderError('invalid_request', message);
}

/** How many reopenings a start completes. A crash leaves one. */
const MOST_COMPLETED = 16;

/** Which incident an act is about, who does it, and what they say about it. */
export interface Act {
  readonly id: string;
  readonly note?: string | undefined;
  readonly caller?: Caller | undefined;
  /** The version that the incident must have; any when not given. */
  readonly ifVersion?: number | undefined;
}

export interface Reopened {
  /** The incident that takes it up again. */
  readonly incident: IncidentDocument;
  /** Whether it was opened by this. */
  readonly isNew: boolean;
}

export interface IncidentActsDependencies {
  readonly incidents: ActorRegistry;
  readonly projections: Pick<Projections, 'current' | 'latest' | 'incidents'>;
  readonly log: ReadableLog;
  readonly policy: () => Pick<PolicyContent, 'rules'>;
  readonly channelOf: (action: ContainmentAction, directive: Directive) => Channel;
  readonly clock: Clock;
  /** Whether the clock has jumped a short time ago. */
  readonly isClockUncertain: () => boolean;
  /** Random bytes, from a source that can't be guessed. */
  readonly random: (bytes: number) => Buffer;
}

export class IncidentActs {
  readonly #dependencies: IncidentActsDependencies;

  constructor(dependencies: IncidentActsDependencies) {
    this.#dependencies = dependencies;
  }

  /**
   * Adds a note, in every state.
   * @throws RecorderError like `IncidentActor.send`
   */
  note(act: Act & { readonly note: string }): Promise<IncidentDocument> {
    return this.#send({ type: 'note' }, act);
  }

  /**
   * Says who works the incident, in every state.
   * @param to null for nobody
   * @throws RecorderError like `IncidentActor.send`
   */
  assign(to: string | null, act: Act): Promise<IncidentDocument> {
    return this.#send({ type: 'assign', to }, act);
  }

  /**
   * Acknowledges the incident until a time and hides it from what needs attention; then it comes back by itself.
   * @param until milliseconds since the epoch; null ends the snooze
   * @throws RecorderError `invalid_request` for a time that is over or too far ahead; like `IncidentActor.send`
   */
  async snooze(until: number | null, act: Act): Promise<IncidentDocument> {
    if (until === null) return this.#send({ type: 'wake' }, act);
    requireSnoozable(until, this.#dependencies.clock.now());
    return this.#send({ type: 'snooze', until: timestamp(until) }, act);
  }

  /**
   * Takes a resolved incident up again: opens another one, of the same class, source, description and evidence, under the
   * rule in force. Each names the other. One that was reopened before gives that incident while it is not resolved.
   * @throws RecorderError `illegal_transition` for an incident that is not resolved (with `state`), and for one whose
   *   successor is resolved or in the archive (with `state` and `reopened_as`); like `IncidentActor.send`
   */
  async reopen({ id, note, caller, ifVersion }: Act): Promise<Reopened> {
    const { incidents, projections, clock, random, policy, isClockUncertain } = this.#dependencies;
    const { as, isNew } = await incidents.actor(id).reopen(
      (record, circumstances) => {
        const isTaken = (one: string): boolean => incidents.has(one) || projections.incidents.has(one);
        const other = incidents.actor(incidentId(clock.now(), random, isTaken));
        // It repeats nothing: the entry of a first report keeps no such part of the rule.
        const rule: { -readonly [Key in keyof Rule]: Rule[Key] } = { ...policy().rules[record.incident.class] };
        delete rule.repeat;
        return { other, drafts: decideReopening(other.id, record, rule, circumstances, isClockUncertain()) };
      },
      { caller, note, ifVersion },
    );
    const successor = this.#successor(as);
    if (successor !== undefined && (isNew || successor.incident.state !== 'resolved')) {
      return { incident: this.#documentOf(successor), isNew };
    }
    const how = successor === undefined ? 'is in the archive' : 'is resolved: reopen that one';
    const message = `reopen is not possible: the incident was reopened as ${as}, which ${how}`;
    const fields = { state: 'resolved', allowed: [], transitions: [], reopened_as: as };
    throw new RecorderError('illegal_transition', message, { fields });
  }

  /**
   * Completes the reopenings that a crash has left between their entries: the incident that takes up another one is on
   * record, and the other one does not name it.
   * @throws RecorderError `starting`, `log_unavailable` while that is not known; like `IncidentActor.send`
   */
  async complete(): Promise<void> {
    const { incidents, projections, log } = this.#dependencies;
    for (const as of projections.current().halfReopened(MOST_COMPLETED)) {
      const place = projections.current().openingOf(as);
      const [line] = place === undefined ? [] : await readEntriesAt(log, [place]);
      // The line is verified, so it says whom it reopens and who wanted that.
      const entry = line?.entry();
      if (entry?.event !== 'incident.reported' || entry.data.incident !== as) continue;
      const { reopens, principal, role, by, claimed, on_behalf_of, fleet_command: command, note } = entry.data;
      if (reopens === undefined) continue;
      const caller =
        principal === undefined || role === undefined
          ? undefined
          : {
              principal,
              role,
              ...(by === undefined ? {} : { by }),
              ...(claimed && { claimed }),
              ...(on_behalf_of === undefined ? {} : { on_behalf_of }),
              ...(command === undefined ? {} : { fleet_command: command }),
            };
      try {
        await incidents.actor(reopens).completeReopening(as, { caller, note });
      } catch (error) {
        // It has left the record.
        if (!isOfIncident(error)) throw error;
      }
    }
  }

  async #send(message: ActMessage, { id, note, caller, ifVersion }: Act): Promise<IncidentDocument> {
    const { record } = await this.#dependencies.incidents.actor(id).send(message, { caller, note, ifVersion });
    return this.#documentOf(record);
  }

  /** Undefined when it has left the record. */
  #successor(as: string): IncidentRecord | undefined {
    try {
      return this.#dependencies.incidents.actor(as).read();
    } catch (error) {
      if (isAbsence(error)) return undefined;
      throw error;
    }
  }

  /** The document of a record. Recorded is recorded, also when the projections could not take it. */
  #documentOf(record: IncidentRecord): IncidentDocument {
    const { id, version } = record.incident;
    const latest = this.#dependencies.projections.latest(id);
    return latest?.version === version ? latest : documentOf(record);
  }
}
