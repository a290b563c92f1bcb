/** What all subcommands have in common: help on request, usage errors, an exit code. */

/** Exit codes of the command line. */
export const EXIT = { done: 0, refused: 1, usage: 2, notReachable: 3 } as const;

export interface Subcommand<Arguments> {
  readonly usage: string;
  /** Reads the arguments; `help` when that was asked for. Throws an Error with a message for what is wrong with them. */
  readonly read: (args: string[]) => Arguments | 'help';
  /** Does the work and gives the exit code. What it throws ends with `refused` and its message. */
  readonly act: (asked: Arguments) => Promise<number>;
}

/** Makes the function that runs a subcommand on its arguments and gives the exit code. */
export const subcommand =
  <Arguments>({ usage, read, act }: Subcommand<Arguments>) =>
  async (args: readonly string[]): Promise<number> => {
    let asked: Arguments | 'help';
    try {
      asked = read([...args]);
    } catch (error) {
      process.stderr.write(`${(error as Error).message}\n${usage}`);
      return EXIT.usage;
    }
    if (asked === 'help') {
      process.stdout.write(usage);
      return EXIT.done;
    }
    try {
      return await act(asked);
    } catch (error) {
      process.stderr.write(`${(error as Error).message}\n`);
      return EXIT.refused;
    }
  };
