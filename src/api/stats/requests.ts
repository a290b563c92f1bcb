import * as z from 'zod/mini';
import { MOST_HOURS } from '../../projections/activity.ts';
import { once } from '../request/fields.ts';

const isHours = (text: string): boolean => /^[1-9]\d{0,2}$/.test(text) && Number(text) <= MOST_HOURS;

/** The parameters of what happened in the last hours. */
export const hoursSchema = z.strictObject({
  hours: once('hours', isHours, `hours must be a whole number from 1 to ${MOST_HOURS}`),
});
