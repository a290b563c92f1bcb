/** `incident-recorder fleet contain`, `fleet release`: an action on all machines with some labels. */
import type { Command } from 'commander';
import { ACTIONS } from '../../machines/vocabulary.ts';
import { actOnMachines, type Candidate, labelsOf, type Outcome } from './act-on-machines.ts';
import { type ApiOptions, withApiClient } from './api-client.ts';
import { UsageError } from './exit.ts';
import { counted } from './terminal/counted.ts';
import type { Column } from './terminal/table.ts';

type Kind = 'contain' | 'release';

const PATHS: Readonly<Record<Kind, string>> = {
  contain: '/api/v1/containment/by-label',
  release: '/api/v1/containment/by-label/release',
};

interface Options extends ApiOptions {
  readonly reason: string;
  readonly confirm?: string;
  readonly by?: string;
}

type Shown = Candidate & {
  readonly in_force: boolean;
  readonly actions?: readonly string[];
  readonly holders?: number;
};

/** Adds both to `fleet`. */
export function defineByLabel(fleet: Command): void {
  for (const kind of ['contain', 'release'] as const) {
    const what =
      kind === 'contain'
        ? 'engage an action on all machines with some labels'
        : 'release an action early on all machines with some labels, for all incidents that hold it';
    const command = fleet.command(kind).summary(what).description(`Asks a fleet (--url) to ${what}.`);
    withApiClient(
      command
        .addArgument(
          command.createArgument('<action>', 'the action').choices(ACTIONS.filter((name) => name !== 'log_alert')),
        )
        .requiredOption('--reason <text>', 'why')
        .option('--confirm <count>', 'the number of machines, when nobody can be asked')
        .option('--by <who>', 'who does it'),
    ).action((action: string, options: Options) => run(kind, action, options));
  }
}

async function run(kind: Kind, action: string, { reason, confirm, by, ...options }: Options): Promise<void> {
  const labels = labelsOf(options);
  if ((options.machine ?? []).length > 0 || Object.keys(labels).length === 0)
    throw new UsageError('machines are chosen by their labels here: give --label, and no --machine');
  return actOnMachines(options, {
    path: PATHS[kind],
    what: `${kind} ${action}`,
    body: { action, labels, reason, by },
    confirm,
    shown: SHOWN,
    progress: [ASKED_FOR],
  });
}

/** Whether it is in force is what the machine's services confirm: `fleet in-force` says how many have not. */
const ASKED_FOR: Column<Outcome & Pick<Shown, 'in_force'>> = {
  header: 'ASKED FOR',
  value: ({ in_force: is }) => (is ? 'yes' : 'no'),
};

const SHOWN: readonly Column<Shown>[] = [
  { header: 'ASKED FOR', value: ({ in_force: is }) => (is ? 'yes' : 'no') },
  {
    header: 'WHAT',
    value: ({ why, actions = [], holders }) =>
      why ?? (holders === undefined ? actions.join(' ') : counted(holders, 'holder')),
    least: 12,
  },
];
