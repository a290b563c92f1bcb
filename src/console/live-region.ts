/** Announcements: short sentences that are shown for a while, and that screen readers read out. */
import { signal } from '@preact/signals';
import { SECOND } from '../clock.ts';

const SHOWN_FOR = 6 * SECOND;

/** The present announcement, or an empty text. */
export const announcement = signal('');

let ends: ReturnType<typeof setTimeout> | undefined;

export const announce = (sentence: string): void => {
  clearTimeout(ends);
  announcement.value = sentence;
  ends = setTimeout(() => {
    announcement.value = '';
  }, SHOWN_FOR);
};
