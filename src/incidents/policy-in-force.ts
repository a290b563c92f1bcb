/**
 * The policy in force, and its replacement: a reloaded policy comes into force when its `policy.reloaded` entry is on
 * disk. A refused one never does.
 */
import type { AuditLog } from '../audit/log.ts';
import type { Clock } from '../clock.ts';
import { loadPolicy } from '../policy/load.ts';
import type { Policy } from '../policy/policy.ts';
import { KeyedLock } from './keyed-lock.ts';

export class PolicyInForce {
  readonly #path: string;
  readonly #clock: Clock;
  readonly #allowNonLoopback: boolean;
  readonly #reloads = new KeyedLock();
  #current: Policy;

  /**
   * Loads the policy from its file.
   * @throws RecorderError `invalid_policy` when it is refused
   */
  constructor(path: string, clock: Clock, allowNonLoopback = false) {
    this.#path = path;
    this.#clock = clock;
    this.#allowNonLoopback = allowNonLoopback;
    this.#current = this.#load();
  }

  get current(): Policy {
    return this.#current;
  }

  /** What an operator should know although the policy is valid. */
  get warnings(): readonly string[] {
    if (this.#current.source === 'file') return [];
    return [`no policy file at ${this.#path}: the built-in table is in force`];
  }

  /**
   * Loads the policy again and puts it into force.
   * @throws RecorderError `invalid_policy`, or what `append` throws; the old policy stays in force then
   */
  reload(log: Pick<AuditLog, 'append'>): Promise<Policy> {
    return this.#reloads.run('reload', async () => {
      const next = this.#load();
      const { digest, source, loaded_at } = next;
      const data = { digest, source, previous_digest: this.#current.digest };
      await log.append([{ timestamp: loaded_at, event: 'policy.reloaded', data }]);
      this.#current = next;
      return next;
    });
  }

  #load(): Policy {
    return loadPolicy(this.#path, this.#clock, this.#allowNonLoopback);
  }
}
