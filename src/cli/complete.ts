/** `incident-recorder complete`: what may come next, for the scripts of `completion`. A line is a word, a tab, its meaning. */
import type { Command, Option } from 'commander';
import { type State, STATES } from '../../machines/vocabulary.ts';
import type { Incident } from '../client/shapes.ts';
import { missingOf, type RecoveryStatus } from '../domain/recovery-steps.ts';
import { type ShownSilence, silenceText } from '../domain/silence.ts';
import { makeProgram } from './program.ts';
import { ApiClient, type ApiOptions, withQuery } from './api-client.ts';
import { writeLines } from './terminal/output.ts';
import { printable } from './terminal/printable.ts';

type Offer = readonly [word: string, description?: string];

export const define = (command: Command): Command =>
  command
    .description('Lists what may come next on a command line, for the scripts of completion.')
    .argument('[words...]', 'the words so far; the last may be incomplete')
    .action(async (words: readonly string[]) => {
      const current = words.at(-1) ?? '';
      const offers = await offersFor(await makeProgram(), words.slice(0, -1), current);
      const fitting = offers.filter(([word]) => word.startsWith(current));
      await writeLines(fitting.map(([word, description = '']) => `${word}\t${printable(description)}`));
    });

/** What may follow complete words. */
async function offersFor(program: Command, words: readonly string[], current: string): Promise<readonly Offer[]> {
  let command = program;
  let awaited: Option | undefined;
  let place = 0;
  for (const word of words) {
    if (word.startsWith('-')) {
      const option = command.options.find(({ long, short }) => word === long || word === short);
      awaited = option?.required ? option : undefined;
    } else if (awaited === undefined) {
      const subcommand = command.commands.find((one) => one.name() === word || one.aliases().includes(word));
      if (subcommand === undefined) place++;
      else [command, place] = [subcommand, 0];
    } else if (!awaited.variadic) awaited = undefined;
  }
  if (current.startsWith('-'))
    return command.options.map(({ long, short, description }) => [long ?? short ?? '', description]);
  if (awaited !== undefined) return (awaited.argChoices ?? []).map((choice) => [choice]);
  const visible = command.commands.filter((one) => one.name() !== 'complete');
  if (visible.length > 0) return visible.map((one) => [one.name(), one.summary() || one.description()]);
  const argument = command.registeredArguments[Math.min(place, command.registeredArguments.length - 1)];
  return argument?.name() === 'id' ? incidents(words) : (argument?.argChoices ?? []).map((choice) => [choice]);
}

const UNRESOLVED = STATES.filter((state) => state !== 'resolved');

/** The states of the incidents for some subcommands; none for any. */
const STATES_FOR: Readonly<Record<string, readonly State[]>> = {
  show: [],
  similar: [],
  note: [],
  assign: [],
  reopen: ['resolved'],
};

/**
 * The incidents that may complete the line: any for `show` and `similar`, the resolved ones for `reopen`, those that wait
 * for `recovery`, else the unresolved ones; for `silence`, the silences.
 */
async function incidents(words: readonly string[]): Promise<readonly Offer[]> {
  const valueOf = (name: string): string | undefined => words[words.indexOf(name) + 1 || words.length];
  const [url, tokenFile, ca] = [valueOf('--url'), valueOf('--token-file'), valueOf('--ca')];
  const options: ApiOptions = { ...(url && { url }), ...(tokenFile && { tokenFile }), ...(ca && { ca }) };
  try {
    const api = new ApiClient(options);
    if (words[0] === 'recovery') return await waiting(api);
    if (words[0] === 'silence') return await runningSilences(api);
    const state = STATES_FOR[words[0] ?? ''] ?? UNRESOLVED;
    const list = await api.read<readonly Incident[]>(withQuery('/api/v1/incidents', { limit: '100', state }));
    return list.map(({ id, severity, class: name, source }) => [id, `${severity} ${name} from ${source}`]);
  } catch {
    // Where the recorder can't be reached nothing completes, and no message breaks the command line.
    return [];
  }
}

/** The silences that can be ended. */
async function runningSilences(api: ApiClient): Promise<readonly Offer[]> {
  const all = await api.read<readonly ShownSilence[]>('/api/v1/silences');
  return all
    .filter(({ state }) => state === 'active' || state === 'pending')
    .map((one) => [one.id, `${silenceText(one)}: ${one.reason}`]);
}

/** The incidents that wait for their recovery. */
async function waiting(api: ApiClient): Promise<readonly Offer[]> {
  const { pending_recoveries: all } = await api.read<RecoveryStatus>('/api/v1/recovery/status');
  return all.map((one) => [one.incident_id, `${one.severity} ${one.incident_class}: ${missingOf(one).join(', ')}`]);
}
