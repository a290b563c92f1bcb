/** What the command line writes to standard output: lines for people, or JSON for scripts. */
import { printable, printableJson } from './printable.ts';

/** Writes lines that are already printable. Resolves when the terminal or pipe has taken them. */
export async function writeLines(lines: readonly string[]): Promise<void> {
  if (lines.length === 0) return;
  await new Promise<void>((resolve) => {
    process.stdout.write(`${lines.join('\n')}\n`, () => resolve());
  });
}

/** Writes each value as JSON on a line of its own. */
export const writeJson = (...values: readonly unknown[]): Promise<void> =>
  writeLines(values.map((value) => printableJson(JSON.stringify(value))));

/** Writes a message for the user to standard error. */
export const writeNotice = (text: string): void => {
  process.stderr.write(`${text.split('\n').map(printable).join('\n')}\n`);
};
