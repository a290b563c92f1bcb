/**
 * Fetches the fleet's commands, gives them to the local recorder, and reports what came of each.
 *
 * Each command is given at least once: whenever the shipper or the fleet dies before the result is stored, the fleet
 * hands the command out again, and the recorder gives the same answer to the same command. So the shipper keeps nothing.
 * It does not judge commands either: the recorder checks the fleet's signature, and what the fleet may do.
 */
import { setTimeout as wait } from 'node:timers/promises';
import { MINUTE, SECOND } from '../clock.ts';
import { FleetRefused } from './errors.ts';
import type { Fleet, WaitingCommand } from './fleet.ts';
import type { LocalRecorder, RecorderAnswer } from './local-recorder.ts';
import { persist } from './persist.ts';
import type { ShipLog } from './ship-log.ts';

/** How long the fleet may wait for a command before it answers, in seconds. */
const LONG_POLL = 25;
/** How long to leave a fleet alone that has no commands to give, in milliseconds. */
const WITHOUT_COMMANDS = 5 * MINUTE;
/** The least time between two questions, in milliseconds: a fleet may answer at once that there is nothing, or the same. */
const ASK_EVERY = SECOND / 2;
const NOT_THERE: ReadonlySet<number> = new Set([404, 405, 501]);
const PASSING: ReadonlySet<number> = new Set([408, 425, 429, 500, 502, 503, 504]);

export type CommandOutcome = 'done' | 'refused' | 'failed';

export interface CommandRelayOptions {
  readonly fleet: Pick<Fleet, 'commands' | 'result'>;
  readonly recorder: Pick<LocalRecorder, 'command'>;
  readonly say: ShipLog;
  readonly count: (outcome: CommandOutcome) => void;
}

export class CommandRelay {
  readonly #options: CommandRelayOptions;

  constructor(options: CommandRelayOptions) {
    this.#options = options;
  }

  /** Relays commands until `signal` is aborted. @throws its reason */
  async run(signal: AbortSignal): Promise<void> {
    const { say } = this.#options;
    for (;;) {
      const due = performance.now() + ASK_EVERY;
      try {
        await persist(() => this.relay(LONG_POLL, signal), this.#failed, signal);
        await wait(Math.max(0, due - performance.now()), undefined, { signal });
      } catch (error) {
        signal.throwIfAborted();
        say('info', 'the fleet has no commands for machines', { why: (error as Error).message });
        await wait(WITHOUT_COMMANDS, undefined, { signal });
      }
    }
  }

  /**
   * Relays the commands that wait now, in their order.
   * @param seconds how long the fleet may wait for one
   * @throws FleetRefused, FleetNotReachable when the fleet can't be asked; the reason of `signal`
   */
  async relay(seconds: number, signal: AbortSignal): Promise<void> {
    for (const command of await this.#options.fleet.commands(seconds, signal)) {
      const answer = await this.#give(command, signal);
      await this.#report(command.id, answer, signal);
    }
  }

  /** Gives a command to the recorder. What the recorder refuses is an answer, too. */
  async #give({ id, command }: WaitingCommand, signal: AbortSignal): Promise<RecorderAnswer> {
    const { recorder, say, count } = this.#options;
    const attempt = async (): Promise<RecorderAnswer> => {
      const answer = await recorder.command(command, signal);
      if (PASSING.has(answer.status) || isOfOwnToken(answer)) throw new NotTaken(answer);
      return answer;
    };
    const failed = (error: unknown): void => {
      count('failed');
      say('warn', 'a command could not be given to the recorder', { id, why: (error as Error).message });
    };
    const { status, body } = await persist(attempt, failed, signal);
    const inner = body as { readonly status?: unknown; readonly body?: unknown };
    // The outer status is 200 for every command that the recorder took, also for one that it then refused.
    const result =
      status === 200 && typeof inner.status === 'number'
        ? { status: inner.status, body: inner.body }
        : { status, body };
    const isDone = result.status >= 200 && result.status < 300;
    count(isDone ? 'done' : 'refused');
    say('info', 'a command of the fleet was given to the recorder', { id, status: result.status });
    return result;
  }

  async #report(id: string, answer: RecorderAnswer, signal: AbortSignal): Promise<void> {
    const { fleet, say } = this.#options;
    const attempt = async (): Promise<void> => {
      try {
        await fleet.result(id, answer, signal);
      } catch (error) {
        if (!(error instanceof FleetRefused) || PASSING.has(error.status)) throw error;
        // Without a result the fleet would give the command again and again.
        const short = error.status === 413 ? shortened(answer) : answer;
        if (short !== answer) return this.#report(id, short, signal);
        // It has a result already, or is not known any more: to send it again would not help.
        say('warn', 'the fleet does not take the result of a command', { id, why: error.message });
      }
    };
    const failed = (error: unknown): void =>
      say('warn', 'the result of a command could not be sent', { id, why: (error as Error).message });
    await persist(attempt, failed, signal);
  }

  readonly #failed = (error: unknown): void => {
    if (error instanceof FleetRefused && NOT_THERE.has(error.status)) throw error;
    this.#options.say('warn', 'the fleet can’t be asked for commands', { why: (error as Error).message });
  };
}

/** What a short result keeps of the answer to a command. */
const KEPT = ['id', 'state', 'version', 'error'] as const;
const LONGEST_KEPT = 1024;

/** A result that any fleet takes: of the answer, which may be an incident with long evidence, what it comes to. */
function shortened(answer: RecorderAnswer): RecorderAnswer {
  const body = (answer.body ?? {}) as Readonly<Record<string, unknown>>;
  if (body.shortened === true) return answer;
  const kept = KEPT.flatMap((name): (readonly [string, string | number])[] => {
    const value = body[name];
    if (typeof value === 'string') return [[name, value.slice(0, LONGEST_KEPT)]];
    return typeof value === 'number' ? [[name, value]] : [];
  });
  return { status: answer.status, body: { ...Object.fromEntries(kept), shortened: true } };
}

/** The recorder did not take the command, and may take it later. */
class NotTaken extends Error {
  constructor({ status, body }: RecorderAnswer) {
    const { error } = body as { readonly error?: unknown };
    super(`the recorder answered ${status}: ${typeof error === 'string' ? error : 'no reason given'}`);
  }
}

/** Whether the recorder refuses the shipper's own token: it lacks the role, or is not known. */
const isOfOwnToken = ({ status, body }: RecorderAnswer): boolean => {
  const { error, needs } = body as { readonly error?: unknown; readonly needs?: unknown };
  return (
    status === 401 || (status === 403 && (error === 'forbidden' || (Array.isArray(needs) && needs.includes('anchor'))))
  );
};
