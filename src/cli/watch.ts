/**
 * `incident-recorder watch`: prints entries of the audit log as they are recorded.
 *
 * It remembers its place in the log: after a lost connection the stream resumes exactly there. When that place is not
 * in the log any more, because it is another log or was archived, it says so and begins with the first entry that is
 * there. An unreachable recorder is an error only before the first connection.
 */
import type { Command } from 'commander';
import { Backoff } from '../backoff.ts';
import { NotReachable, Refused } from '../client/errors.ts';
import { type AuditEntry, detailOf } from './audit-entry.ts';
import { readEvents } from './read-events.ts';
import { explain } from './exit.ts';
import { type FilterOptions, wholeNumber, withFilterOptions } from './filter-options.ts';
import { ApiClient, type ApiOptions, withQuery, withApiClient } from './api-client.ts';
import { STATE_STYLES, styled } from './terminal/colour.ts';
import { isOutputGone, outputGone, writeNotice, writeLines } from './terminal/output.ts';
import { printable, printableJson } from './terminal/printable.ts';
import { terminalWidth } from './terminal/table.ts';
import { fitted, padded } from './terminal/width.ts';

interface Options extends ApiOptions, FilterOptions {
  readonly after?: number;
}

const SECOND = 1000;
/** The recorder sends at least a comment every 15 seconds. After a longer silence the connection is lost. */
const LONGEST_SILENCE = 45 * SECOND;

export const define = (command: Command): Command =>
  withApiClient(
    withFilterOptions(
      command.description('Follows the audit log live. After a lost connection it resumes where it was.'),
    ).option('--after <seq>', 'begin after this entry, 0 for the whole log; now when not given', wholeNumber),
  ).action(watch);

async function watch({ after, ...options }: Options): Promise<void> {
  const api = new ApiClient(options);
  const path = withQuery('/api/v1/events', {
    class: options.class,
    state: options.state,
    severity: options.severity,
  });
  let place = String(after ?? (await api.lastSeq()));
  const backoff = new Backoff(0.5 * SECOND, 5 * SECOND);
  let isAway = false;
  let wasThere = false;
  const show = options.json ? (data: string) => printableJson(data) : (data: string) => lineOf(JSON.parse(data));
  for (;;) {
    const silence = new AbortController();
    const timer = setTimeout(() => silence.abort(), LONGEST_SILENCE);
    try {
      const signal = AbortSignal.any([silence.signal, outputGone]);
      const stream = await api.stream(path, { 'last-event-id': place }, signal);
      wasThere = true;
      if (isAway) writeNotice('connected again');
      isAway = false;
      backoff.reset();
      const events = readEvents(
        stream.setEncoding('utf8'),
        () => timer.refresh(),
        (id) => (place = id),
      );
      for await (const { id, data } of events) {
        await writeLines([show(data)]);
        if (isOutputGone()) return;
        place = id;
      }
    } catch (error) {
      if (isOutputGone()) return;
      const first = wasThere && error instanceof Refused && error.status === 410 ? error.body.first_seq : undefined;
      if (typeof first === 'number') {
        writeNotice(`${(error as Refused).message}; beginning with entry ${first}`);
        place = String(first - 1);
      } else {
        if (error instanceof Refused && !error.passing) throw error;
        if (!isAway) writeNotice(`${error instanceof NotReachable ? explain(error) : String(error)}; trying again`);
        isAway = true;
      }
    } finally {
      clearTimeout(timer);
    }
    await backoff.pause();
  }
}

/** An entry on one line, cut to the width of the terminal. */
function lineOf(entry: AuditEntry): string {
  const { timestamp, event, data, machine } = entry;
  const { seq, incident = '-', state } = data;
  const style = STATE_STYLES[state as keyof typeof STATE_STYLES];
  const head = `${timestamp}  ${String(seq ?? '-').padStart(6)}  ${padded(printable(event), 22)}  ${padded(printable(incident), 25)}`;
  const line = [
    ...(machine === undefined ? [] : [padded(printable(machine), 16)]),
    head,
    ...(state === undefined ? [] : [printable(state)]),
    printable(detailOf(entry)),
  ].join('  ');
  return styled(style, fitted(line.trimEnd(), terminalWidth()));
}
