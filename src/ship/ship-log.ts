/** The lines that the shipper writes: JSON for the journal, or words for a terminal. */
import { timestamp } from '../clock.ts';

export type ShipLevel = 'info' | 'warn' | 'error';
export type ShipFields = Readonly<Record<string, string | number | boolean | undefined>>;
export type ShipLog = (level: ShipLevel, message: string, fields?: ShipFields) => void;

/** The numbers that the recorder's log has for them. */
const LEVELS: Readonly<Record<ShipLevel, number>> = { info: 30, warn: 40, error: 50 };

/** A line of JSON each, as the recorder writes them. */
export const jsonLines =
  (write: (line: string) => void): ShipLog =>
  (level, msg, fields = {}) =>
    write(`${JSON.stringify({ level: LEVELS[level], time: timestamp(Date.now()), ...fields, msg })}\n`);

/** A line for a person each. */
export const plainLines =
  (write: (line: string) => void): ShipLog =>
  (_level, message, fields = {}) => {
    const said = Object.entries(fields).flatMap(([name, value]) => (value === undefined ? [] : [`${name} ${value}`]));
    write(said.length === 0 ? message : `${message} (${said.join(', ')})`);
  };
