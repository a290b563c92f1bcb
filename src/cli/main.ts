/** The command line. Its exit codes: see `exit.ts`. */
import { requireExactArguments } from './exact-input.ts';
import { exitCodeOf, explain } from './exit.ts';
import { makeProgram } from './program.ts';
import { SUBCOMMANDS } from './subcommands.ts';
import { finishOutput, guardOutput, writeNotice } from './terminal/output.ts';

guardOutput();

const [name = ''] = process.argv.slice(2);
const isKnown = SUBCOMMANDS.some((subcommand) => subcommand.name === name);
const program = await makeProgram(isKnown ? name : undefined);
try {
  requireExactArguments();
  await program.parseAsync();
} catch (error) {
  const { code, exitCode } = error as { readonly code?: string; readonly exitCode?: number };
  if (code?.startsWith('commander.')) {
    process.exitCode = exitCode === 0 ? 0 : 2;
  } else {
    writeNotice(explain(error));
    process.exitCode = exitCodeOf(error);
  }
}
await finishOutput();
