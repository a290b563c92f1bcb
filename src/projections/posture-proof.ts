/**
 * Says of which actions the posture in the database is proved: "not in force" may be what somebody wrote into it.
 *
 * After a start that is so when the signed posture, with the entries behind it, leads to the same count; and for all of
 * them when the whole database is proved. Only what is proved is signed.
 */
import { ACTIONS, type ContainmentAction } from '../../machines/vocabulary.ts';
import type { ChainHash } from '../audit/chain-hash.ts';
import type { Head } from '../audit/entry.ts';
import { foldPosture } from '../audit/fold-posture.ts';
import type { Finding } from '../audit/findings.ts';
import type { ReadableLog } from '../audit/log.ts';
import { type Holders, readPosture } from '../audit/signed-posture.ts';
import type { Projections } from './projections.ts';

/**
 * How many pages of entries behind the signed posture the start reads at once; of more it does not wait for the end.
 */
const PAGES_AT_ONCE = 16;

export interface PostureProofParts {
  readonly path: string;
  readonly hash: ChainHash;
  readonly log: ReadableLog;
  /** They know all of the log and no more, when this is made. */
  readonly projections: Pick<Projections, 'posture' | 'position' | 'unfinished'>;
  /** Whether the whole database is proved. */
  readonly isProved: () => boolean;
  /** Awaited between two slices of the work. */
  readonly rest: () => Promise<void>;
}

export class PostureProof {
  readonly #parts: PostureProofParts;
  /** How many hold each action as the start has found it, and after which entry. */
  readonly #found: Holders;
  readonly #to: number;
  #agreed: ReadonlySet<ContainmentAction> = new Set();

  constructor(parts: PostureProofParts) {
    this.#parts = parts;
    this.#found = holdersIn(parts.projections);
    this.#to = parts.projections.position.seq;
  }

  /** Whether it is proved how many incidents hold an action. */
  isProved(action: ContainmentAction): boolean {
    return this.#parts.isProved() || this.#agreed.has(action);
  }

  /**
   * Compares what the start has found with the signed posture. Resolves when that is done, or when it takes long.
   * @param onFinding receives what is wrong with the signed posture
   * @param onFault receives the error when the log can't be read
   */
  async begin(onFinding: (finding: Finding) => void, onFault: (error: unknown) => void): Promise<void> {
    const long = Promise.withResolvers<void>();
    let pages = 0;
    const rest = async (): Promise<void> => {
      pages += 1;
      if (pages <= PAGES_AT_ONCE) return;
      long.resolve();
      await this.#parts.rest();
    };
    const compared = this.#compare(rest).then((finding) => finding && onFinding(finding), onFault);
    await Promise.race([compared, long.promise]);
  }

  async #compare(rest: () => Promise<void>): Promise<Finding | undefined> {
    const { path, hash, log } = this.#parts;
    if (!hash.keyed) return undefined;
    const { signed, fault } = readPosture(path, hash);
    if (fault !== undefined) return { name: 'posture_altered', detail: fault };
    if (signed === undefined) return undefined;
    const folded = await foldPosture(log, signed, this.#to, rest);
    if (folded.fault !== undefined) {
      return { name: 'posture_altered', detail: `${path}.posture is not of this log as it is: ${folded.fault}` };
    }
    const { holders } = folded;
    if (holders !== undefined) {
      this.#agreed = new Set(ACTIONS.filter((action) => holders[action] === this.#found[action]));
    }
    return undefined;
  }

  /** Forgets what the comparison has shown: the database was found to differ. */
  distrust(): void {
    this.#agreed = new Set();
  }

  /** How many hold each action after an entry, to be signed; undefined when that is not proved, or not known. */
  holdersAt({ entries }: Head): Holders | undefined {
    const { projections } = this.#parts;
    if (projections.unfinished || projections.position.seq !== entries) return undefined;
    return ACTIONS.every((action) => this.isProved(action)) ? holdersIn(projections) : undefined;
  }
}

const holdersIn = ({ posture }: Pick<Projections, 'posture'>): Holders =>
  Object.fromEntries(ACTIONS.map((action) => [action, posture.of(action).holders])) as Record<
    ContainmentAction,
    number
  >;
