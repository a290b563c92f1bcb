/** How far an act on many machines or incidents is, in words. */
import { grouped } from '../format.ts';

interface Counts {
  readonly count: number;
  readonly done: number;
  readonly pending: number;
  /** Those that no command was given for yet. */
  readonly left?: number;
  readonly refused: number;
  readonly expired: number;
}

export const ActProgress = ({ of: { count, done, pending, left = 0, refused, expired } }: { readonly of: Counts }) => (
  <>
    {grouped(done)} of {grouped(count)} done
    {pending > 0 && `, ${grouped(pending)} under way`}
    {left > 0 && `, ${grouped(left)} not given`}
    {refused > 0 && `, ${grouped(refused)} refused`}
    {expired > 0 && `, ${grouped(expired)} expired`}
  </>
);
