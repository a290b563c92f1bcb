import { COMMAND_TABLE, commandOfEvent } from '../../../machines/commands.ts';
import { CopyButton } from '../parts/copy-button.tsx';
import { Moment } from '../parts/time.tsx';
import { Verbatim } from '../parts/verbatim.tsx';
import { spelled } from '../format.ts';
import type { Entry, EntryEvent, IncidentEntry } from '../../domain/entries.ts';

interface TimelineProps {
  /** Oldest first. */
  readonly entries: readonly IncidentEntry[];
  /** How many of them the view includes. */
  readonly count: number;
  readonly onChoose: (count: number) => void;
}

/** Who did what, with note and hash. Choosing an entry shows the incident after it. */
export const Timeline = ({ entries, count, onChoose }: TimelineProps) => (
  <ol class="timeline">
    {entries.map((entry, index) => (
      <li
        key={entry.data.seq}
        class={index + 1 === count ? 'chosen' : index + 1 > count ? 'later' : ''}
        aria-current={index + 1 === count ? 'step' : undefined}
      >
        <Moment at={entry.timestamp} />
        <div class="what">
          <button type="button" class="link" onClick={() => onChoose(index + 1)}>
            {phraseOf(entry)}
          </button>
          <Said entry={entry} />
          <p class="proof">
            entry {entry.data.seq} · <code title={entry.entry_hash}>{entry.entry_hash.slice(0, 12)}…</code>
            <CopyButton text={() => entry.entry_hash} what={`the hash of entry ${entry.data.seq}`} />
          </p>
        </div>
      </li>
    ))}
  </ol>
);

/** What an entry says happened, as a phrase. */
export const phraseOf = (entry: Entry): string => {
  const { event, data } = entry;
  const command = commandOfEvent(event);
  if (command !== undefined) return spelled(COMMAND_TABLE[command].done);
  if (isAboutContainment(entry)) {
    const { action, directive } = entry.data;
    const needsPerson = entry.event === 'containment.failed' && entry.data.needs_person === true;
    const phrase = needsPerson ? 'needs a person' : CONTAINMENT_PHRASES[entry.event];
    return `${spelled(action)}${directive === 'release' ? ' (release)' : ''}: ${phrase}`;
  }
  if (event === 'incident.reported') {
    return data.state === 'contained' ? 'Reported, and contained by policy' : 'Reported';
  }
  if (event === 'incident.imported') return 'Taken over from another recorder';
  if (event === 'incident.carried') return 'Earlier entries went to the archive';
  return event === 'incident.recurred' ? 'Reported again' : spelled(event.replace('.', ' '));
};

type ContainmentEvent = Extract<EntryEvent, `containment.${string}`>;

const CONTAINMENT_PHRASES: Readonly<Record<ContainmentEvent, string>> = {
  'containment.attempted': 'attempt failed, to be tried again',
  'containment.overdue': 'overdue, not confirmed in time',
  'containment.confirmed': 'confirmed',
  'containment.failed': 'failed',
  'containment.lost': 'lost',
  'containment.retried': 'to be tried again',
  'containment.heard': 'sign of life',
};

const isAboutContainment = (entry: Entry): entry is Extract<Entry, { readonly event: ContainmentEvent }> =>
  entry.event in CONTAINMENT_PHRASES;

/** The texts in an entry: who, their note, an error. */
const Said = ({ entry }: { readonly entry: IncidentEntry }) => {
  const { event, data } = entry;
  const by = 'by' in data ? data.by : undefined;
  const note = 'note' in data ? data.note : 'earlier' in data ? data.earlier.note : undefined;
  const trouble = 'error' in data ? data.error : event === 'containment.lost' ? data.reason : undefined;
  return (
    <>
      {by !== undefined && (
        <span class="by">
          {' '}
          by <Verbatim text={by} />
        </span>
      )}
      {note !== undefined && (
        <blockquote>
          <Verbatim text={note} />
        </blockquote>
      )}
      {trouble !== undefined && (
        <p class="error">
          <Verbatim text={trouble} longest={300} />
        </p>
      )}
    </>
  );
};
