/** The command line: one file per subcommand, loaded when it is asked for. Exit codes: 0 done, 1 refused, 2 usage. */

const SUBCOMMANDS: Readonly<Record<string, () => Promise<{ run(args: readonly string[]): Promise<number> }>>> = {
  verify: () => import('./verify.ts'),
  archive: () => import('./archive.ts'),
};

const [name = '', ...args] = process.argv.slice(2);
const load = Object.hasOwn(SUBCOMMANDS, name) ? SUBCOMMANDS[name] : undefined;
if (load === undefined) {
  const help = name === '' || name === '--help' || name === '-h';
  const usage = `usage: incident-recorder ${Object.keys(SUBCOMMANDS).join('|')} …\n`;
  (help ? process.stdout : process.stderr).write(usage);
  process.exitCode = help ? 0 : 2;
} else {
  process.exitCode = await (await load()).run(args);
}
