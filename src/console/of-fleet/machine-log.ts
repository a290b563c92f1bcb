/** The raw lines of one machine's log, as the machine has written them: for who may read them at the recorder, too. */
import { type Entry, isAboutIncident, readEntry } from '../../domain/entries.ts';
import type { LoggedLine } from '../audit/log-range.ts';
import { keyOfIncident } from '../incident-key.ts';
import { readAs } from '../operator.ts';
import { get, refuse } from '../request.ts';

export interface LogPage {
  readonly lines: readonly LoggedLine[];
  /** How far the fleet has the log, and its first entry here. */
  readonly last: number;
  readonly first: number;
  /** The identity of the log. */
  readonly log: string;
}

const pathOf = (machine: string, query: string): string => `/api/v1/log?machine=${encodeURIComponent(machine)}${query}`;

/**
 * Reads entries of a machine.
 * @param from the first one, by `seq`; undefined for the last ones
 * @param count how many at most
 * @throws Refusal
 */
export const readMachineLog = async (
  machine: string,
  from: number | undefined,
  count: number,
  signal: AbortSignal,
): Promise<LogPage> => {
  const ask = (query: string): Promise<Response> =>
    readAs(async (token) => {
      const response = await get(pathOf(machine, query), { accept: 'application/x-ndjson', token, signal });
      await refuse(response);
      return response;
    });
  const head = from === undefined ? placesOf(await ask('&limit=1')) : undefined;
  const begin = from ?? Math.max(head!.first, head!.last - count + 1);
  const response = await ask(`&from=${begin}&limit=${count}`);
  const places = placesOf(response);
  const text = await response.text();
  const lines = text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => ({ entry: ofMachine(readEntry(line), machine), line }));
  return { ...places, lines };
};

const placesOf = ({ headers }: Response): Omit<LogPage, 'lines'> => ({
  last: Number(headers.get('log-entries')),
  first: Number(headers.get('log-first')),
  log: headers.get('log-id') ?? '',
});

/** An entry whose incident is named with its machine, so that it can be opened. */
const ofMachine = (entry: Entry, machine: string): Entry =>
  isAboutIncident(entry)
    ? ({ ...entry, data: { ...entry.data, incident: keyOfIncident(entry.data.incident, machine) } } as Entry)
    : entry;
