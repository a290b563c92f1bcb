/**
 * The commands of operators, one row each.
 *
 * A command is named by its imperative. Its past participle, `done`, names what the log and the incident keep of it: the
 * event `incident.<done>` and the fields `<done>_at` and `<done>_by`. From these rows follow the route and its
 * description, the subcommand, the console's buttons, keys and dialogs, the words of the timeline and the metrics. Where
 * a command leads, and from which states, the statechart says.
 *
 * This file needs no XState, so the console and the command line load it at once.
 */

import type { Role } from './vocabulary.ts';

interface CommandRow {
  /** The past participle. */
  readonly done: string;
  /** The roles that may give it, one of them. */
  readonly roles: readonly Role[];
  /** Those where the incident's rules ask for a recovery, when they are others. */
  readonly recoveryRoles?: readonly Role[];
  /** The console's key. */
  readonly key: string;
  /** Its name on the command line. */
  readonly subcommand: string;
  /** What it does, in a few words for lists of subcommands. */
  readonly summary: string;
  /** What it does, in sentences for the help and the API's description. */
  readonly meaning: string;
  /** What the operator's note should say. */
  readonly note: string;
}

export const COMMAND_TABLE = {
  contain: {
    done: 'contained',
    roles: ['operator'],
    key: 'c',
    subcommand: 'contain',
    summary: 'contain incidents',
    meaning: 'Contains open or acknowledged incidents with the actions of their rule.',
    note: 'Why it has to be contained',
  },
  acknowledge: {
    done: 'acknowledged',
    roles: ['operator'],
    key: 'a',
    subcommand: 'ack',
    summary: 'acknowledge incidents',
    meaning: 'Acknowledges incidents: a person has seen them. Containment stays in force.',
    note: 'What is being looked at',
  },
  resolve: {
    done: 'resolved',
    roles: ['operator', 'recovery'],
    recoveryRoles: ['recovery'],
    key: 'r',
    subcommand: 'resolve',
    summary: 'resolve incidents, which ends their containment',
    meaning: 'Resolves incidents. An action that no other unresolved incident holds is released.',
    note: 'What was found, and what was done',
  },
} as const satisfies Readonly<Record<string, CommandRow>>;

export type CommandName = keyof typeof COMMAND_TABLE;

/** The past participle of a command: `contained`. */
export type Done = (typeof COMMAND_TABLE)[CommandName]['done'];

/** The event by which the log records a command: `incident.contained`. */
export type CommandEvent = `incident.${Done}`;

/** What people may ask of an incident, in the order in which lists show it. (`recur` is asked by a report.) */
export const COMMANDS = Object.keys(COMMAND_TABLE) as readonly CommandName[];

/** The roles that may give a command where a recovery is asked for; undefined when they are the same as elsewhere. */
export const recoveryRolesOf = (command: CommandName): readonly Role[] | undefined => {
  const { recoveryRoles }: CommandRow = COMMAND_TABLE[command];
  return recoveryRoles;
};

export const eventOfCommand = (command: CommandName): CommandEvent => `incident.${COMMAND_TABLE[command].done}`;

export const COMMAND_EVENTS: readonly CommandEvent[] = COMMANDS.map(eventOfCommand);

const COMMAND_OF: ReadonlyMap<string, CommandName> = new Map(COMMANDS.map((name) => [eventOfCommand(name), name]));

/** The command that an event records; undefined for every other event. */
export function commandOfEvent(event: CommandEvent): CommandName;
export function commandOfEvent(event: string): CommandName | undefined;
export function commandOfEvent(event: string): CommandName | undefined {
  return COMMAND_OF.get(event);
}
