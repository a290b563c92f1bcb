import type * as z from 'zod/mini';
import { COMMAND_TABLE, type CommandName, COMMANDS } from '../../../machines/commands.ts';
import type { Role } from '../../../machines/vocabulary.ts';
import type { IncidentDocument } from '../../domain/document.ts';
import { RecorderError } from '../../errors.ts';
import type { Command } from '../../incidents/recorder.ts';
import type { ApiDependencies } from '../dependencies.ts';
import type { bulkSchema } from './requests.ts';

type Body = z.infer<typeof bulkSchema>;

/** The members of the body that some acts take and others refuse. */
const OWN_MEMBERS = ['resolution'] as const satisfies readonly (keyof Body)[];

/** What can be done with many incidents at once. */
export interface BulkAct {
  readonly roles: readonly Role[];
  /** The command that the statechart decides; undefined for what is possible in every state. */
  readonly command?: CommandName;
  /** The members of the body that it takes besides those of all. */
  readonly takes?: readonly (typeof OWN_MEMBERS)[number][];
  readonly perform: (
    dependencies: Pick<ApiDependencies, 'recorder'>,
    target: Command,
    body: Body,
  ) => Promise<{ readonly incident: IncidentDocument; readonly change?: string }>;
}

/** One row each; `bulkSchema` names the same. */
export const BULK_ACTS: Readonly<Record<Body['command'], BulkAct>> = Object.fromEntries(
  COMMANDS.map((command): [CommandName, BulkAct] => [
    command,
    {
      roles: COMMAND_TABLE[command].roles,
      command,
      takes: command === 'resolve' ? ['resolution'] : [],
      perform: ({ recorder }, target) => recorder.perform(command, target),
    },
  ]),
) as Record<CommandName, BulkAct>;

/** The roles that may do any of it. */
export const BULK_ROLES = [...new Set(Object.values(BULK_ACTS).flatMap(({ roles }) => roles))];

/** @throws RecorderError `invalid_request` for a member that goes with other acts */
export function requireOwnMembers(body: Body): void {
  const { takes = [] } = BULK_ACTS[body.command];
  for (const member of OWN_MEMBERS) {
    if (body[member] === undefined || takes.includes(member)) continue;
    const others = Object.entries(BULK_ACTS).flatMap(([name, act]) => (act.takes?.includes(member) ? [name] : []));
    throw new RecorderError('invalid_request', `${member} goes with the command ${others.join(', ')} only`);
  }
}
