/** The subcommands in the order of the help. What a subcommand needs is loaded when it is asked for. */
import type { Command } from 'commander';
import { COMMAND_TABLE, type CommandName, COMMANDS } from '../../machines/commands.ts';

export interface Subcommand {
  readonly name: string;
  readonly summary: string;
  /** Whether people have no use for it. */
  readonly hidden?: true;
  /** Gives what adds its arguments, options and action to a command. */
  readonly load: () => Promise<{ readonly define: (command: Command) => unknown }>;
}

/** The subcommand of one of the commands on incidents. */
function incidentCommand(name: CommandName): Subcommand {
  const { subcommand, summary } = COMMAND_TABLE[name];
  const load = async () => {
    const { defineCommand } = await import('./incident-command.ts');
    return { define: (command: Command) => defineCommand(command, name) };
  };
  return { name: subcommand, summary, load };
}

export const SUBCOMMANDS: readonly Subcommand[] = [
  { name: 'serve', summary: 'run the recorder', load: () => import('./serve.ts') },
  { name: 'report', summary: 'report an incident', load: () => import('./report.ts') },
  { name: 'list', summary: 'list incidents, the most severe first', load: () => import('./list.ts') },
  { name: 'show', summary: 'show all that is known of an incident', load: () => import('./show.ts') },
  ...COMMANDS.map(incidentCommand),
  { name: 'posture', summary: 'show which containment actions are in force', load: () => import('./posture.ts') },
  { name: 'watch', summary: 'follow what is recorded, live', load: () => import('./watch.ts') },
  { name: 'stats', summary: 'count incidents', load: () => import('./stats.ts') },
  { name: 'verify', summary: 'check an audit log offline', load: () => import('./verify.ts') },
  { name: 'archive', summary: 'move old segments of the audit log away', load: () => import('./archive.ts') },
  { name: 'policy', summary: 'check a containment policy before it is in force', load: () => import('./policy.ts') },
  { name: 'machines', summary: 'print the statecharts', load: () => import('./machines.ts') },
  { name: 'completion', summary: 'print what makes a shell complete', load: () => import('./completion.ts') },
  { name: 'complete', summary: 'say what may come next', hidden: true, load: () => import('./complete.ts') },
];
