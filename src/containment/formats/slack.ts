/**
 * Messages for Slack's incoming webhooks: https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks.
 *
 * What reporters wrote stands in plain text only, where nothing is a mention, a link or formatting, and with `&`, `<` and
 * `>` escaped; Markdown blocks and the text of the notification hold words of our own.
 */
import { SEVERITIES } from '../../../machines/vocabulary.ts';
import { DAY, HOUR, MINUTE } from '../../clock.ts';
import type { Incident } from '../../domain/incident.ts';
import type { NoticeSettings } from '../../domain/notice.ts';
import { bounded, linkTo, topicOf } from './text.ts';
import type { ReminderReason } from '../reminders.ts';

/** Slack's limits: of a header, and of a text in a block, in characters. A whole message takes some 13,000. */
const LONGEST_HEADER = 150;
const LONGEST_LINE = 400;
/** How many incidents one message shows. */
export const MOST_SHOWN = 10;

/** What one message is about. */
export interface SlackNews {
  /** How many incidents are new, need attention again, and were resolved. */
  readonly counts: { readonly new: number; readonly again: number; readonly resolved: number };
  /** Some of them, as they are now. */
  readonly incidents: readonly Incident[];
  /** How many others there are. */
  readonly more: number;
}

/** The message for a group of incidents that have changed. */
export function slackMessage({ counts, incidents, more }: SlackNews, settings: NoticeSettings): object {
  const words = (['new', 'again', 'resolved'] as const).flatMap((kind) =>
    counts[kind] === 0 ? [] : [`${counts[kind]} ${kind === 'again' ? 'in need of attention again' : kind}`],
  );
  return messageOf(words.join(', '), incidents, more, settings, stateLine);
}

/** The message that tells incidents again to which nobody attends. @param now in milliseconds */
export function slackReminder(
  incidents: readonly Incident[],
  reason: ReminderReason,
  settings: NoticeSettings,
  now: number,
): object {
  const line = (incident: Incident): string =>
    `${stateLine(incident)}, unattended for ${ageOf(now - Date.parse(incident.created_at))}`;
  const shown = incidents.slice(0, MOST_SHOWN);
  const what = reason === 'unattended' ? 'still unattended' : 'unattended after a silence';
  return messageOf(`${incidents.length} ${what}`, shown, incidents.length - shown.length, settings, line);
}

/** What is sent where Slack does not take a message with the text of others. */
export const slackFallback = (): object => ({
  text: 'Incident recorder: incidents have changed. Slack did not take the message with their text: see the console.',
});

function messageOf(
  what: string,
  incidents: readonly Incident[],
  more: number,
  settings: NoticeSettings,
  line: (incident: Incident) => string,
): object {
  const sorted = incidents.toSorted(
    (one, other) => SEVERITIES.indexOf(one.severity) - SEVERITIES.indexOf(other.severity),
  );
  const topics = [...new Set(sorted.map(topicOf))];
  const topic = topics.length === 1 ? `: ${topics[0]}` : '';
  const drill = sorted.length > 0 && sorted.every((incident) => incident.drill === true) ? 'DRILL: ' : '';
  const classes = [...new Set(sorted.map(({ class: name }) => name))].join(', ');
  return {
    text: `${drill}Incidents: ${what} (${sorted[0]?.severity ?? 'unknown severity'}; ${classes})`,
    blocks: [
      { type: 'header', text: plain(`${drill}${what}${topic}`, LONGEST_HEADER) },
      ...sorted.slice(0, MOST_SHOWN).flatMap((incident) => [
        { type: 'section', text: marked(`${line(incident)} ${idOf(incident, settings)}`) },
        {
          type: 'section',
          text: plain(topics.length === 1 ? incident.description : `${topicOf(incident)}: ${incident.description}`),
        },
      ]),
      ...(more > 0 ? [{ type: 'context', elements: [marked(`and ${more} more`)] }] : []),
    ],
  };
}

const plain = (text: string, most = LONGEST_LINE): object => {
  const bound = bounded(text, most, escaped);
  return { type: 'plain_text', text: bound.trim() === '' ? '(no description)' : bound, emoji: false };
};

/** Text of our own. `verbatim`: nothing in it becomes a link or a mention by itself. */
const marked = (text: string): object => ({ type: 'mrkdwn', text, verbatim: true });

const escaped = (character: string): string => ESCAPES[character] ?? character;
const ESCAPES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;' };

const stateLine = ({ severity, state, resolution, drill }: Incident): string =>
  `*${severity}*${drill === true ? ' (drill)' : ''}, ${state}${resolution === undefined ? '' : ` as ${resolution}`}`;

const idOf = ({ id }: Incident, { console_url }: NoticeSettings): string => {
  const href = linkTo(console_url, id);
  return href === undefined ? id : `<${[...href].map(escaped).join('')}|${id}>`;
};

const ageOf = (age: number): string => {
  if (age >= 2 * DAY) return `${Math.floor(age / DAY)} d`;
  return age >= 2 * HOUR ? `${Math.floor(age / HOUR)} h` : `${Math.max(0, Math.floor(age / MINUTE))} min`;
};
