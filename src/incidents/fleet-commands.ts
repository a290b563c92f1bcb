/**
 * What came of the commands of the fleet: each is carried out once, however often it comes, also over a restart.
 *
 * A command that changes something leaves its id in the entries that it writes. For one that is refused, or that finds
 * nothing to do, `fleet.answered` is written; also where an entry is written before it is known what comes of it.
 */
import type { AuditLog } from '../audit/log.ts';
import { type Clock, timestamp } from '../clock.ts';
import type { Caller } from '../domain/caller.ts';
import type { JsonObject } from '../domain/entries.ts';
import { ASKED, type GivenCommand } from '../projections/fleet-commands.ts';
import type { Projections } from '../projections/projections.ts';
import { KeyedLock } from './keyed-lock.ts';

/** A longer answer is recorded with its message alone: in characters. */
const LONGEST_ANSWER = 4096;

const isSuccess = (status: number): boolean => status < 400;

/** A command, as far as it is told from others. */
export interface CommandName {
  readonly id: string;
  readonly key?: string | undefined;
}

/** A command, and what it has been answered. */
export interface AnsweredCommand {
  readonly command: string;
  /** The incident that it is about. */
  readonly about?: string | undefined;
  readonly status: number;
  readonly body: unknown;
}

export interface FleetCommandsDependencies {
  readonly log: Pick<AuditLog, 'append'>;
  readonly projections: Pick<Projections, 'current'>;
  readonly clock: Pick<Clock, 'now'>;
}

export class FleetCommands {
  readonly #dependencies: FleetCommandsDependencies;
  readonly #turns = new KeyedLock();

  constructor(dependencies: FleetCommandsDependencies) {
    this.#dependencies = dependencies;
  }

  /** What came of a command; undefined when it was not given. @throws RecorderError while reads are behind the log */
  given({ id, key }: CommandName): GivenCommand | undefined {
    return this.#dependencies.projections.current().fleetCommands.find(id, key);
  }

  /**
   * Whether an unknown command may be one that was given before and is forgotten.
   * @param issued RFC 3339
   */
  mayBeForgotten(issued: string): boolean {
    const until = this.#dependencies.projections.current().fleetCommands.forgottenUntil();
    return until !== undefined && Date.parse(issued) <= until;
  }

  /** Runs what belongs to a command alone: others of the same name wait. */
  alone<Result>({ id, key }: CommandName, work: () => Promise<Result>): Promise<Result> {
    const alone = (): Promise<Result> => this.#turns.run(`id ${id}`, work);
    return key === undefined ? alone() : this.#turns.run(`key ${key}`, alone);
  }

  /**
   * Records what a command was answered, unless an entry says as much already.
   * @param caller who has given it, with the command as its origin
   * @throws RecorderError like an append
   */
  async answered(name: CommandName, { command, about, status, body }: AnsweredCommand, caller: Caller): Promise<void> {
    const known = this.given(name)?.status;
    if (known !== undefined && (known === status || (known !== ASKED && isSuccess(known) === isSuccess(status))))
      return;
    const { log, clock } = this.#dependencies;
    const data = {
      ...caller,
      fleet_command: name.id,
      command,
      ...(about === undefined ? {} : { about }),
      status,
      ...(status < 400 ? {} : { answer: shortened(body) }),
    };
    await log.append([{ timestamp: timestamp(clock.now()), event: 'fleet.answered', data }]);
  }
}

function shortened(body: unknown): JsonObject {
  const answer = (body ?? {}) as JsonObject;
  if (JSON.stringify(answer).length <= LONGEST_ANSWER) return answer;
  return { error: String(answer.error).slice(0, LONGEST_ANSWER) };
}
