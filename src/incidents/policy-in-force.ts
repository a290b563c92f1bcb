/**
 * The policy in force, and its replacement: a reloaded policy comes into force when its `policy.reloaded` entry is on
 * disk. A refused one never does. What the one before had and the new one has not is named until the next reload.
 */
import type { AuditLog } from '../audit/log.ts';
import type { Clock } from '../clock.ts';
import type { Caller } from '../domain/caller.ts';
import { loadPolicy } from '../policy/load.ts';
import { removedParts } from '../policy/parts.ts';
import { type Policy, refusedPolicy } from '../policy/policy.ts';
import type { Targets } from '../policy/targets.ts';
import { KeyedLock } from './keyed-lock.ts';

export class PolicyInForce {
  readonly #path: string;
  readonly #clock: Clock;
  readonly #allowNonLoopback: boolean;
  readonly #given: Targets;
  readonly #reloads = new KeyedLock();
  #current: Policy;
  /** What the last reload took away, by name. */
  #removed: readonly string[] = [];
  /** Whether the last reload was refused, or found no file. */
  #isRefused = false;

  /**
   * Loads the policy from its file.
   * @param given the targets that the environment names, for actions that the file has no target for
   * @throws RecorderError `invalid_policy` when it is refused
   */
  constructor(path: string, clock: Clock, allowNonLoopback = false, given: Targets = {}) {
    this.#path = path;
    this.#clock = clock;
    this.#allowNonLoopback = allowNonLoopback;
    this.#given = given;
    this.#current = this.#load();
  }

  get current(): Policy {
    return this.#current;
  }

  /** What an operator should know although the policy is valid. */
  get warnings(): readonly string[] {
    const { source, loaded_at } = this.#current;
    return [
      ...(source === 'file' ? [] : [`no policy file at ${this.#path}: the built-in table is in force`]),
      ...(this.#isRefused
        ? [`${this.#path} was missing or faulty at the last reload: the policy of ${loaded_at} stays in force`]
        : []),
      ...(this.#removed.length === 0
        ? []
        : [`the last reload took away ${this.#removed.join(', ')}: if that was not meant, put it back and reload`]),
    ];
  }

  /** What the policy before the last reload had and this one has not, by name. */
  get removed(): readonly string[] {
    return this.#removed;
  }

  /**
   * Loads the policy again and puts it into force. A file that was there and is missing now is refused: it may be
   * missing for a moment only, and the built-in table knows no targets.
   * @param caller who asks for it; undefined for a signal
   * @throws RecorderError `invalid_policy`, or what `append` throws; the old policy stays in force then
   */
  reload(log: Pick<AuditLog, 'append'>, caller?: Caller): Promise<Policy> {
    return this.#reloads.run('reload', async () => {
      const next = this.#loadAgain();
      const { digest, source, loaded_at } = next;
      const removed = removedParts(this.#current.parts, next.parts);
      const data = {
        digest,
        source,
        previous_digest: this.#current.digest,
        ...(removed.length === 0 ? {} : { removed }),
        ...caller,
      };
      await log.append([{ timestamp: loaded_at, event: 'policy.reloaded', data }]);
      this.#current = next;
      this.#removed = removed;
      return next;
    });
  }

  #loadAgain(): Policy {
    this.#isRefused = true;
    const next = this.#load();
    if (next.source === 'built-in' && this.#current.source === 'file') {
      const message = 'the file is not there, or is a link to nothing; the policy in force stays';
      throw refusedPolicy([{ file: this.#path, line: 1, message }]);
    }
    this.#isRefused = false;
    return next;
  }

  #load(): Policy {
    return loadPolicy(this.#path, this.#clock, this.#allowNonLoopback, this.#given);
  }
}
