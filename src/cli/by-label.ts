/**
 * `incident-recorder fleet contain`, `fleet release`: an action on all machines with some labels. Shows the machines, has
 * their number typed, and follows each of them.
 */
import { createInterface } from 'node:readline/promises';
import { setTimeout as pause } from 'node:timers/promises';
import type { Command } from 'commander';
import { ACTIONS } from '../../machines/vocabulary.ts';
import { ApiClient, type ApiOptions, withApiClient } from './api-client.ts';
import { EXIT, UsageError } from './exit.ts';
import { TROUBLE_STYLE } from './terminal/colour.ts';
import { canAsk } from './terminal/confirm.ts';
import { writeJson, writeLines, writeNotice } from './terminal/output.ts';
import { type Column, table } from './terminal/table.ts';

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

interface Candidate {
  readonly machine: string;
  readonly possible: boolean;
  readonly why: string | null;
  readonly in_force: boolean;
  readonly silent: boolean;
  readonly actions?: readonly string[];
  readonly holders?: number;
}

interface Preview {
  readonly count: number;
  readonly machines_digest?: string;
  readonly machines: readonly Candidate[];
}

interface Act {
  readonly act: string;
  readonly count: number;
  readonly pending: number;
  readonly done: number;
  readonly refused: number;
  readonly expired: number;
  readonly machines: readonly {
    readonly machine: string;
    readonly status: string;
    readonly reason: string | null;
    readonly in_force: boolean;
  }[];
}

/** How long machines are waited for, and how often they are asked about, in milliseconds. */
const PATIENCE = 60_000;
const LOOK_EVERY = 1000;

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
  const api = new ApiClient(options);
  const { machine, ...labels } = labelsOf(options);
  if (machine !== undefined || Object.keys(labels).length === 0)
    throw new UsageError('machines are chosen by their labels here: give --label, and no --machine');
  const path = PATHS[kind];
  // Not a read: those may go without the token.
  const preview = await api.commandAll<Preview>(path, { action, labels, reason, dry_run: true });
  if (options.json !== true) await writeLines(table(PREVIEW_COLUMNS, preview.machines));
  if (preview.count === 0) {
    process.exitCode = EXIT.refused;
    return writeNotice('there is no machine on which this is possible');
  }
  const typed = confirm ?? (canAsk() ? await asked(kind, action, preview.count) : undefined);
  if (typed === undefined)
    throw new UsageError(
      `${kind} ${action} on ${preview.count} machines? Nobody can be asked here: say --confirm ${preview.count}`,
    );
  if (typed.trim() !== String(preview.count)) {
    process.exitCode = EXIT.refused;
    return writeNotice('nothing was done');
  }
  const { machines_digest } = preview;
  const body = { action, labels, reason, confirm: preview.count, machines_digest, by };
  let act = await api.commandAll<Act>(path, body);
  const until = Date.now() + PATIENCE;
  const whole = new ApiClient({ ...options, machine: [], label: [] });
  while (act.pending > 0 && Date.now() < until) {
    await pause(LOOK_EVERY);
    act = await whole.read<Act>(`${path}/${encodeURIComponent(act.act)}`);
  }
  if (act.done < act.count) process.exitCode = EXIT.refused;
  if (options.json) return writeJson(act);
  await writeLines(table(PROGRESS_COLUMNS, act.machines));
  const rest = act.pending > 0 ? `, ${act.pending} not answered yet: see incident-recorder fleet commands` : '';
  return writeNotice(`${act.done} of ${act.count} done, ${act.refused + act.expired} refused or expired${rest}`);
}

/** What the person types. */
async function asked(kind: Kind, action: string, count: number): Promise<string> {
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  const ended = new Promise<string>((resolve) => lines.once('close', () => resolve('')));
  try {
    return await Promise.race([
      lines.question(`${kind} ${action}: type the number of machines, ${count}, to confirm: `),
      ended,
    ]);
  } finally {
    lines.close();
  }
}

/** The labels by their own names; `machine` where one was given. */
function labelsOf({ label = [], machine = [] }: ApiOptions): Readonly<Record<string, string>> {
  const labels = label.map((text) => [text.slice(0, text.indexOf('=')), text.slice(text.indexOf('=') + 1)] as const);
  return { ...Object.fromEntries(labels), ...(machine[0] !== undefined && { machine: machine[0] }) };
}

const PREVIEW_COLUMNS: readonly Column<Candidate>[] = [
  { header: 'MACHINE', value: ({ machine }) => machine },
  {
    header: 'POSSIBLE',
    value: ({ possible, silent }) => `${possible ? 'yes' : 'no'}${silent ? ', silent' : ''}`,
    style: ({ possible }) => (possible ? undefined : TROUBLE_STYLE),
  },
  { header: 'IN FORCE', value: ({ in_force: is }) => (is ? 'yes' : 'no') },
  {
    header: 'WHAT',
    value: ({ why, actions = [], holders }) =>
      why ?? (holders === undefined ? actions.join(' ') : `${holders} ${holders === 1 ? 'holder' : 'holders'}`),
    least: 12,
  },
];

const PROGRESS_COLUMNS: readonly Column<Act['machines'][number]>[] = [
  { header: 'MACHINE', value: ({ machine }) => machine },
  {
    header: 'STATUS',
    value: ({ status }) => status,
    style: ({ status }) => (status === 'refused' || status === 'expired' ? TROUBLE_STYLE : undefined),
  },
  { header: 'IN FORCE', value: ({ in_force: is }) => (is ? 'yes' : 'no') },
  { header: 'REASON', value: ({ reason }) => reason ?? '', least: 12, optional: true },
];
