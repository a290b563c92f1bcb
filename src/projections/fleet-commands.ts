/** The commands of the fleet that were given: each is carried out once, however often it comes. */
import type { FleetOrigin } from '../domain/caller.ts';
import type { Entry } from '../domain/entries.ts';
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
  readonly #forget: Statement;

  constructor(database: Database) {
    this.#add = database.prepare(
      'INSERT INTO fleet_commands (id, key, seq, status, incident, answer) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING',
    );
    this.#answer = database.prepare('UPDATE fleet_commands SET status = ?, answer = ? WHERE id = ?');
    this.#find = database.prepare(
      'SELECT status, incident, answer FROM fleet_commands WHERE id = ? OR key = ? ORDER BY seq LIMIT 1',
    );
    this.#forget = database.prepare(
      `DELETE FROM fleet_commands WHERE seq <= (SELECT seq FROM fleet_commands ORDER BY seq DESC LIMIT 1 OFFSET ${MOST})`,
    );
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

  /** Takes an entry that a command of the fleet has written. */
  follow({ event, data }: Entry): void {
    const { fleet_command: id, fleet_command_key: key } = data as FleetOrigin;
    if (id === undefined) return;
    const [status, answer] = event === 'fleet.answered' ? [data.status, data.answer] : [statusOf(event), undefined];
    const subject = event === 'fleet.answered' ? data.about : subjectOf(data);
    const text = answer === undefined ? null : JSON.stringify(answer);
    this.#add.run(id, key ?? null, data.seq, status, subject ?? null, text);
    if (event === 'fleet.answered') this.#answer.run(status, text, id);
    this.#forget.run();
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
