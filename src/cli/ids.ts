import { createInterface } from 'node:readline';

/** What stands for standard input among the identifiers. */
const FROM_INPUT = '-';
/** The first column of the table that `list` prints. */
const HEADER = 'ID';

/** The identifiers of a command line; `-` stands for the first word of each line of standard input. */
export async function* idsFrom(given: readonly string[]): AsyncGenerator<string> {
  for (const id of given) {
    if (id !== FROM_INPUT) {
      yield id;
      continue;
    }
    for await (const line of createInterface({ input: process.stdin })) {
      const [word = ''] = line.trim().split(/\s+/, 1);
      if (word !== '' && word !== HEADER) yield word;
    }
  }
}
