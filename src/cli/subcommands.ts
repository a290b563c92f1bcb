/** The subcommands in the order of the help. The code of a subcommand is loaded when it runs. */
import type { Command } from 'commander';
import { COMMAND_TABLE, type CommandName, COMMANDS } from '../../machines/commands.ts';

export interface Subcommand {
  readonly name: string;
  readonly summary: string;
  /** Whether it is for scripts only. */
  readonly hidden?: true;
  /** Loads the function that adds arguments, options and action to a command. */
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

/** What people do with incidents besides commands. */
const INCIDENT_ACTS: readonly Subcommand[] = (
  [
    ['note', 'note something about incidents', 'defineNote'],
    ['assign', 'say who works incidents', 'defineAssign'],
    ['snooze', 'hide incidents from what needs attention until a time', 'defineSnooze'],
    ['reopen', 'take resolved incidents up again', 'defineReopen'],
  ] as const
).map(([name, summary, define]) => ({
  name,
  summary,
  load: async () => ({ define: (await import('./incident-acts.ts'))[define] }),
}));

export const SUBCOMMANDS: readonly Subcommand[] = [
  { name: 'serve', summary: 'run the recorder', load: () => import('./serve.ts') },
  { name: 'fleet', summary: 'gather the logs of many machines', load: () => import('./fleet.ts') },
  { name: 'report', summary: 'report an incident', load: () => import('./report.ts') },
  { name: 'heartbeat', summary: 'show that a guard lives', load: () => import('./heartbeat.ts') },
  { name: 'list', summary: 'list incidents, the most severe first', load: () => import('./list.ts') },
  { name: 'groups', summary: 'list incidents in groups', load: () => import('./groups.ts') },
  { name: 'show', summary: 'show everything about an incident', load: () => import('./show.ts') },
  {
    name: 'similar',
    summary: 'list incidents with the same values in their evidence',
    load: () => import('./similar.ts'),
  },
  ...COMMANDS.map(incidentCommand),
  ...INCIDENT_ACTS,
  { name: 'release', summary: 'release one action of an incident early', load: () => import('./release.ts') },
  {
    name: 'recovery',
    summary: 'do what is needed before an incident may be resolved',
    load: () => import('./recovery.ts'),
  },
  { name: 'silence', summary: 'keep incidents from being notified for a time', load: () => import('./silence.ts') },
  { name: 'drill', summary: 'rehearse a class, and say what answered', load: () => import('./drill.ts') },
  { name: 'posture', summary: 'show which containment actions are in force', load: () => import('./posture.ts') },
  { name: 'handover', summary: 'show what has changed since one left', load: () => import('./handover.ts') },
  { name: 'watch', summary: 'follow what is recorded, live', load: () => import('./watch.ts') },
  { name: 'stats', summary: 'count incidents', load: () => import('./stats.ts') },
  { name: 'ship', summary: "ship this machine's log to its fleet", load: () => import('./ship.ts') },
  { name: 'verify', summary: 'check an audit log offline', load: () => import('./verify.ts') },
  { name: 'rotate-key', summary: 'replace the key of an audit log', load: () => import('./rotate-key.ts') },
  { name: 'backup', summary: 'copy the audit log, also of a running recorder', load: () => import('./backup.ts') },
  { name: 'restore', summary: 'put a backup of the audit log back', load: () => import('./restore.ts') },
  { name: 'import', summary: 'take over the incidents of another recorder', load: () => import('./import.ts') },
  { name: 'archive', summary: 'move old segments of the audit log away', load: () => import('./archive.ts') },
  {
    name: 'export',
    summary: 'save incidents with what proves them, for a stranger',
    load: () => import('./export.ts'),
  },
  { name: 'verify-bundle', summary: 'check what export has saved, offline', load: () => import('./verify-bundle.ts') },
  { name: 'redact-bundle', summary: 'leave fields out of a bundle', load: () => import('./redact-bundle.ts') },
  {
    name: 'forensic-export',
    summary: 'save a signed copy of what is on record',
    load: () => import('./forensic-export.ts'),
  },
  {
    name: 'verify-forensic',
    summary: 'check what forensic-export has saved, offline',
    load: () => import('./verify-forensic.ts'),
  },
  {
    name: 'acknowledge-damage',
    summary: 'acknowledge what was found wrong with the audit log',
    load: () => import('./acknowledge-damage.ts'),
  },
  {
    name: 'webhooks',
    summary: 'show which entries webhooks did not take, and send them again',
    load: () => import('./webhooks.ts'),
  },
  { name: 'policy', summary: 'check a containment policy before it is in force', load: () => import('./policy.ts') },
  { name: 'access', summary: 'say who may do what', load: () => import('./access.ts') },
  { name: 'machines', summary: 'print the statecharts', load: () => import('./machines.ts') },
  { name: 'completion', summary: 'print a script for shell completion', load: () => import('./completion.ts') },
  { name: 'complete', summary: 'list what may come next', hidden: true, load: () => import('./complete.ts') },
];
