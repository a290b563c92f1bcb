import { useSignal } from '@preact/signals';
import { type Entry, isAboutIncident } from '../../domain/entries.ts';
import { counted, grouped, timeOfDay } from '../format.ts';
import { phraseOf } from '../incident/timeline.tsx';
import { CopyButton } from '../parts/copy-button.tsx';
import { Verbatim, VerbatimLine } from '../parts/verbatim.tsx';
import { NO_FILTERS } from '../filters.ts';
import { idOf } from '../incident-key.ts';
import { fragmentOf, listOf } from '../route.ts';
import { type AuditLine, doerOf, noteOf } from './audit-lines.ts';
import type { LoggedLine } from './log-range.ts';

interface EntryRowsProps {
  readonly lines: readonly AuditLine[];
  /** Shows each entry of a burst, or of what is hidden. */
  readonly onUnfold: (key: string) => void;
}

const COLUMNS = ['Entry', 'Time', 'Event', 'Incident', 'Who, role', 'Note', 'Hash'] as const;

/** The entries as a table, newest first, with a line for each day. */
export const EntryRows = ({ lines, onUnfold }: EntryRowsProps) => {
  let before = '';
  return (
    <table class="entries">
      <thead>
        <tr>
          {COLUMNS.map((title) => (
            <th key={title} scope="col" {...(title === 'Time' && { 'aria-sort': 'descending' })}>
              {title}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {lines.flatMap((line) => {
          const at = new Date(firstOf(line).entry.timestamp).toDateString();
          const isNew = at !== before;
          before = at;
          return [
            isNew && (
              <tr key={`day ${at} ${line.key}`} class="day">
                <th colSpan={COLUMNS.length} scope="colgroup">
                  {dayInWords(firstOf(line).entry.timestamp)}
                </th>
              </tr>
            ),
            line.kind === 'noise' ? (
              <HiddenRow key={line.key} line={line} onUnfold={onUnfold} />
            ) : line.kind === 'burst' ? (
              <BurstRow key={line.key} line={line} onUnfold={onUnfold} />
            ) : (
              <EntryRow key={line.key} one={line.one} />
            ),
          ];
        })}
      </tbody>
    </table>
  );
};

const firstOf = (line: AuditLine): LoggedLine => (line.kind === 'entry' ? line.one : line.all[0]!);

const dayInWords = (timestamp: string): string =>
  new Date(timestamp).toLocaleDateString('en-GB', { weekday: 'long', day: 'numeric', month: 'long', year: 'numeric' });

const Time = ({ at }: { readonly at: string }) => (
  <time dateTime={at} title={at}>
    {timeOfDay(Date.parse(at))}
  </time>
);

const Who = ({ entry }: { readonly entry: Entry }) => {
  const { name, role } = doerOf(entry);
  return (
    <span class="who-role">
      <VerbatimLine text={name} />
      <span class="role">{role}</span>
    </span>
  );
};

const LONGEST_NOTE = 240;

const EntryRow = ({ one: { entry, line } }: { readonly one: LoggedLine }) => {
  const isOpen = useSignal(false);
  const { seq } = entry.data;
  const note = noteOf(entry);
  return (
    <>
      <tr class={`entry ${doerOf(entry).isPerson ? 'person-row' : ''}`}>
        <td>
          <button
            type="button"
            class="link seq"
            aria-expanded={isOpen.value}
            title="Show the whole entry"
            onClick={() => (isOpen.value = !isOpen.value)}
          >
            {grouped(seq)}
          </button>
        </td>
        <td>
          <Time at={entry.timestamp} />
        </td>
        <td>
          <code title={phraseOf(entry)}>{entry.event}</code>
        </td>
        <td>
          {isAboutIncident(entry) ? (
            <a href={fragmentOf({ view: 'incidents', id: entry.data.incident, query: '' })}>
              <code>{idOf(entry.data.incident)}</code>
            </a>
          ) : (
            <span class="muted">–</span>
          )}
        </td>
        <td>
          <Who entry={entry} />
        </td>
        <td class="note">
          {note === undefined ? (
            <span class="muted">{phraseOf(entry)}</span>
          ) : (
            <VerbatimLine text={note.slice(0, LONGEST_NOTE)} />
          )}
        </td>
        <td class="hash-cell">
          <code title={entry.entry_hash}>{entry.entry_hash.slice(0, 8)}…</code>
          <CopyButton text={() => entry.entry_hash} what={`the hash of entry ${seq}`} label="Copy" />
        </td>
      </tr>
      {isOpen.value && (
        <tr class="whole">
          <td colSpan={COLUMNS.length}>
            <CopyButton text={() => line} what={`entry ${seq}`} label="Copy the line" />
            <pre>
              <Verbatim text={line} longest={4000} />
            </pre>
          </td>
        </tr>
      )}
    </>
  );
};

interface FoldedProps<Kind extends AuditLine['kind']> {
  readonly line: Extract<AuditLine, { readonly kind: Kind }>;
  readonly onUnfold: (key: string) => void;
}

/** Many entries alike in one row. */
const BurstRow = ({ line: { all, key }, onUnfold }: FoldedProps<'burst'>) => {
  const [last, first] = [all[0]!.entry, all.at(-1)!.entry];
  const report = last.event === 'incident.reported' ? last.data.report : undefined;
  const since = new Date(Date.parse(first.timestamp) - 1000).toISOString();
  const until = new Date(Date.parse(last.timestamp) + 1000).toISOString();
  const incidents = new Set(all.flatMap(({ entry }) => (isAboutIncident(entry) ? entry.data.incident : []))).size;
  return (
    <tr class={`entry ${doerOf(last).isPerson ? 'person-row' : ''}`}>
      <td class="muted">{grouped(last.data.seq)}</td>
      <td>
        <Time at={first.timestamp} /> <small>– {timeOfDay(Date.parse(last.timestamp))}</small>
      </td>
      <td>
        <code>{last.event}</code>
      </td>
      <td>
        {report === undefined ? (
          counted(incidents, 'incident')
        ) : (
          <a href={listOf({ ...NO_FILTERS, classes: [report.class], sources: [report.source], since, until })}>
            {counted(incidents, 'incident')}
          </a>
        )}
      </td>
      <td>
        <Who entry={last} />
      </td>
      <td class="note">
        <span class="times">×{grouped(all.length)}</span>{' '}
        <VerbatimLine text={(noteOf(last) ?? phraseOf(last)).slice(0, LONGEST_NOTE)} />{' '}
        <button type="button" class="link" onClick={() => onUnfold(key)}>
          unfold
        </button>
      </td>
      <td class="hash-cell">
        <code title={last.entry_hash}>{last.entry_hash.slice(0, 8)}…</code>
      </td>
    </tr>
  );
};

/** How many kinds of what is hidden are named. */
const MOST_KINDS = 3;

/** Where delivery entries are hidden: a thin row that says how many. */
const HiddenRow = ({ line: { all, key }, onUnfold }: FoldedProps<'noise'>) => {
  const [last, first] = [all[0]!.entry, all.at(-1)!.entry];
  const kinds = [
    ...Map.groupBy(all, ({ entry }) => `${'action' in entry.data ? `${entry.data.action} ` : ''}${entry.event}`),
  ];
  const from = timeOfDay(Date.parse(first.timestamp));
  const to = timeOfDay(Date.parse(last.timestamp));
  return (
    <tr class="noise">
      <td colSpan={2}>{from === to ? from : `${from} – ${to}`}</td>
      <td colSpan={COLUMNS.length - 2}>
        {counted(all.length, 'delivery entry', 'delivery entries')} hidden:{' '}
        {kinds
          .slice(0, MOST_KINDS)
          .map(([kind, some]) => `${kinds.length > 1 ? `${grouped(some.length)} ` : ''}${kind}`)
          .join(', ')}
        {kinds.length > MOST_KINDS && ' and others'}{' '}
        <button type="button" class="link" onClick={() => onUnfold(key)}>
          show these
        </button>
      </td>
    </tr>
  );
};
