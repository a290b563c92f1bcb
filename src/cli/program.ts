/** The command line as commander knows it. */
import { Command } from 'commander';
import { VERSION } from '../version.ts';
import { SUBCOMMANDS } from './subcommands.ts';

const AFTER_HELP = `
Environment:
  INCIDENT_RECORDER_URL         where the recorder is, when --url does not say
                                (http://127.0.0.1:8515)
  INCIDENT_RECORDER_TOKEN_PATH  the file of the service token, when --token-file does
                                not say; else SERVICE_TOKEN_PATH, else
                                /run/secure-ai/service-token, else var/service-token
  NO_COLOR                      no colour, also on a terminal

Exit codes: 0 done, 1 refused or not found, 2 wrong usage, 3 the recorder is not reachable.
`;

/**
 * Makes the program. Of the subcommand `only` everything is loaded, of the others their names; of all of them when
 * `only` is not given.
 */
export async function makeProgram(only?: string): Promise<Command> {
  const program = new Command('incident-recorder')
    .description('Records, contains and follows up security incidents.')
    .version(VERSION)
    .showHelpAfterError('(--help says how it is used)')
    .addHelpText('after', AFTER_HELP)
    .helpCommand('help [command]', 'show how a command is used')
    .exitOverride();
  for (const { name, summary, hidden = false, load } of SUBCOMMANDS) {
    const command = program.command(name, { hidden }).summary(summary);
    if (only === undefined || only === name) (await load()).define(command);
  }
  return program;
}
