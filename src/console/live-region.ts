/**
 * Announcements: short sentences that are shown for a while, and that screen readers read out. One that can be undone
 * stays longer, with a button.
 */
import { signal } from '@preact/signals';
import { SECOND } from '../clock.ts';

const SHOWN_FOR = 6 * SECOND;
const UNDONE_WITHIN = 20 * SECOND;

/** The present announcement, or an empty text. */
export const announcement = signal('');
/** Takes back what was announced; undefined where that can't be done. */
export const undo = signal<(() => void) | undefined>(undefined);

let ends: ReturnType<typeof setTimeout> | undefined;

/** @param takeBack undoes what is announced */
export const announce = (sentence: string, takeBack?: () => void): void => {
  clearTimeout(ends);
  announcement.value = sentence;
  undo.value =
    takeBack &&
    (() => {
      undo.value = undefined;
      announcement.value = '';
      takeBack();
    });
  ends = setTimeout(
    () => {
      announcement.value = '';
      undo.value = undefined;
    },
    takeBack ? UNDONE_WITHIN : SHOWN_FOR,
  );
};
