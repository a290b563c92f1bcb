/**
 * `incident-recorder report --batch`: reports from standard input, one JSON object on each line.
 *
 * The lines are sent as they are, up to 100 at once, so that the recorder can refuse what it can't keep exactly. One that
 * is refused is said with its number, and does not stop the others.
 */
import { fstatSync } from 'node:fs';
import { Backoff } from '../backoff.ts';
import { SECOND } from '../clock.ts';
import { Refused } from '../client/errors.ts';
import { LONGEST_REPORT } from '../client/report-text.ts';
import type { Incident } from '../client/shapes.ts';
import type { ApiClient } from './api-client.ts';
import { EXIT } from './exit.ts';
import { summaryOf } from './summary.ts';
import { counted } from './terminal/counted.ts';
import { writeJson, writeLines, writeNotice } from './terminal/output.ts';
import { progressBar } from './terminal/progress-bar.ts';

/** How many reports a recorder takes at once. */
const MOST_REPORTS = 100;
/** How often a report is sent again that can't be recorded now … */
const RETRIES = 5;
/** … and the pauses before, in milliseconds: at least, and at most. */
const PAUSE = 0.5 * SECOND;
const LONGEST_PAUSE = 5 * SECOND;
/** How often progress is said where standard error is no terminal, in milliseconds. */
const SAY_EVERY = 10 * SECOND;
const NEWLINE = 0x0a;

/** A line of the input; its number is counted from 1. */
interface Line {
  readonly number: number;
  readonly bytes: Buffer;
}

/** What the recorder says about a report: see `POST /api/v1/incidents/reports`. */
interface Item {
  readonly status: number;
  readonly incident?: Incident;
  readonly error?: string;
}

export interface BatchOptions {
  readonly json: true | undefined;
  /** The beginning of the idempotency keys: a line that has none gets this with its number. */
  readonly key: string | undefined;
}

/** @throws Refused, NotReachable when a request is refused as a whole, or not answered */
export async function reportBatch(
  api: ApiClient,
  input: AsyncIterable<Uint8Array>,
  { json, key }: BatchOptions,
): Promise<void> {
  const counts = { created: 0, known: 0, refused: 0 };
  const progress = progressOf();
  let done = 0;
  let bytes = 0;
  try {
    for await (const lines of batchesIn(input)) {
      const items = await send(api, key === undefined ? lines : lines.map((line) => withKey(line, key)));
      progress.pause();
      for (const [index, { number }] of lines.entries()) {
        const item = items[index]!;
        counts[item.status === 201 ? 'created' : item.status === 200 ? 'known' : 'refused'] += 1;
        if (json) await writeJson({ line: number, ...item });
        else if (item.incident !== undefined) await writeLines([summaryOf(item.incident)]);
        if (item.incident === undefined) writeNotice(`line ${number}: ${item.error ?? `refused (${item.status})`}`);
      }
      done = lines.at(-1)!.number;
      bytes += lines.reduce((sum, line) => sum + line.bytes.length + 1, 0);
      progress.show(bytes, said(counts));
    }
  } catch (error) {
    progress.pause();
    writeNotice(`it is not done: lines up to ${done} are answered; go on behind them`);
    throw error;
  } finally {
    progress.pause();
    if (counts.refused > 0) process.exitCode = EXIT.refused;
    writeNotice(said(counts));
  }
}

function said({ created, known, refused }: Readonly<Record<'created' | 'known' | 'refused', number>>): string {
  const count = created + known + refused;
  const parts = `${created} created, ${known} on record already, ${refused} refused`;
  return `${counted(count, 'report')}: ${parts}`;
}

/** Progress on standard error: a bar in a terminal where the length is known, a line now and then elsewhere. */
function progressOf(): { readonly show: (bytes: number, text: string) => void; readonly pause: () => void } {
  const length = lengthOfInput();
  const bar = progressBar(length ?? 0);
  let next = performance.now() + SAY_EVERY;
  return {
    show: (bytes, text) => {
      if (length !== undefined && process.stderr.isTTY) return bar.show(bytes);
      if (performance.now() < next) return;
      next = performance.now() + SAY_EVERY;
      writeNotice(text);
    },
    pause: bar.end,
  };
}

/** How long the input is, when it is a file. */
function lengthOfInput(): number | undefined {
  try {
    const found = fstatSync(0);
    return found.isFile() ? found.size : undefined;
  } catch {
    return undefined;
  }
}

/**
 * The items of the answer to some lines. What can't be recorded now is sent again a few times: reports that are left, and
 * a batch that is refused as a whole, of which nothing is on record.
 * @throws Refused, NotReachable
 */
async function send(api: ApiClient, lines: readonly Line[]): Promise<readonly Item[]> {
  const items: Item[] = lines.map(() => ({ status: 503 }));
  const backoff = new Backoff(2 * PAUSE, LONGEST_PAUSE);
  for (let attempt = 0; ; attempt++) {
    const waiting = [...items.keys()].filter((at) => items[at]!.status === 503);
    if (waiting.length === 0 || attempt > RETRIES) return items;
    if (attempt > 0) await backoff.pause(undefined, PAUSE);
    try {
      const again = await sendOnce(
        api,
        waiting.map((at) => lines[at]!),
      );
      for (const [index, at] of waiting.entries()) items[at] = again[index]!;
    } catch (error) {
      if (!(error instanceof Refused && error.passing && attempt < RETRIES)) throw error;
    }
  }
}

async function sendOnce(api: ApiClient, lines: readonly Line[]): Promise<readonly Item[]> {
  const [first] = lines;
  if (lines.length === 1 && first!.bytes.length > LONGEST_REPORT) return [tooLong(first!.bytes)];
  const body = Buffer.concat(lines.flatMap(({ bytes }) => [bytes, Buffer.from('\n')]));
  try {
    return await api.command<readonly Item[]>('/api/v1/incidents/reports', body, {
      'content-type': 'application/x-ndjson',
    });
  } catch (error) {
    if (!(error instanceof Refused) || error.status !== 413) throw error;
    // The recorder takes shorter bodies only.
    if (lines.length === 1) return [{ status: 413, error: String(error.body.error) }];
    const half = Math.ceil(lines.length / 2);
    return [...(await sendOnce(api, lines.slice(0, half))), ...(await sendOnce(api, lines.slice(half)))];
  }
}

const tooLong = ({ length }: Buffer): Item => ({
  status: 413,
  error: `a report of more than ${Math.min(length, LONGEST_REPORT)} bytes is too long`,
});

/** The line with a key of its own, if it is an object that has none. */
function withKey({ number, bytes }: Line, key: string): Line {
  try {
    const report = JSON.parse(bytes.toString('utf8')) as { readonly idempotency_key?: unknown } | null;
    if (typeof report !== 'object' || report === null || Array.isArray(report)) return { number, bytes };
    if ('idempotency_key' in report || Object.keys(report).length === 0) return { number, bytes };
  } catch {
    return { number, bytes };
  }
  const at = bytes.indexOf('{') + 1;
  const member = Buffer.from(`"idempotency_key":${JSON.stringify(`${key}-${number}`)},`);
  return { number, bytes: Buffer.concat([bytes.subarray(0, at), member, bytes.subarray(at)]) };
}

/**
 * The lines that are not blank, as many at a time as a recorder takes, and no more than have arrived: who writes slowly
 * waits for no others. One that is too long comes alone, cut.
 */
async function* batchesIn(input: AsyncIterable<Uint8Array>): AsyncGenerator<readonly Line[]> {
  let batch: Line[] = [];
  let length = 0;
  for await (const line of linesIn(input)) {
    // Room for a key as well.
    const own = line === undefined ? 0 : line.bytes.length + 1 + 300;
    const isFull = line === undefined || batch.length === MOST_REPORTS || length + own > LONGEST_REPORT;
    if (isFull && batch.length > 0) {
      yield batch;
      batch = [];
      length = 0;
    }
    if (line !== undefined) batch.push(line);
    length += own;
  }
}

/** The lines that are not blank, and undefined when no more has arrived. */
async function* linesIn(input: AsyncIterable<Uint8Array>): AsyncGenerator<Line | undefined> {
  let pieces: Buffer[] = [];
  let length = 0;
  let number = 1;
  const take = (piece: Buffer): void => {
    // What is too long is too long however long it is.
    if (length <= LONGEST_REPORT) pieces.push(piece);
    length += piece.length;
  };
  const line = (): Line => {
    const bytes = Buffer.concat(pieces);
    pieces = [];
    length = 0;
    return { number, bytes };
  };
  for await (const chunk of input) {
    let rest = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    for (let end = rest.indexOf(NEWLINE); end !== -1; end = rest.indexOf(NEWLINE)) {
      take(rest.subarray(0, end));
      rest = rest.subarray(end + 1);
      const whole = line();
      if (!isBlank(whole.bytes)) yield whole;
      number += 1;
    }
    take(rest);
    yield undefined;
  }
  const last = line();
  if (!isBlank(last.bytes)) yield last;
  yield undefined;
}

const isBlank = (bytes: Buffer): boolean => bytes.length <= LONGEST_REPORT && bytes.toString('latin1').trim() === '';
