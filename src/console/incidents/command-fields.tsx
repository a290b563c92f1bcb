/** The fields of the dialogs that assign and snooze. */
import { useId } from 'preact/hooks';
import { DAY, HOUR } from '../../clock.ts';
import { attention } from '../attention.ts';
import { momentOf } from '../format.ts';
import { me } from '../me.ts';
import { now } from '../now.ts';
import { Choice } from '../parts/dialog.tsx';
import { serviceTime } from '../service-time.ts';

interface FieldProps {
  readonly value: string;
  readonly disabled: boolean;
  readonly onChange: (value: string) => void;
}

const LONGEST_NAME = 256;

/** Who works it: the person at the page first, then whoever works something. */
export const AssignTo = ({ value, disabled, onChange }: FieldProps) => {
  const listId = useId();
  const rows = attention.shown.value.rows.value;
  const people = [...new Set([me.value ?? [], ...rows.map(({ assignee = [] }) => assignee)].flat())];
  return (
    <label>
      To, empty for nobody
      <input
        autofocus
        list={listId}
        maxLength={LONGEST_NAME}
        autocomplete="off"
        value={value}
        disabled={disabled}
        onFocus={({ currentTarget }) => currentTarget.select()}
        onInput={({ currentTarget }) => onChange(currentTarget.value)}
      />
      <datalist id={listId}>
        {people.slice(0, 50).map((name) => (
          <option key={name} value={name} />
        ))}
      </datalist>
    </label>
  );
};

const SPANS = ['1h', '4h', 'morning', 'week'] as const;
type Span = (typeof SPANS)[number];
const SPAN_WORDS: Readonly<Record<Span, string>> = {
  '1h': '1 hour',
  '4h': '4 hours',
  morning: 'Until 9 in the morning',
  week: '1 week',
};
const MORNING = 9;

/** When a span ends: RFC 3339. */
export const snoozeEnd = (span: Span): string => {
  const at = new Date(serviceTime());
  if (span === '1h') at.setTime(at.getTime() + HOUR);
  if (span === '4h') at.setTime(at.getTime() + 4 * HOUR);
  if (span === 'week') at.setTime(at.getTime() + 7 * DAY);
  if (span === 'morning') {
    if (at.getHours() >= MORNING) at.setTime(at.getTime() + DAY);
    at.setHours(MORNING, 0, 0, 0);
  }
  return at.toISOString();
};

/** Until when: a span that begins now, or a time. */
export const SnoozeUntil = ({ value, disabled, onChange }: FieldProps) => {
  const chosen = SPANS.find((span) => Math.abs(Date.parse(snoozeEnd(span)) - Date.parse(value)) < 10 * 60_000);
  return (
    <div class="fields">
      <Choice
        label="For"
        options={SPANS.map((span) => [span, SPAN_WORDS[span]] as const)}
        value={chosen}
        disabled={disabled}
        onChoose={(span) => onChange(snoozeEnd(span))}
      />
      <label>
        It comes back at {momentOf(Date.parse(value), now.value)}
        <input
          type="datetime-local"
          value={localTime(value)}
          disabled={disabled}
          onChange={({ currentTarget }) => {
            const at = Date.parse(currentTarget.value);
            if (!Number.isNaN(at)) onChange(new Date(at).toISOString());
          }}
        />
      </label>
    </div>
  );
};

/** A time in the form of a `datetime-local` field: `2026-11-22T07:12`. */
export const localTime = (timestamp: string | undefined): string => {
  if (timestamp === undefined) return '';
  const at = new Date(timestamp);
  return new Date(at.getTime() - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
};
