/**
 * The commands of the fleet that were given: each is carried out once, however often it comes.
 *
 * A signed command may come again at any time before it expires. So one that is forgotten must not look like a new one:
 * those that were issued first are forgotten first, and it is known until when.
 */
import { timestamp } from '../clock.ts';
import type { FleetOrigin } from '../domain/caller.ts';
import type { ArchivedData, Entry } from '../domain/entries.ts';
import type { Database, Statement } from './database.ts';

/** How many are kept, the newest ones: more than a person or a campaign gives until they expire. */
const MOST = 20_000;

/** What came of a command. */
export interface GivenCommand {
  readonly status: number;
  /** The incident or the silence that it was about. */
  readonly incident?: string;
  /** The body of the answer, where that says why it was refused. */
  readonly answer?: object;
}

export class FleetCommands {
  readonly #add: Statement;
  readonly #answer: Statement;
  readonly #find: Statement;
  readonly #last: Statement;
  readonly #beyond: Statement;
  readonly #forget: Statement;
  readonly #until: Statement;
  readonly #noteUntil: Statement;
  readonly #most: number;

  /** @param most how many are kept */
  constructor(database: Database, most = MOST) {
    this.#most = most;
    this.#add = database.prepare(
      'INSERT INTO fleet_commands (id, key, seq, issued, status, incident, answer) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING',
    );
    this.#answer = database.prepare('UPDATE fleet_commands SET status = ?, answer = ? WHERE id = ?');
    this.#find = database.prepare(
      'SELECT status, incident, answer FROM fleet_commands WHERE id = ? OR key = ? ORDER BY seq LIMIT 1',
    );
    this.#last = database.prepare('SELECT max(issued) AS issued FROM fleet_commands WHERE seq <= ?');
    this.#beyond = database.prepare('SELECT issued FROM fleet_commands ORDER BY issued DESC LIMIT 1 OFFSET ?');
    this.#forget = database.prepare('DELETE FROM fleet_commands WHERE issued <= ?');
    this.#until = database.prepare('SELECT until FROM forgotten_fleet_commands');
    this.#noteUntil = database.prepare(`
      INSERT INTO forgotten_fleet_commands (one, until) VALUES (1, ?)
      ON CONFLICT DO UPDATE SET until = max(until, excluded.until)`);
  }

  /** What came of a command; undefined when it was not given. */
  find(id: string, key: string | undefined): GivenCommand | undefined {
    const row = this.#find.get(id, key ?? null);
    if (row === undefined) return undefined;
    return {
      status: Number(row.status),
      ...(row.incident === null ? {} : { incident: String(row.incident) }),
      ...(row.answer === null ? {} : { answer: JSON.parse(String(row.answer)) as object }),
    };
  }

  /**
   * An unknown command that was issued until then may be one that was given and forgotten: in milliseconds since the epoch.
   * Undefined while none is forgotten.
   */
  forgottenUntil(): number | undefined {
    const row = this.#until.get();
    return row === undefined ? undefined : Number(row.until);
  }

  /** The same, RFC 3339, as it is once the entries up to one have left the log. */
  untilWithout(seq: number): string | undefined {
    const { issued } = this.#last.get(seq) as { readonly issued: number | bigint | null };
    const until = Math.max(Number(issued ?? 0), this.forgottenUntil() ?? 0);
    return until === 0 ? undefined : timestamp(until);
  }

  /** Takes an entry that a command of the fleet has written. */
  follow({ event, data, timestamp: at }: Entry): void {
    const { fleet_command: id, fleet_command_key: key, fleet_command_issued: issued } = data as FleetOrigin;
    if (id === undefined) return;
    const [status, answer] = event === 'fleet.answered' ? [data.status, data.answer] : [statusOf(event), undefined];
    const subject = event === 'fleet.answered' ? data.about : subjectOf(data);
    const text = answer === undefined ? null : JSON.stringify(answer);
    this.#add.run(id, key ?? null, data.seq, Date.parse(issued ?? at), status, subject ?? null, text);
    if (event === 'fleet.answered') this.#answer.run(status, text, id);
    const beyond = this.#beyond.get(this.#most);
    if (beyond === undefined) return;
    this.#noteUntil.run(Number(beyond.issued));
    this.#forget.run(Number(beyond.issued));
  }

  /** Takes it over from a `log.archived` entry: the entries of commands may have left the log. */
  leave({ fleet_commands_until: until }: ArchivedData): void {
    if (until !== undefined) this.#noteUntil.run(Date.parse(until));
  }
}

/** The incident or the silence that an entry is about. */
function subjectOf(data: Entry['data']): string | undefined {
  if ('incident' in data) return data.incident;
  return 'silence' in data ? data.silence : undefined;
}

/** The HTTP status of the answer to a command of which it is on record that it asks somebody else, and not what came of it. */
export const ASKED = 202;

/** An incident that takes up another one begins with a report, too: so it is the one that the command is about. */
const ADDING: ReadonlySet<string> = new Set(['incident.reported', 'silence.added']);

/** The HTTP status of the answer to the command that has written an entry. */
function statusOf(event: string): number {
  if (event === 'recovery.attestation_requested') return ASKED;
  return ADDING.has(event) ? 201 : 200;
}
