/** Tells the fleet how this machine is: version, policy, health and clock. */
import { setTimeout as wait } from 'node:timers/promises';
import { type Clock, MINUTE, timestamp } from '../clock.ts';
import { VERSION } from '../version.ts';
import { FleetRefused } from './errors.ts';
import type { Fleet, MachineStatus } from './fleet.ts';
import type { LocalRecorder } from './local-recorder.ts';
import { persist } from './persist.ts';
import type { Progress } from './progress.ts';
import type { ShipLog } from './ship-log.ts';

/** How often, in milliseconds. Each pause is up to a tenth longer, so that the machines of a fleet do not go in step. */
const EVERY = MINUTE;

/** What of a policy is about this load of it, or follows from the rest. */
const NOT_OF_THE_TEXT: ReadonlySet<string> = new Set(['source', 'path', 'digest', 'loaded_at', 'parts']);

export interface StatusReportOptions {
  readonly fleet: Pick<Fleet, 'status'>;
  readonly recorder: Pick<LocalRecorder, 'health' | 'policy'>;
  readonly progress: Progress;
  readonly clock: Clock;
  readonly say: ShipLog;
  readonly count: (outcome: 'sent' | 'failed') => void;
}

export class StatusReport {
  readonly #options: StatusReportOptions;
  #unreachable: string | undefined;

  constructor(options: StatusReportOptions) {
    this.#options = options;
  }

  /** Sends the status again and again until `signal` is aborted. @throws its reason */
  async run(signal: AbortSignal): Promise<void> {
    for (;;) {
      await persist(() => this.send(signal), this.#failed, signal);
      await wait(EVERY * (1 + Math.random() / 10), undefined, { signal });
    }
  }

  /** Sends it once, and the text of the policy with it when the fleet wants that. @throws FleetRefused, FleetNotReachable */
  async send(signal: AbortSignal): Promise<void> {
    const { fleet, count } = this.#options;
    const { status, text } = await this.#read(signal);
    const isWanted = await fleet.status(status, signal);
    if (isWanted && status.policy !== undefined && text !== undefined)
      await fleet.status({ ...status, policy: { ...status.policy, text } }, signal);
    count('sent');
  }

  async #read(signal: AbortSignal): Promise<{ readonly status: MachineStatus; readonly text: string | undefined }> {
    const { recorder, progress, clock } = this.#options;
    const clockNow = (): string => timestamp(clock.now());
    const known = { log: progress.log ?? null, entries: progress.entries };
    try {
      const health = await recorder.health(signal);
      const policy = await recorder.policy(signal);
      const audit = health.audit as { readonly last_seq?: unknown; readonly log_id?: unknown } | undefined;
      if (typeof audit?.last_seq === 'number' && audit.log_id === progress.log) progress.seen(audit.last_seq);
      this.#unreachable = undefined;
      return {
        status: {
          version: typeof health.version === 'string' ? health.version : VERSION,
          log: typeof audit?.log_id === 'string' ? audit.log_id : known.log,
          entries: typeof audit?.last_seq === 'number' ? audit.last_seq : known.entries,
          policy: { digest: policy.digest, source: policy.source },
          health,
          clock: clockNow(),
        },
        text: policyText(policy),
      };
    } catch (error) {
      signal.throwIfAborted();
      // The fleet is to know that the machine lives, and that its recorder does not answer.
      const why = (error as Error).message;
      if (this.#unreachable !== why) this.#options.say('warn', 'the recorder does not say how it is', { why });
      this.#unreachable = why;
      const health = { status: 'unreachable', reasons: [why], warnings: [] };
      return { status: { version: VERSION, ...known, health, clock: clockNow() }, text: undefined };
    }
  }

  readonly #failed = (error: unknown): void => {
    const { say, count } = this.#options;
    count('failed');
    const status = error instanceof FleetRefused ? error.status : undefined;
    say('warn', 'the status could not be sent', { why: (error as Error).message, status });
  };
}

/** What a policy decides, in a form that is the same for the same policy: JSON in lines, which is YAML as well. */
function policyText(policy: Readonly<Record<string, unknown>>): string {
  const decided = Object.entries(policy).filter(([name]) => !NOT_OF_THE_TEXT.has(name));
  return `${JSON.stringify(Object.fromEntries(decided), null, 2)}\n`;
}
