/**
 * The notes that people leave on an incident. The incident shows the newest; the log has all of them.
 */
import type { Role } from '../../machines/vocabulary.ts';
import type { Signed } from './caller.ts';

/** What a person has noted, and when (RFC 3339). */
export interface IncidentNote {
  readonly at: string;
  readonly by?: string;
  /** There when nothing but the request says who that was. */
  readonly claimed?: true;
  readonly role?: Role;
  readonly note: string;
}

/** What an incident shows of its notes. */
export interface Notes {
  /** The latest. */
  readonly note?: string;
  /** The newest, oldest first, and how many there are in all. */
  readonly notes?: readonly IncidentNote[];
  readonly notes_count?: number;
}

/** How many notes an incident shows. */
const MOST_NOTES = 20;
/** How long they are together, in characters: every read of the incident has them. The newest is always there. */
const MOST_CHARACTERS = 16 * 1024;
/** The same words of the same person within this time, in milliseconds, are the same request sent again. */
const SENT_AGAIN_WITHIN = 10 * 60 * 1000;

/** The notes once an entry has added one; nothing when it has none. */
export function withNote(
  { notes = [], notes_count: count = 0 }: Notes,
  { timestamp: at, data }: { readonly timestamp: string; readonly data: Signed },
): Notes | undefined {
  const { note, by, claimed, role } = data;
  if (note === undefined) return undefined;
  const who = by === undefined ? undefined : { by, ...(claimed && { claimed }) };
  const added = { at, ...who, ...(role === undefined ? {} : { role }), note };
  return { note, notes: newest([...notes, added]), notes_count: count + 1 };
}

function newest(notes: readonly IncidentNote[]): readonly IncidentNote[] {
  let first = notes.length - 1;
  let characters = notes[first]?.note.length ?? 0;
  for (; first > 0 && notes.length - first < MOST_NOTES; first -= 1) {
    characters += notes[first - 1]!.note.length;
    if (characters > MOST_CHARACTERS) break;
  }
  return notes.slice(Math.max(0, first));
}

/** Whether a note says what the newest one says already: its request was sent again. */
export function isSentAgain({ notes = [] }: Notes, { by, role, note }: Signed, timestamp: string): boolean {
  const last = notes.at(-1);
  if (last === undefined || last.note !== note || last.by !== by || last.role !== role) return false;
  return Math.abs(Date.parse(timestamp) - Date.parse(last.at)) < SENT_AGAIN_WITHIN;
}
