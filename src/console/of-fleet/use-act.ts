import { useEffect, useState } from 'preact/hooks';
import { SECOND } from '../../clock.ts';
import { reasonOf } from '../request.ts';

/** How often progress is read. */
const PROGRESS_EVERY = 2 * SECOND;

/**
 * What became of an act, read again until no machine is waited for.
 * @param act its identifier: another one is read from the beginning
 * @returns what is known, and why the last reading failed
 */
export function useAct<Act extends { readonly pending: number }>(
  act: string,
  readAct: (act: string, ends: AbortSignal) => Promise<Act>,
): { readonly known: Act | undefined; readonly fault: string | undefined } {
  const [known, setKnown] = useState<Act>();
  const [fault, setFault] = useState<string>();
  useEffect(() => {
    const ends = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const follow = async (): Promise<void> => {
      let isOver = false;
      try {
        const whole = await readAct(act, ends.signal);
        setKnown(whole);
        setFault(undefined);
        isOver = whole.pending === 0;
      } catch (error) {
        if (ends.signal.aborted) return;
        setFault(reasonOf(error));
      }
      if (!isOver && !ends.signal.aborted) timer = setTimeout(() => void follow(), PROGRESS_EVERY);
    };
    void follow();
    return () => {
      ends.abort();
      clearTimeout(timer);
    };
  }, [act]);
  return { known, fault };
}
