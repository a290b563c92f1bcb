/**
 * What an incident is found by: its words, those of people and notes, those of its evidence, and its marks.
 *
 * Marks stand for its severity, class, source and resolution, for who has acted on it and who works it, and for each value
 * in its evidence with the path to it. Of long evidence and of many notes a part is indexed; then a mark says so.
 */
import type { IncidentClass, Resolution, Severity } from '../../machines/vocabulary.ts';
import type { Incident } from '../domain/incident.ts';
import { type EvidenceWords, evidenceWords, exactly } from './evidence-words.ts';
import { indexedWords } from './search-words.ts';

/** How many characters of the notes of an incident are indexed, the newest first. */
const MOST_NOTED = 16_384;

/** The text of an incident itself. Silences look for their words in this alone: a note must not hide an incident. */
export const searchedText = ({
  id,
  source,
  description,
  latest_report: latest,
}: Pick<Incident, 'id' | 'source' | 'description' | 'latest_report'>): string =>
  `${id} ${source} ${description} ${latest === undefined ? '' : latest.description}`;

/** What is indexed of an incident: its words, those of people and notes, those of its evidence, and its marks. */
export function wordsOf(incident: Incident): readonly [words: string, people: string, evidence: string, marks: string] {
  const { words, people, marks } = ownWordsOf(incident);
  const { latest_report: latest, evidence } = incident;
  if (evidence === undefined && latest?.evidence === undefined) return [words, people, '', marks];
  const first = evidence === undefined ? NO_EVIDENCE : evidenceWords(evidence);
  const last = latest?.evidence === undefined ? NO_EVIDENCE : evidenceWords(latest.evidence);
  const cut = first.isCut || last.isCut ? ` ${CUT_EVIDENCE}` : '';
  const evidences = last.words === '' ? first.words : `${first.words} ${last.words}`;
  return [words, people, evidences, marks + first.marks + last.marks + cut];
}

/** The same, without what its evidence adds. */
function ownWordsOf(incident: Incident): {
  readonly words: string;
  readonly people: string;
  readonly marks: string;
} {
  const { source, severity, class: ofClass, resolution } = incident;
  const words = indexedWords(searchedText(incident));
  let people = incident.reported_by === undefined ? '' : indexedWords(incident.reported_by);
  let marks = `${severityMark(severity)} ${classMark(ofClass)} ${sourceMark(source)}`;
  if (resolution !== undefined) marks += ` ${resolutionMark(resolution)}`;
  if (isTouched(incident)) {
    const touched = peopleOf(incident);
    people += touched.words;
    marks += touched.marks;
  }
  return { words, people, marks };
}

/** What stays the same while an incident is on record, without what its evidence adds: its words, and those of people. */
export const reportedWordsOf = ({
  id,
  source,
  description,
  reported_by: reporter,
}: Incident): { readonly words: string; readonly people: string } => ({
  words: indexedWords(`${id} ${source} ${description}`),
  people: reporter === undefined ? '' : indexedWords(reporter),
});

/** What has been added since, without what the evidence of its latest report adds. Its marks are those that no column has. */
export function laterWordsOf(incident: Incident): {
  readonly words: string;
  readonly people: string;
  readonly marks: string;
} {
  const { latest_report: latest, resolution } = incident;
  const words = latest === undefined ? '' : indexedWords(latest.description);
  const people = isTouched(incident) ? peopleOf(incident) : { words: '', marks: '' };
  const marks = resolution === undefined ? people.marks : `${people.marks} ${resolutionMark(resolution)}`;
  return { words, people: people.words, marks };
}

const NO_EVIDENCE: EvidenceWords = { words: '', marks: '', isCut: false };

/** Whether a person has done something about an incident. */
const isTouched = (incident: Incident): boolean =>
  incident.assignee !== undefined ||
  incident.note !== undefined ||
  incident.notes !== undefined ||
  incident.snoozed_until !== undefined ||
  incident.recovery !== undefined ||
  incident.contained_by !== undefined ||
  incident.acknowledged_by !== undefined ||
  incident.assigned_by !== undefined ||
  incident.resolved_by !== undefined;

/** What people have noted, and who has acted: words and marks, with a space before each. */
function peopleOf(incident: Incident): { readonly words: string; readonly marks: string } {
  const { assignee, snoozed_until: snoozed, notes_count: count = 0, notes: kept = [] } = incident;
  const acted = new Set(actedOn(incident));
  const names = assignee === undefined ? [...acted] : [...acted, assignee];
  const notes = noted(incident);
  let words = '';
  for (const text of [...names, notes.slice(0, MOST_NOTED)]) if (text !== '') words += ` ${indexedWords(text)}`;
  let marks = '';
  for (const name of acted) marks += ` ${byMark(name)}`;
  if (assignee !== undefined) marks += ` ${ASSIGNED} ${assigneeMark(assignee)}`;
  if (snoozed !== undefined) marks += ` ${SNOOZED}`;
  if (notes.length > MOST_NOTED || count > kept.length) marks += ` ${CUT_NOTES}`;
  return { words, marks };
}

/** All notes that an incident shows, the newest first. */
function noted({ note, notes = [] }: Incident): string {
  const texts = notes.map((one) => one.note).toReversed();
  return [...(note === undefined || texts.includes(note) ? [] : [note]), ...texts].join(' ');
}

/** Who has acted on an incident, as far as it shows that. */
function actedOn(incident: Incident): readonly string[] {
  const { contained_by, acknowledged_by, resolved_by, assigned_by, snoozed_by, notes = [], recovery } = incident;
  return [
    contained_by,
    acknowledged_by,
    resolved_by,
    assigned_by,
    snoozed_by,
    ...notes.map(({ by }) => by),
    recovery?.acknowledged?.by,
    recovery?.waived?.by,
  ].filter((name) => name !== undefined);
}

/** Whether a search finds the incident by other words or marks than before. */
export function hasOtherWords(before: Incident, now: Incident): boolean {
  return (
    before.severity !== now.severity ||
    before.resolution !== now.resolution ||
    (before.latest_report !== now.latest_report && saysOther(before.latest_report, now.latest_report)) ||
    before.note !== now.note ||
    before.notes_count !== now.notes_count ||
    before.assignee !== now.assignee ||
    before.assigned_by !== now.assigned_by ||
    before.snoozed_until !== now.snoozed_until ||
    before.contained_by !== now.contained_by ||
    before.acknowledged_by !== now.acknowledged_by ||
    before.resolved_by !== now.resolved_by ||
    before.recovery?.acknowledged?.by !== now.recovery?.acknowledged?.by ||
    before.recovery?.waived?.by !== now.recovery?.waived?.by
  );
}

/** Whether a further report has another description, or other evidence. */
const saysOther = (before: Incident['latest_report'], now: Incident['latest_report']): boolean =>
  before?.description !== now?.description || JSON.stringify(before?.evidence) !== JSON.stringify(now?.evidence);

export const severityMark = (severity: Severity): string => `se${severity}`;
/** An underscore would separate words. */
export const classMark = (ofClass: IncidentClass): string => `cl${ofClass.replaceAll('_', '')}`;
export const resolutionMark = (resolution: Resolution): string => `re${resolution.replaceAll('_', '')}`;
export const sourceMark = (source: string): string => `so${exactly(source)}`;
export const byMark = (name: string): string => `by${exactly(name)}`;
export const assigneeMark = (name: string): string => `as${exactly(name)}`;
export const ASSIGNED = 'isassigned';
export const SNOOZED = 'issnoozed';
export const CUT_EVIDENCE = 'iscutevidence';
export const CUT_NOTES = 'iscutnotes';
