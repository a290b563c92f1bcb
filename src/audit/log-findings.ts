/** The findings about the log that wait for an operator: they are recorded once, shown in `/health`, and acknowledged. */
import { type Clock, timestamp } from '../clock.ts';
import type { Signed } from '../domain/caller.ts';
import type { FindingOnRecord } from '../domain/entries.ts';
import { RecorderError } from '../errors.ts';
import { draftsOf, type Finding, idOf } from './findings.ts';
import type { AuditLog } from './log.ts';
import type { ServiceEntries } from './service-entries.ts';

export interface LogFindingsDependencies {
  readonly log: Pick<AuditLog, 'append' | 'status'>;
  readonly serviceEntries: Pick<ServiceEntries, 'record'>;
  readonly onRecord: KnownFindings;
  readonly clock: Clock;
}

/** The findings that are on record. */
export interface KnownFindings {
  get(finding: string): FindingOnRecord | undefined;
  /** Those that nobody has acknowledged, oldest first. */
  open(): readonly FindingOnRecord[];
}

/** Whether a finding is recorded already: an event may come again, what is about certain entries is one finding for good. */
export function isRecorded(onRecord: KnownFindings, finding: Finding): boolean {
  const known = onRecord.get(idOf(finding));
  return known !== undefined && (known.open || finding.range !== undefined || finding.seq !== undefined);
}

export class LogFindings {
  readonly #dependencies: LogFindingsDependencies;
  /** Findings that the log has not taken yet. */
  readonly #waiting = new Map<string, FindingOnRecord>();

  constructor(dependencies: LogFindingsDependencies) {
    this.#dependencies = dependencies;
  }

  /** The findings that nobody has acknowledged. */
  get open(): readonly FindingOnRecord[] {
    return [...this.#dependencies.onRecord.open(), ...this.#waiting.values()];
  }

  /** Records a finding, with an alert, unless it is on record. Never rejects. */
  async report(finding: Finding): Promise<void> {
    const { onRecord, serviceEntries, clock } = this.#dependencies;
    const id = idOf(finding);
    if (this.#waiting.has(id) || isRecorded(onRecord, finding)) return;
    const found_at = timestamp(clock.now());
    this.#waiting.set(id, { finding: id, detail: finding.detail, found_at, open: true });
    await serviceEntries.record(...draftsOf(finding, found_at));
    this.#forgetRecorded();
  }

  /** Forgets waiting findings that have reached the record. */
  #forgetRecorded(): void {
    for (const id of this.#waiting.keys()) if (this.#dependencies.onRecord.get(id)?.open) this.#waiting.delete(id);
  }

  /**
   * Records that an operator has taken note of a finding.
   * @param finding its name, or a row of the table: then all findings of that row
   * @param signature who acknowledges it, and why
   * @returns the findings that were acknowledged
   * @throws RecorderError `not_found` when no such finding is open, `log_unavailable`
   */
  async acknowledge(finding: string, signature: Signed): Promise<{ readonly acknowledged: readonly string[] }> {
    const { log, clock, onRecord } = this.#dependencies;
    const { state, reason = state } = log.status;
    if (state === 'damaged') {
      const message = `${reason}; no acknowledgement makes that pass: put a good copy of the log back`;
      throw new RecorderError('log_unavailable', message);
    }
    this.#forgetRecorded();
    const open = onRecord.open().map((known) => known.finding);
    const acknowledged = open.filter((name) => name === finding || name.startsWith(`${finding}:`));
    if (acknowledged.length === 0) {
      const others = open.length === 0 ? 'there is none' : `there is ${open.join(', ')}`;
      throw new RecorderError('not_found', `no such finding waits to be acknowledged; ${others}`);
    }
    const time = timestamp(clock.now());
    await log.append(
      acknowledged.map((name) => ({
        timestamp: time,
        event: 'log.damage_acknowledged',
        data: { finding: name, ...signature },
      })),
    );
    return { acknowledged };
  }
}
