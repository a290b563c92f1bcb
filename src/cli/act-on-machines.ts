/**
 * An act on many machines of a fleet: shows them, has their number typed, and follows what becomes of each.
 */
import { createInterface } from 'node:readline/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { ApiClient, type ApiOptions } from './api-client.ts';
import { EXIT, UsageError } from './exit.ts';
import { TROUBLE_STYLE } from './terminal/colour.ts';
import { canAsk } from './terminal/confirm.ts';
import { counted } from './terminal/counted.ts';
import { writeJson, writeLines, writeNotice } from './terminal/output.ts';
import { type Column, table } from './terminal/table.ts';

/** A machine as a preview shows it. */
export interface Candidate {
  readonly machine: string;
  readonly possible: boolean;
  readonly why: string | null;
  readonly silent: boolean;
}

interface Preview<One> {
  readonly count: number;
  readonly machines_digest?: string;
  readonly machines: readonly One[];
}

/** What became of an act on one machine. */
export interface Outcome {
  readonly machine: string;
  readonly status: string;
  readonly reason: string | null;
}

interface Act<One> {
  readonly act: string;
  readonly count: number;
  readonly pending: number;
  readonly done: number;
  readonly refused: number;
  readonly expired: number;
  readonly machines: readonly One[];
}

/** How long machines are waited for, and how often they are asked about, in milliseconds. */
const PATIENCE = 60_000;
const LOOK_EVERY = 1000;

/** An act on many machines, as its kind is asked for and shown. */
export interface ActOnMachines<Shown extends Candidate, Became extends Outcome> {
  readonly path: string;
  /** What is done, for the question: `contain freeze_agent`. */
  readonly what: string;
  readonly body: Readonly<Record<string, unknown>>;
  /** The number of machines that was given in place of an answer. */
  readonly confirm: string | undefined;
  /** The columns of the preview and of what became of it, behind those that all have. */
  readonly shown: readonly Column<Shown>[];
  readonly progress: readonly Column<Became>[];
  /** Where the act is followed, when not at its path. */
  readonly followed?: string;
}

/** Shows the machines, has their number confirmed, acts, and says what came of it on each. */
export async function actOnMachines<Shown extends Candidate, Became extends Outcome>(
  options: ApiOptions,
  { path, what, body, confirm, shown, progress, followed = path }: ActOnMachines<Shown, Became>,
): Promise<void> {
  const api = new ApiClient(options);
  // Not a read: those may go without the token.
  const preview = await api.commandAll<Preview<Shown>>(path, { ...body, dry_run: true });
  if (options.json !== true) await writeLines(table([...FIRST_SHOWN, ...shown], preview.machines));
  if (preview.count === 0) {
    process.exitCode = EXIT.refused;
    return writeNotice('there is no machine on which this is possible');
  }
  const typed = confirm ?? (canAsk() ? await asked(what, preview.count) : undefined);
  if (typed === undefined)
    throw new UsageError(
      `${what} on ${counted(preview.count, 'machine')}? Nobody can be asked here: say --confirm ${preview.count}`,
    );
  if (typed.trim() !== String(preview.count)) {
    process.exitCode = EXIT.refused;
    return writeNotice('nothing was done');
  }
  const { machines_digest } = preview;
  let act = await api.commandAll<Act<Became>>(path, { ...body, confirm: preview.count, machines_digest });
  const until = Date.now() + PATIENCE;
  const whole = new ApiClient({ ...options, machine: [], label: [] });
  while (act.pending > 0 && Date.now() < until) {
    await pause(LOOK_EVERY);
    act = await whole.read<Act<Became>>(`${followed}/${encodeURIComponent(act.act)}`);
  }
  if (act.done < act.count) process.exitCode = EXIT.refused;
  if (options.json) return writeJson(act);
  await writeLines(table([...FIRST_OUTCOME, ...progress, REASON], act.machines));
  const rest = act.pending > 0 ? `, ${act.pending} not answered yet: see incident-recorder fleet commands` : '';
  return writeNotice(`${act.done} of ${act.count} done, ${act.refused + act.expired} refused or expired${rest}`);
}

/** What the person types. */
async function asked(what: string, count: number): Promise<string> {
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  const ended = new Promise<string>((resolve) => lines.once('close', () => resolve('')));
  try {
    return await Promise.race([lines.question(`${what}: type the number of machines, ${count}, to confirm: `), ended]);
  } finally {
    lines.close();
  }
}

/** The labels by their own names. */
export const labelsOf = ({ label = [] }: ApiOptions): Readonly<Record<string, string>> =>
  Object.fromEntries(
    label.map((text) => [text.slice(0, text.indexOf('=')), text.slice(text.indexOf('=') + 1)] as const),
  );

const FIRST_SHOWN: readonly Column<Candidate>[] = [
  { header: 'MACHINE', value: ({ machine }) => machine },
  {
    header: 'POSSIBLE',
    value: ({ possible, silent }) => `${possible ? 'yes' : 'no'}${silent ? ', silent' : ''}`,
    style: ({ possible }) => (possible ? undefined : TROUBLE_STYLE),
  },
];

const FIRST_OUTCOME: readonly Column<Outcome>[] = [
  { header: 'MACHINE', value: ({ machine }) => machine },
  {
    header: 'STATUS',
    value: ({ status }) => status,
    style: ({ status }) => (status === 'refused' || status === 'expired' ? TROUBLE_STYLE : undefined),
  },
];

const REASON: Column<Outcome> = {
  header: 'REASON',
  value: ({ reason }) => reason ?? '',
  least: 12,
  optional: true,
};
