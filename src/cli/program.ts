/** The command line as commander knows it. */
import { Command } from 'commander';
import { VERSION } from '../version.ts';
import { EXIT } from './exit.ts';
import { SUBCOMMANDS } from './subcommands.ts';

/** The variables that the command line reads. */
export const ENVIRONMENT = [
  ['INCIDENT_RECORDER_URL', 'where the recorder is, when --url does not say; else http://127.0.0.1:8515'],
  [
    'INCIDENT_RECORDER_TOKEN_PATH',
    'the file of the service token, when --token-file does not say; else SERVICE_TOKEN_PATH, ' +
      'else /run/secure-ai/service-token or var/service-token, whichever is there',
  ],
  ['INCIDENT_RECORDER_CA_PATH', 'the certificates that the one of a fleet has to come from, when --ca does not say'],
  ['AUDIT_HMAC_KEY_PATH', 'the audit key for verify, when --key does not say'],
  ['ALLOW_NON_LOOPBACK', '1 when a policy that is checked may have targets on other machines'],
  ['NO_COLOR', 'no colour, also on a terminal'],
] as const;

export const EXIT_CODES = [
  [EXIT.done, 'done'],
  [EXIT.refused, 'refused, not found, or not valid'],
  [EXIT.usage, 'wrong usage'],
  [EXIT.notReachable, 'the recorder is not reachable'],
] as const;

/**
 * Makes the program.
 * @param only the one subcommand to load whole, the others by name only; without it all are loaded
 */
export async function makeProgram(only?: string): Promise<Command> {
  const program = new Command('incident-recorder')
    .description('Records, contains and follows up security incidents.')
    .version(VERSION)
    .showHelpAfterError('(see --help)')
    .addHelpText('after', ({ command }) => afterHelp(command))
    .helpCommand('help [command]', 'show how a command is used')
    .exitOverride();
  for (const { name, summary, hidden = false, load } of SUBCOMMANDS) {
    const command = program.command(name, { hidden }).summary(summary);
    if (only === undefined || only === name) (await load()).define(command);
  }
  return program;
}

function afterHelp(program: Command): string {
  const help = program.createHelp();
  help.helpWidth = process.stdout.columns || 80;
  const width = Math.max(...ENVIRONMENT.map(([variable]) => variable.length));
  const items = (list: readonly (readonly [string | number, string])[]): string =>
    list.map(([term, what]) => help.formatItem(String(term), width, what, help)).join('\n');
  return `\nEnvironment:\n${items(ENVIRONMENT)}\n\nExit codes:\n${items(EXIT_CODES)}\n`;
}
