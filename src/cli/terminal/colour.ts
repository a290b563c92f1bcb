/**
 * Colour says nothing that the words do not say. It is used on a terminal only, and never where `NO_COLOR` is set
 * (no-color.org) or the terminal is a dumb one.
 */
import { styleText } from 'node:util';
import type { Severity, State } from '../../../machines/vocabulary.ts';

export type Style = Parameters<typeof styleText>[0];

const { env } = process;
const isColourful = process.stdout.isTTY && !env.NO_COLOR && env.TERM !== 'dumb';

/** The text in a style, where there is colour. */
export const styled = (style: Style | undefined, text: string): string =>
  style === undefined || !isColourful ? text : styleText(style, text, { validateStream: false });

export const SEVERITY_STYLES: Readonly<Record<Severity, Style>> = {
  critical: ['bold', 'red'],
  high: 'red',
  medium: 'yellow',
  low: 'dim',
};

export const STATE_STYLES: Readonly<Record<State, Style>> = {
  open: 'bold',
  contained: 'cyan',
  acknowledged: 'blue',
  resolved: 'dim',
};
