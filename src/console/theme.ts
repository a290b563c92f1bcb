/** The theme: the system's, light or dark. */
import { computed, effect, signal } from '@preact/signals';

export const THEMES = ['system', 'light', 'dark'] as const;
export type Theme = (typeof THEMES)[number];

const STORED_AS = 'incident-recorder.theme';

export const theme = signal<Theme>('system');
const systemIsDark = signal(false);

const isDark = computed(() => (theme.value === 'system' ? systemIsDark.value : theme.value === 'dark'));

/** Applies the theme to the page, now and after every change. */
export const followTheme = (): void => {
  const stored = localStorage.getItem(STORED_AS);
  theme.value = THEMES.find((known) => known === stored) ?? 'system';
  const dark = matchMedia('(prefers-color-scheme: dark)');
  systemIsDark.value = dark.matches;
  dark.addEventListener('change', ({ matches }) => {
    systemIsDark.value = matches;
  });
  effect(() => {
    document.documentElement.dataset.theme = isDark.value ? 'dark' : 'light';
    localStorage.setItem(STORED_AS, theme.value);
  });
};

/** Chooses the next theme. */
export const changeTheme = (): void => {
  theme.value = THEMES[(THEMES.indexOf(theme.peek()) + 1) % THEMES.length]!;
};
