/**
 * The message texts by which people and scripts find what happens to incidents in the journal: they look for
 * `containment:`, `ALERT:`, `recovery:`, `escalation:` and `class=`.
 *
 * A text is short, on one line, and holds no evidence, no description, and no words that a service has answered. What
 * people look for stands in it where the recorder says it, and in no name that somebody else has chosen.
 */
import type { DeliveryEntry, Entry, EscalatedBy, IncidentEntry, RoutedIntent } from './entries.ts';
import { isAboutIncident } from './entries.ts';
import { escalationText } from './escalation.ts';
import { withoutHidden } from './hidden-characters.ts';
import type { Incident } from './incident.ts';
import { withoutAnswer } from './withheld.ts';

/** What a text begins with. */
export type JournalTopic = 'containment' | 'ALERT' | 'recovery' | 'escalation' | 'incident';

/** The longest text, in characters. */
const LONGEST = 400;

/**
 * A text for the journal: `recovery: acknowledged for INC-… class=integrity_violation`.
 * @param text what has happened, without foreign words
 */
export function journalText(topic: JournalTopic, text: string): string {
  const line = `${topic}: ${isPlain(text) ? text : withoutHidden(text)}`;
  return line.length > LONGEST ? `${line.slice(0, LONGEST - 1)}…` : line;
}

const MARKS = /(?<=containment|ALERT|recovery|escalation|incident):|(?<=class|severity|source|state)=/g;

/** A foreign name, in which nothing is found that scripts look for. */
const unmarked = (name: string): string => (/[:=]/.test(name) ? name.replaceAll(MARKS, '_') : name);

/** Whether a text is of visible ASCII. Most are, and the search for hidden characters takes long. */
const isPlain = (text: string): boolean =>
  Buffer.byteLength(text) === text.length &&
  JSON.stringify(text).length === text.length + QUOTES &&
  !text.includes('\x7f');
const QUOTES = 2;

/**
 * The texts for an entry that is on disk.
 * @param incident its incident after it, where it is known
 */
export function journalTexts(
  entry: Entry,
  incident: Pick<Incident, 'class' | 'severity'> | undefined,
): readonly string[] {
  if (!isAboutIncident(entry)) return entry.event === 'alert.raised' ? [alertText(entry.data)] : NONE;
  const { incident: id } = entry.data;
  const drill = entry.data.drill === true ? ' drill' : '';
  const about = (incident === undefined ? id : `${id} class=${incident.class}`) + drill;
  const event: string = entry.event;
  // What is done for the recovery of an incident: `recovery.acknowledged`.
  if (event.startsWith('recovery.')) {
    const done = event.slice('recovery.'.length).replaceAll('_', ' ');
    return [journalText('recovery', `${done} for ${about}${askedBy(entry.data)}`)];
  }
  return textsOf(entry, about, incident);
}

const NONE: readonly string[] = [];

function textsOf(
  entry: IncidentEntry,
  about: string,
  incident: Pick<Incident, 'severity'> | undefined,
): readonly string[] {
  switch (entry.event) {
    case 'incident.reported': {
      const { report, severity, state, intents, escalated_by: rule } = entry.data;
      const drill = entry.data.drill === true ? ' drill' : '';
      const said = `${entry.data.incident} class=${report.class} severity=${severity} state=${state}${drill}`;
      const actions = engaged(intents);
      // Words of the recorder alone, and once for each report: there is nothing to look for in them.
      const text = actions === '' ? `incident: ${said} reported` : `containment: ${actions} asked for by ${said}`;
      return rule === undefined ? [text] : [text, escalationLine(said, rule)];
    }
    case 'incident.recurred': {
      const actions = engaged(entry.data.intents ?? []);
      return [
        ...(entry.data.attention === 'severity'
          ? [escalationLine(`${about} severity=${entry.data.severity ?? incident?.severity}`, entry.data.escalated_by)]
          : []),
        ...(actions === '' ? [] : [journalText('containment', `${actions} asked for by ${about}`)]),
      ];
    }
    case 'incident.contained': {
      const actions = engaged(entry.data.intents);
      return actions === '' ? NONE : [journalText('containment', `${actions} asked for by ${about}`)];
    }
    case 'incident.woken':
      return [journalText('incident', `${about} state=${entry.data.state} is snoozed no more${askedBy(entry.data)}`)];
    case 'incident.reopened':
      return [journalText('incident', `${about} is reopened as ${entry.data.as}${askedBy(entry.data)}`)];
    case 'containment.released':
      return [journalText('containment', `${entry.data.action} released early for ${about}${askedBy(entry.data)}`)];
    case 'alert.raised':
      return [alertText(entry.data)];
    case 'containment.attempted':
    case 'containment.overdue':
    case 'containment.confirmed':
    case 'containment.failed':
    case 'containment.lost':
    case 'containment.retried':
    case 'containment.spared':
      return [journalText('containment', deliveryText(entry, about))];
    default:
      return NONE;
  }
}

const escalationLine = (about: string, rule: EscalatedBy | undefined): string =>
  journalText('escalation', rule === undefined ? about : `${about}: ${escalationText(rule)}`);

function deliveryText(entry: DeliveryEntry, about: string): string {
  const { action, directive } = entry.data;
  switch (entry.event) {
    case 'containment.confirmed':
      return `${action} ${directive === 'engage' ? 'engaged' : 'released'} for ${about}`;
    case 'containment.attempted':
      return `attempt ${entry.data.attempt} to ${directive} ${action} failed for ${about}: ${withoutAnswer(entry.data.error)}`;
    case 'containment.failed': {
      const what = entry.data.needs_person === true ? 'needs a person' : 'failed';
      return `${directive} ${action} ${what} for ${about}: ${withoutAnswer(entry.data.error)}`;
    }
    case 'containment.overdue':
      return `${directive} ${action} is overdue for ${about}`;
    case 'containment.lost':
      return `${action} is lost for ${about}: ${withoutAnswer(entry.data.reason)}`;
    case 'containment.spared':
      return `${directive} ${action} is not asked for by ${about}`;
    case 'containment.retried':
      return `${directive} ${action} is tried again for ${about}`;
    default:
      return entry satisfies never;
  }
}

/** The actions that an entry asks for, with commas between them. */
function engaged(intents: readonly RoutedIntent[]): string {
  let actions = '';
  for (const { action, directive } of intents) {
    if (directive === 'engage') actions += actions === '' ? action : `, ${action}`;
  }
  return actions;
}

function alertText(data: Extract<Entry, { readonly event: 'alert.raised' }>['data']): string {
  const { severity } = data;
  const reason = unmarked(withoutAnswer(data.reason));
  if (!('incident' in data)) return journalText('ALERT', `severity=${severity}: ${reason}`);
  const { incident, class: ofClass, source } = data;
  return journalText(
    'ALERT',
    `incident ${incident} class=${ofClass} severity=${severity} source=${unmarked(source)}: ${reason}`,
  );
}

const askedBy = (data: object): string =>
  'by' in data && typeof data.by === 'string' ? ` by ${unmarked(data.by)}` : '';
