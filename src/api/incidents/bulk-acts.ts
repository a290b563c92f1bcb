import type * as z from 'zod/mini';
import { COMMAND_TABLE, type CommandName, COMMANDS } from '../../../machines/commands.ts';
import type { Role } from '../../../machines/vocabulary.ts';
import type { IncidentDocument } from '../../domain/document.ts';
import { RecorderError } from '../../errors.ts';
import { requireSnoozable } from '../../incidents/incident-acts.ts';
import type { Foreseen } from '../../incidents/foreseen.ts';
import type { Command } from '../../incidents/recorder.ts';
import type { Outline } from '../../projections/incident-list.ts';
import type { ApiDependencies } from '../dependencies.ts';
import { isFilled } from '../request/caller.ts';
import { parseTimestamp } from '../request/timestamp.ts';
import type { BulkActName, bulkSchema } from './requests.ts';

type Body = z.infer<typeof bulkSchema>;
type OwnMember = 'resolution' | 'to' | 'until';

/** The members of the body that some acts take and others refuse. */
const OWN_MEMBERS: readonly OwnMember[] = ['resolution', 'to', 'until'];

/** What can be done with many incidents at once. */
interface BulkAct {
  readonly roles: readonly Role[];
  /** The members of the body that it takes besides those of all, and those that it can't do without. */
  readonly takes?: readonly OwnMember[];
  readonly requires?: readonly (OwnMember | 'note')[];
  /** What would become of it now; undefined when the incident is not on record. */
  readonly foresee: (
    incidents: Pick<ApiDependencies['incidents'], 'wouldDo'>,
    incident: Outline,
    body: Body,
  ) => Foreseen | undefined;
  /** @returns the incident after it, and what has changed, where that is known besides the version */
  readonly perform: (
    dependencies: Pick<ApiDependencies, 'recorder' | 'acts'>,
    target: Command,
    body: Body,
  ) => Promise<{ readonly incident: IncidentDocument; readonly change?: string }>;
}

/** One row each; `bulkSchema` names the same. */
export const BULK_ACTS: Readonly<Record<BulkActName, BulkAct>> = {
  ...(Object.fromEntries(
    COMMANDS.map((command): [CommandName, BulkAct] => [
      command,
      {
        roles: COMMAND_TABLE[command].roles,
        takes: command === 'resolve' ? ['resolution'] : [],
        foresee: (incidents, { id }) => incidents.wouldDo(id, command),
        perform: ({ recorder }, target) => recorder.perform(command, target),
      },
    ]),
  ) as Record<CommandName, BulkAct>),
  note: {
    roles: ['operator', 'recovery'],
    requires: ['note'],
    foresee: () => ({ kind: 'moved' }),
    perform: async ({ acts }, target, { note = '' }) => ({ incident: await acts.note({ ...target, note }) }),
  },
  assign: {
    roles: ['operator', 'recovery'],
    takes: ['to'],
    requires: ['to'],
    foresee: (_, { assignee }, { to = null }) => ({ kind: assignee === to ? 'unchanged' : 'moved' }),
    perform: async ({ acts }, target, { to = null }) => ({ incident: await acts.assign(to, target) }),
  },
  snooze: {
    roles: ['operator'],
    takes: ['until'],
    requires: ['until'],
    foresee: (incidents, { id, state }, { until }) => {
      const foreseen = incidents.wouldDo(id, until === null ? 'wake' : 'snooze');
      // To end what is not snoozed changes nothing.
      const isOver = until === null && foreseen?.kind === 'refused' && state !== 'resolved';
      return isOver ? { kind: 'unchanged' } : foreseen;
    },
    perform: async ({ acts }, target, { until = null }) => ({
      incident: await acts.snooze(until === null ? null : parseTimestamp(until)!, target),
    }),
  },
};

/** The roles that may do any of it. */
export const BULK_ROLES = [...new Set(Object.values(BULK_ACTS).flatMap(({ roles }) => roles))];

/**
 * Checks the members that belong to some acts only.
 * @param now in milliseconds since the epoch
 * @throws RecorderError `invalid_request` for one that goes with other acts, that is missing, or that no incident would take
 */
export function requireOwnMembers(body: Body, now: number): void {
  const { takes = [], requires = [] } = BULK_ACTS[body.command];
  for (const member of OWN_MEMBERS) {
    if (body[member] === undefined || takes.includes(member)) continue;
    const others = Object.entries(BULK_ACTS).flatMap(([name, act]) => (act.takes?.includes(member) ? [name] : []));
    throw new RecorderError('invalid_request', `${member} goes with the command ${others.join(', ')} only`);
  }
  for (const member of requires) {
    const isGiven = member === 'note' ? isFilled(body.note) : body[member] !== undefined;
    if (!isGiven) throw new RecorderError('invalid_request', `${member} is required with the command ${body.command}`);
  }
  if (typeof body.until === 'string') requireSnoozable(parseTimestamp(body.until)!, now);
}
