import { mixesScripts, skeletonOf } from '../domain/source-name.ts';
import type { CurrentReads } from '../projections/current-reads.ts';

/** How many names are remembered; then it starts from empty, and the record is asked again. */
const MOST_REMEMBERED = 1000;

/** Says which sources could be taken for another one. Remembers what it said, for reports that are not on record yet. */
export class KnownSources {
  readonly #suspicious = new Map<string, boolean>();
  readonly #skeletons = new Set<string>();

  /** Whether a source mixes scripts, or looks like another that was there before it. */
  isSuspicious(source: string, current: Pick<CurrentReads, 'sources'>): boolean {
    const known = this.#suspicious.get(source);
    if (known !== undefined) return known;
    if (this.#suspicious.size >= MOST_REMEMBERED) {
      this.#suspicious.clear();
      this.#skeletons.clear();
    }
    const skeleton = skeletonOf(source);
    const found = mixesScripts(source) || this.#looksLikeAnother(source, skeleton, current);
    this.#suspicious.set(source, found);
    if (!found) this.#skeletons.add(skeleton);
    return found;
  }

  #looksLikeAnother(source: string, skeleton: string, { sources }: Pick<CurrentReads, 'sources'>): boolean {
    return sources.suspicion(source) ?? (this.#skeletons.has(skeleton) || sources.has(skeleton));
  }
}
