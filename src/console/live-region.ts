/** Short sentences about what has just happened: shown for a while, and read out. */
import { signal } from '@preact/signals';
import { SECOND } from '../clock.ts';

const SHOWN_FOR = 6 * SECOND;

/** What is shown now; empty when there is nothing. */
export const announcement = signal('');

let ends: ReturnType<typeof setTimeout> | undefined;

export const announce = (sentence: string): void => {
  clearTimeout(ends);
  announcement.value = sentence;
  ends = setTimeout(() => {
    announcement.value = '';
  }, SHOWN_FOR);
};
