/**
 * The manual page, made from the definitions of the command line: it says of all subcommands what `--help` says of one.
 * `npm run man` writes it to `systemd/incident-recorder.1`, from where it is installed with the unit.
 */
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';
import { ENVIRONMENT, EXIT_CODES, makeProgram } from '../cli/program.ts';

const PATH = fileURLToPath(new URL('../../systemd/incident-recorder.1', import.meta.url));

/** The page in the format of man(7). */
export async function manPage(): Promise<string> {
  const program = await makeProgram();
  const name = program.name();
  return [
    `.TH ${name.toUpperCase()} 1 "" "${name} ${program.version() ?? ''}" "User Commands"`,
    '.SH NAME',
    `${roff(name)} \\- records, contains and follows up security incidents`,
    '.SH SYNOPSIS',
    `.B ${roff(name)}`,
    '.I command',
    '.RI [ options ]',
    '.SH DESCRIPTION',
    roff(program.description()),
    roff('In the usage of commands, <this> is required and [this] may be left out.'),
    '.SH COMMANDS',
    ...visible(program).flatMap(sectionOf),
    '.SH ENVIRONMENT',
    ...ENVIRONMENT.flatMap(([variable, what]) => item(`.B ${variable}`, what)),
    '.SH EXIT STATUS',
    ...EXIT_CODES.flatMap(([code, what]) => item(`.B ${code}`, what)),
    '',
  ].join('\n');
}

const visible = (command: Command): readonly Command[] =>
  command
    .createHelp()
    .visibleCommands(command)
    .filter((one) => one.name() !== 'help');

/** The section of a command; with subcommands, a section for each of those. */
function sectionOf(command: Command): readonly string[] {
  const own = visible(command);
  if (own.length > 0) return own.flatMap(sectionOf);
  const help = command.createHelp();
  const choices = (of: { readonly argChoices?: readonly string[] | undefined }): string =>
    of.argChoices === undefined ? '' : `: ${of.argChoices.join(', ')}`;
  return [
    `.SS ${roff(help.commandUsage(command).replace(' [options]', ''))}`,
    ...command
      .description()
      .split('\n\n')
      .flatMap((paragraph) => [roff(paragraph), '.PP']),
    ...command.registeredArguments.flatMap((argument) =>
      item(`.I ${roff(argument.name())}`, argument.description + choices(argument)),
    ),
    ...command.options.flatMap((option) => item(`.B ${roff(option.flags)}`, option.description + choices(option))),
  ];
}

const item = (head: string, text: string): readonly string[] => ['.TP', head, roff(text)];

/** Escapes text: nothing in it is a request or an escape of man(7). */
const roff = (text: string): string =>
  text
    .replaceAll('\\', String.raw`\e`)
    .replaceAll('-', String.raw`\-`)
    .replace(/^(?=[.'])/gm, String.raw`\&`);

if (import.meta.main) writeFileSync(PATH, await manPage());
