/** How far an act on many machines or incidents is, in words. */
import { grouped } from '../format.ts';

interface Counts {
  readonly count: number;
  readonly done: number;
  readonly pending: number;
  /** Those that no command was given for yet. */
  readonly left?: number;
  /** Whether its client has asked for all of them. */
  readonly finished?: boolean;
  readonly refused: number;
  readonly expired: number;
}

export const ActProgress = ({ of }: { readonly of: Counts }) => {
  const { count, done, pending, left = 0, finished, refused, expired } = of;
  return (
    <>
      {grouped(done)} of {grouped(count)} done
      {pending > 0 && `, ${grouped(pending)} under way`}
      {left > 0 && finished !== false && `, ${grouped(left)} not given`}
      {refused > 0 && `, ${grouped(refused)} refused`}
      {expired > 0 && `, ${grouped(expired)} expired`}
      {finished === false && `; asked ${grouped(count - left)} of ${grouped(count)}, not finished`}
    </>
  );
};
