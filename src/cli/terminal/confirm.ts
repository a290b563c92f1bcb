/** Asks a person at a terminal before something is done. */
import { createInterface } from 'node:readline/promises';

/** Whether somebody sits at a terminal who can be asked. The question goes to standard error. */
export const canAsk = (): boolean => process.stdin.isTTY && process.stderr.isTTY;

/** Whether the person says yes. Anything else is no, also the end of the input. */
export async function confirmed(question: string): Promise<boolean> {
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  const ended = new Promise<string>((resolve) => lines.once('close', () => resolve('')));
  try {
    const answer = await Promise.race([lines.question(`${question} [y/N] `), ended]);
    return /^y(?:es)?$/i.test(answer.trim());
  } finally {
    lines.close();
  }
}
