/** Proves the small tables: that no finding is hidden, and no webhook is said to have taken more than it has. */
import { isDeepStrictEqual } from 'node:util';
import type { StoredEntry } from '../domain/entries.ts';
import { MOST_FINDINGS } from './findings.ts';

/** What the small tables hold. */
export interface SmallTables {
  /** The findings that nobody has acknowledged. */
  readonly open: readonly string[];
  /** How far each webhook has taken the log. */
  readonly notified: Readonly<Record<string, number>>;
  /** Whether there were too many to give all. */
  readonly isCut: boolean;
}

/** How many findings and webhooks are followed. With more, nothing is proved: no recorder has so many. */
const MOST = 10_000;

export class TablesProof {
  readonly #open = new Map<string, boolean>();
  readonly #notified = new Map<string, number>();
  /** Whether an archived part of the log had more findings than it could repeat. */
  #isCut = false;

  /** Takes the next entry of the log. */
  take({ event, data }: StoredEntry): void {
    if (this.#isFull) return;
    switch (event) {
      case 'log.damage_found':
        this.#open.set(data.finding, true);
        break;
      case 'log.damage_acknowledged':
        if (this.#open.has(data.finding)) this.#open.set(data.finding, false);
        break;
      case 'notification.delivered':
        this.#moveTo(data.url, data.through_seq);
        break;
      case 'webhook.skipped':
      case 'webhook.retried':
        // Where the webhook is unknown, it is known from here on.
        this.#moveTo(data.url, 0);
        break;
      case 'log.archived':
        for (const { finding, open } of data.findings ?? []) {
          if (!this.#open.has(finding)) this.#open.set(finding, open);
        }
        for (const [url, seq] of Object.entries(data.notified)) this.#moveTo(url, seq);
        this.#isCut ||= (data.findings ?? []).length >= MOST_FINDINGS;
        break;
      default:
    }
  }

  /** How the tables differ from what the entries make of them. */
  difference({ open, notified, isCut }: SmallTables): string | undefined {
    if (this.#isFull || isCut) return undefined;
    const expected = [...this.#open].flatMap(([finding, isOpen]) => (isOpen ? [finding] : []));
    if (!isDeepStrictEqual([...open].toSorted(), expected.toSorted())) return 'the open findings are others';
    const isSame = isDeepStrictEqual({ ...notified }, Object.fromEntries(this.#notified));
    return isSame ? undefined : 'the webhooks have taken another part of the log';
  }

  #moveTo(url: string, seq: number): void {
    this.#notified.set(url, Math.max(seq, this.#notified.get(url) ?? 0));
  }

  get #isFull(): boolean {
    return this.#isCut || this.#open.size + this.#notified.size > MOST;
  }
}
