/** What an incident's statechart says to a command before it is given: for the recorder and for the fleet. */
import { type CommandName, COMMANDS, recoveryRolesOf } from '../../machines/commands.ts';
import { asksRecovery, type Decision, decide, type Situation } from '../../machines/decision.ts';
import type { SNOOZE_EVENTS } from '../../machines/incident.ts';
import type { Role } from '../../machines/vocabulary.ts';

export type SnoozeEvent = (typeof SNOOZE_EVENTS)[number];

/** What would become of a command. */
export interface Foreseen {
  readonly kind: Decision['kind'];
  /** The roles that the incident asks for, one of them, where its rule asks for a recovery. */
  readonly needs?: readonly Role[];
}

const isCommand = (type: CommandName | SnoozeEvent): type is CommandName =>
  (COMMANDS as readonly string[]).includes(type);

/** What an incident in some situation would do with a command or a snooze. */
export function foreseen(situation: Situation, type: CommandName | SnoozeEvent): Foreseen {
  const needs = isCommand(type) && asksRecovery(situation.context) ? recoveryRolesOf(type) : undefined;
  return { kind: decide(situation, { type }).kind, ...(needs !== undefined && { needs }) };
}
