/**
 * `incident-recorder watch`: what is recorded, as it happens.
 *
 * The place in the log is remembered from the beginning on, so that after a connection was lost the stream goes on
 * exactly there. That the recorder can't be reached at all is an error only as long as it never was.
 */
import type { Command } from 'commander';
import { Backoff } from '../client/backoff.ts';
import { NotReachable, Refused } from '../client/errors.ts';
import { type AuditEntry, detailOf } from './audit-entry.ts';
import { readEvents } from './event-stream.ts';
import { explain } from './exit.ts';
import { type Filters, wholeNumber, withFilters } from './filters.ts';
import { ApiClient, type ApiOptions, withQuery, withApiClient } from './api-client.ts';
import { STATE_STYLES, styled } from './terminal/colour.ts';
import { writeNotice, writeLines } from './terminal/output.ts';
import { printable, printableJson } from './terminal/printable.ts';
import { terminalWidth } from './terminal/table.ts';
import { fitted, padded } from './terminal/width.ts';

interface Options extends ApiOptions, Filters {
  readonly after?: number;
}

const SECOND = 1000;
/** The recorder sends at least a comment every 15 seconds: one that is silent for longer than this has gone. */
const LONGEST_SILENCE = 45 * SECOND;

export const define = (command: Command): Command =>
  withApiClient(
    withFilters(
      command.description(
        'Follows the audit log live. A connection that is lost is made again, and the log goes on where it was left.',
      ),
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
  const show = options.json ? (data: string) => printableJson(data) : (data: string) => lineOf(JSON.parse(data));
  for (;;) {
    const silence = new AbortController();
    const timer = setTimeout(() => silence.abort(), LONGEST_SILENCE);
    try {
      const stream = await api.stream(path, { 'last-event-id': place }, silence.signal);
      if (isAway) writeNotice('connected again');
      isAway = false;
      backoff.reset();
      for await (const { id, data } of readEvents(stream.setEncoding('utf8'), () => timer.refresh())) {
        await writeLines([show(data)]);
        place = id;
      }
    } catch (error) {
      if (error instanceof Refused && !error.passing) throw error;
      if (!isAway) writeNotice(`${error instanceof NotReachable ? explain(error) : String(error)}; trying again`);
      isAway = true;
    } finally {
      clearTimeout(timer);
    }
    await backoff.pause();
  }
}

/** An entry on one line, cut where the terminal ends. */
function lineOf(entry: AuditEntry): string {
  const { timestamp, event, data } = entry;
  const { seq, incident = '-', state } = data;
  const style = STATE_STYLES[state as keyof typeof STATE_STYLES];
  const head = `${timestamp}  ${String(seq).padStart(6)}  ${padded(printable(event), 22)}  ${padded(printable(incident), 25)}`;
  const line = [head, ...(state === undefined ? [] : [printable(state)]), printable(detailOf(entry))].join('  ');
  return styled(style, fitted(line.trimEnd(), terminalWidth()));
}
