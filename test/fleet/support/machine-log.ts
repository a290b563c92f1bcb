/** A machine's log, as the recorder would have written it, in memory. */
import { type ChainHash, chainHash } from '../../../src/audit/chain-hash.ts';
import { chainEntry, EMPTY_HEAD, type Head } from '../../../src/audit/entry.ts';
import type { Draft } from '../../../src/domain/entries.ts';
import { decide, begin, type IncidentSnapshot, stateOf } from '../../../machines/decision.ts';
import { BUILT_IN_RULES } from '../../../src/policy/defaults.ts';
import { VERSION } from '../../../src/version.ts';
import { LOG_FORMAT } from '../../../src/domain/entries.ts';

export const AUDIT_KEY = Buffer.alloc(32, 7);

const BEGINNING = Date.parse('2026-11-01T00:00:00Z');

export class MachineLog {
  readonly hash: ChainHash;
  readonly lines: string[] = [];
  readonly #heads: Head[] = [EMPTY_HEAD];
  readonly #incidents = new Map<string, { snapshot: IncidentSnapshot; version: number }>();
  readonly #name: string;
  #count = 0;

  /** @param name makes its incidents differ from those of other logs */
  constructor(name = 'a', key: Buffer | undefined = AUDIT_KEY) {
    this.#name = name;
    this.hash = chainHash(key);
    this.append({
      event: 'service.started',
      data: {
        service_version: VERSION,
        log_format: LOG_FORMAT,
        policy: { digest: 'd', source: 's' },
        checkpoint: 'absent',
        nonce: name,
      },
    });
  }

  /** The log's identity: the hash of its first entry. */
  get id(): string {
    return this.#heads[1]!.hash;
  }

  get through(): number {
    return this.lines.length;
  }

  /** The hash of an entry. */
  hashOf(seq: number): string {
    return this.#heads[seq]!.hash;
  }

  /** Goes back to an earlier time, as a machine that was restored from an old image. */
  copyThrough(seq: number): MachineLog {
    const copy = new MachineLog(this.#name);
    copy.lines.splice(0, Infinity, ...this.lines.slice(0, seq));
    copy.#heads.splice(0, Infinity, ...this.#heads.slice(0, seq + 1));
    for (const [id, known] of this.#incidents) copy.#incidents.set(id, known);
    copy.#count = this.#count + 1000;
    return copy;
  }

  append(draft: Omit<Draft, 'timestamp'>): void {
    const timestamp = new Date(BEGINNING + 1000 * this.lines.length).toISOString();
    const { entry, line } = chainEntry({ timestamp, ...draft } as Draft, this.#heads.at(-1)!, this.hash);
    this.lines.push(line.trimEnd());
    this.#heads.push({ entries: entry.data.seq, hash: entry.entry_hash });
  }

  /** @returns the incident's identifier */
  report(evidence: Record<string, string> = { process: 'bash' }, description = 'Ignores its rules'): string {
    this.#count += 1;
    const id = `INC-20261101-${this.#name}${String(this.#count).padStart(6, '0')}`;
    const rule = BUILT_IN_RULES.prompt_injection;
    const { snapshot, intents } = begin(rule);
    const report = {
      class: 'prompt_injection',
      source: 'tool-firewall',
      description,
      evidence,
    } as const;
    this.append({
      event: 'incident.reported',
      data: {
        incident: id,
        version: 1,
        state: stateOf(snapshot),
        severity: rule.default_severity,
        report,
        rule,
        intents,
      },
    });
    this.#incidents.set(id, { snapshot, version: 1 });
    return id;
  }

  command(id: string, type: 'contain' | 'acknowledge' | 'resolve'): void {
    const known = this.#incidents.get(id)!;
    const decision = decide(known.snapshot, { type });
    if (decision.kind !== 'moved') throw new Error(`can't ${type}`);
    const version = known.version + 1;
    const event = (
      { contain: 'incident.contained', acknowledge: 'incident.acknowledged', resolve: 'incident.resolved' } as const
    )[type];
    this.append({
      event,
      data: {
        incident: id,
        version,
        state: stateOf(decision.snapshot),
        intents: decision.intents,
        by: 'ada',
        note: 'seen',
      },
    });
    this.#incidents.set(id, { snapshot: decision.snapshot, version });
  }

  /** Fills it with the stories of incidents, to at least so many entries. */
  fill(entries: number): this {
    while (this.through < entries) {
      const id = this.report({ process: `p${this.#count % 7}`, host: `${this.#name}-${this.#count}` });
      if (this.#count % 3 === 0) continue;
      this.command(id, 'acknowledge');
      if (this.#count % 3 === 1) this.command(id, 'resolve');
    }
    return this;
  }

  /** The body of a batch. */
  body(from: number, to = this.through): Buffer {
    return Buffer.from(
      this.lines
        .slice(from - 1, to)
        .map((line) => `${line}\n`)
        .join(''),
    );
  }
}
