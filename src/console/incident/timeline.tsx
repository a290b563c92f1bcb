import { COMMAND_TABLE, commandOfEvent } from '../../../machines/commands.ts';
import { type Caller, SERVICE_TOKEN } from '../../domain/caller.ts';
import { escalationText } from '../../domain/escalation.ts';
import { useSignal } from '@preact/signals';
import { CopyButton } from '../parts/copy-button.tsx';
import { Moment } from '../parts/time.tsx';
import { Verbatim } from '../parts/verbatim.tsx';
import { counted, grouped, spelled } from '../format.ts';
import { useActs } from '../keyboard.ts';
import { fragmentOf } from '../route.ts';
import { health } from '../health.ts';
import { isTimeUncertain, jumpInWords, jumpsBetween } from '../../domain/clock-jumps.ts';
import type { ClockJump, Entry, EntryEvent, IncidentEntry } from '../../domain/entries.ts';

interface TimelineProps {
  /** Oldest first. */
  readonly entries: readonly IncidentEntry[];
  /** How many of them the view includes. */
  readonly count: number;
  /** Whether these are only the first of them. */
  readonly isCut: boolean;
  readonly onChoose: (count: number) => void;
}

/** Entries that are drawn at first, and that one click adds. */
const AT_A_TIME = 200;

/** Who did what, with note and hash, newest first. Choosing an entry shows the incident after it. */
export const Timeline = ({ entries, count, isCut, onChoose }: TimelineProps) => {
  const isNoiseShown = useSignal(false);
  const shown = useSignal(AT_A_TIME);
  const noise = noiseIn(entries);
  const isPast = count < entries.length;
  const toggle = (): void => {
    isNoiseShown.value = !isNoiseShown.value;
  };
  useActs(noise.size > 0 ? { deliveries: toggle } : {});
  const kept = entries
    .map((entry, index) => ({ entry, index }))
    .filter(({ entry, index }) => isNoiseShown.value || !noise.has(entry.data.seq) || (isPast && index + 1 === count))
    .toReversed();
  return (
    <section class="card history" aria-label="Timeline">
      <header>
        <h3>Timeline</h3>
        <span class="small muted">
          {isCut ? `the first ${grouped(entries.length)} entries` : counted(entries.length, 'entry', 'entries')}
        </span>
        {noise.size > 0 && (
          <span class="end">
            <label class="switch">
              <input
                type="checkbox"
                role="switch"
                checked={isNoiseShown.value}
                onChange={toggle}
                aria-keyshortcuts="d"
              />
              {isNoiseShown.value
                ? counted(noise.size, 'delivery entry', 'delivery entries')
                : `${counted(noise.size, 'delivery entry', 'delivery entries')} hidden`}
            </label>
          </span>
        )}
      </header>
      <ol class="timeline">
        {kept.slice(0, shown.value).flatMap(({ entry, index }) => [
          <li
            key={entry.data.seq}
            class={isPast && index + 1 === count ? 'chosen' : index + 1 > count ? 'later' : ''}
            aria-current={index + 1 === count ? 'step' : undefined}
          >
            <Moment at={entry.timestamp} />
            <i class={`dot ${kindOf(entry)}`} aria-hidden="true" />
            <div class="what">
              <button type="button" class="link" onClick={() => onChoose(index + 1)}>
                {phraseOf(entry)}
              </button>
              {isTimeUncertain(jumpsOfClock(), entry.data.seq) && <em> · the clock jumped about then</em>}
              <Said entry={entry} />
              <LinkOf entry={entry} />
            </div>
            <span class="proof">
              <code title={`entry ${entry.data.seq}: ${entry.entry_hash}`}>{entry.entry_hash.slice(0, 8)}</code>
              <CopyButton text={() => entry.entry_hash} what={`the hash of entry ${entry.data.seq}`} />
            </span>
          </li>,
          ...jumpsBefore(entries, index).map((jump) => (
            <li key={`clock ${jump.seq}`} class="clock-jump">
              <Moment at={jump.at} />
              <i class="dot" aria-hidden="true" />
              <p class="what">{spelled(jumpInWords(jump))}</p>
            </li>
          )),
        ])}
      </ol>
      {kept.length > shown.value && (
        <p class="empty">
          <button type="button" class="link" onClick={() => (shown.value += AT_A_TIME)}>
            {counted(kept.length - shown.value, 'older entry', 'older entries')}
          </button>
        </p>
      )}
    </section>
  );
};

/** The incident that another entry leads to. */
const LinkOf = ({ entry: { event, data } }: { readonly entry: IncidentEntry }) => {
  const other = event === 'incident.reopened' ? data.as : event === 'incident.reported' ? data.reopens : undefined;
  if (other === undefined) return null;
  return (
    <p>
      <a href={fragmentOf({ view: 'incidents', id: other, query: '' })}>
        <code>{other}</code>
      </a>
    </p>
  );
};

/** The entries that say nothing new: signs of life, and each attempt of a delivery but its first. By `seq`. */
const noiseIn = (entries: readonly IncidentEntry[]): ReadonlySet<number> => {
  const noise = new Set<number>();
  for (const { event, data } of entries) {
    if (event === 'containment.attempted' && data.attempt > 1) noise.add(data.seq);
  }
  return noise;
};

/** What an entry is, for its dot: a person or a reporter, a failure, or something that was carried out. */
const kindOf = ({ event, data }: IncidentEntry): string => {
  if (['containment.overdue', 'containment.failed', 'containment.lost', 'recovery.attestation_failed'].includes(event))
    return 'wrong';
  if (event === 'containment.confirmed' || event === 'recovery.attested') return 'done';
  const { principal, by } = data as Partial<Caller>;
  return principal !== undefined || by !== undefined || event === 'incident.reported' ? 'person' : '';
};

const jumpsOfClock = (): readonly ClockJump[] => health.value?.clock?.jumps ?? [];

/** The jumps of the clock right before an entry. */
const jumpsBefore = (entries: readonly IncidentEntry[], index: number): readonly ClockJump[] => {
  const { seq } = entries[index]!.data;
  return jumpsBetween(jumpsOfClock(), entries[index - 1]?.data.seq ?? seq, seq);
};

/** What an entry says happened, as a phrase. */
export const phraseOf = (entry: Entry): string => {
  const { event, data } = entry;
  const command = commandOfEvent(event);
  if (command !== undefined) return spelled(COMMAND_TABLE[command].done);
  if (isAboutContainment(entry)) {
    const { action, directive } = entry.data;
    const needsPerson = entry.event === 'containment.failed' && entry.data.needs_person === true;
    const phrase = needsPerson ? 'needs a person' : CONTAINMENT_PHRASES[entry.event];
    return `${action}${directive === 'release' && entry.event !== 'containment.released' ? ' (release)' : ''}: ${phrase}`;
  }
  if (event === 'incident.reported') {
    if (data.reopens !== undefined) {
      return `Takes ${data.reopens} up again${data.state === 'contained' ? ', and contained by policy' : ''}`;
    }
    return data.state === 'contained' ? 'Reported, and contained by policy' : 'Reported';
  }
  if (event === 'incident.imported') return 'Taken over from another recorder';
  if (event === 'incident.noted') return 'Noted';
  if (event === 'incident.assigned') return data.to === null ? 'Assigned to nobody' : `Assigned to ${data.to}`;
  if (event === 'incident.snoozed') return `Snoozed until ${data.until}`;
  if (event === 'incident.woken') return data.why === 'due' ? 'Back from its snooze' : 'Snooze ended';
  if (event === 'incident.reopened') return `Reopened as ${data.as}`;
  if (event === 'incident.carried') return 'Earlier entries went to the archive';
  if (event === 'guard.heard') return `Guard ${data.source}: heard`;
  if (event === 'guard.silent') return `Guard ${data.source}: silent`;
  if (event === 'silence.added') return `Silence added: ${data.reason}`;
  if (event === 'silence.ended') return 'Silence ended';
  if (event === 'fleet.answered') return `Command of the fleet: ${data.command}, answered ${data.status}`;
  if (event === 'log.anchored') return `Anchored up to entry ${data.anchored_seq}`;
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
  'containment.released': 'released early',
  'containment.spared': 'spared by the drill',
  'containment.heard': 'sign of life',
};

const isAboutContainment = (entry: Entry): entry is Extract<Entry, { readonly event: ContainmentEvent }> =>
  entry.event in CONTAINMENT_PHRASES;

/** The texts in an entry: who, their note, an error. */
const Said = ({ entry }: { readonly entry: IncidentEntry }) => {
  const { event, data } = entry;
  const { principal, role, by, claimed, on_behalf_of: other } = data as Partial<Caller>;
  const who = by ?? (principal === SERVICE_TOKEN ? undefined : principal);
  const note = 'note' in data ? data.note : 'earlier' in data ? data.earlier.note : undefined;
  const trouble = 'error' in data ? data.error : event === 'containment.lost' ? data.reason : undefined;
  const faults = 'faults' in data ? data.faults : undefined;
  const why = event === 'recovery.waived' || event === 'containment.released' ? data.reason : undefined;
  const cause = event === 'alert.raised' ? data.reason : undefined;
  return (
    <>
      {'resolution' in data && data.resolution !== undefined && (
        <span class="resolution"> as {spelled(data.resolution).toLowerCase()}</span>
      )}
      {who !== undefined && (
        <span class="by">
          {' '}
          by <Verbatim text={who} />
          {claimed && ' (claimed)'}
          {role !== undefined && ` as ${role}`}
          {other !== undefined && (
            <>
              {' for '}
              <Verbatim text={other} />
            </>
          )}
        </span>
      )}
      {'escalated_by' in data && data.escalated_by !== undefined && (
        <p class="escalated">Escalated {escalationText(data.escalated_by)}.</p>
      )}
      {cause !== undefined && (
        <p class="cause">
          <Verbatim text={cause} longest={300} />
        </p>
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
      {faults?.map((fault) => (
        <p key={fault} class="error">
          <Verbatim text={fault} longest={300} />
        </p>
      ))}
      {why !== undefined && (
        <blockquote>
          <Verbatim text={why} />
        </blockquote>
      )}
      {'recovery_voided' in data && data.recovery_voided !== undefined && (
        <p class="error">What was done for the recovery counts no more.</p>
      )}
    </>
  );
};
