/**
 * What has come to a list since it was read: for two seconds it is marked as new. While the person points at a line, or
 * has one in the focus of the keyboard, what comes waits, so that nothing moves under them.
 */
import { useSignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { SECOND } from '../../clock.ts';
import type { IncidentRows } from './incident-rows.ts';

const NEW_FOR = 2 * SECOND;

export interface Arrivals {
  readonly fresh: ReadonlySet<string>;
  /** The ids that wait. */
  readonly waiting: ReadonlySet<string>;
  /** Has what comes wait, or shows what waits. */
  readonly hold: (isHeld: boolean) => void;
  readonly show: () => void;
}

export const useArrivals = (list: IncidentRows): Arrivals => {
  const fresh = useSignal<ReadonlySet<string>>(new Set());
  const waiting = useSignal<ReadonlySet<string>>(new Set());
  const isHeld = useRef(false);
  const markAsNew = (ids: readonly string[]): void => {
    fresh.value = new Set([...fresh.peek(), ...ids]);
    setTimeout(() => {
      const gone = new Set(ids);
      fresh.value = new Set([...fresh.peek()].filter((id) => !gone.has(id)));
    }, NEW_FOR);
  };
  useEffect(() => {
    let seen = new Set(list.arrivals.peek());
    waiting.value = new Set();
    return list.arrivals.subscribe((ids) => {
      const more = ids.filter((id) => !seen.has(id));
      seen = new Set(ids);
      if (more.length === 0) return;
      if (isHeld.current) waiting.value = new Set([...waiting.peek(), ...more]);
      else markAsNew(more);
    });
  }, [list]);
  const show = (): void => {
    const ids = [...waiting.peek()];
    if (ids.length === 0) return;
    waiting.value = new Set();
    markAsNew(ids);
  };
  const hold = (held: boolean): void => {
    isHeld.current = held;
    if (!held) show();
  };
  return { fresh: fresh.value, waiting: waiting.value, hold, show };
};
