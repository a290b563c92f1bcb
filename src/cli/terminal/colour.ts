/**
 * Colour repeats what the words say. It is used on a terminal only, and not with `NO_COLOR` (no-color.org) or on a dumb
 * terminal.
 */
import { styleText } from 'node:util';
import type { Severity, State } from '../../../machines/vocabulary.ts';

export type Style = Parameters<typeof styleText>[0];

const { env } = process;
const isColourful = process.stdout.isTTY && !env.NO_COLOR && env.TERM !== 'dumb';

/** The text in a style, if the terminal shows colour. */
export const styled = (style: Style | undefined, text: string): string =>
  style === undefined || !isColourful ? text : styleText(style, text, { validateStream: false });

export const SEVERITY_STYLES: Readonly<Record<Severity, Style>> = {
  critical: ['bold', 'red'],
  high: 'red',
  medium: 'yellow',
  low: 'dim',
};

/** What an operator has to look at. */
export const TROUBLE_STYLE: Style = ['bold', 'red'];

export const STATE_STYLES: Readonly<Record<State, Style>> = {
  open: 'bold',
  contained: 'cyan',
  acknowledged: 'blue',
  resolved: 'dim',
};
