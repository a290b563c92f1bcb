/** `incident-recorder import`: takes over the incidents of the recorder that the appliance had before. */
import { type FileHandle, open } from 'node:fs/promises';
import { isUtf8 } from 'node:buffer';
import type { Command } from 'commander';
import { readLines } from '../audit/lines.ts';
import { type ClaimedIncident, readClaimed } from '../domain/predecessor.ts';
import { ApiClient, type ApiOptions, withApiClient } from './api-client.ts';
import { counted } from './terminal/counted.ts';
import { writeJson, writeLines } from './terminal/output.ts';
import { printable } from './terminal/printable.ts';

const DESCRIPTION = `Takes over the incidents of the recorder that the appliance had before, from its store (incidents.jsonl) or its audit \
log: one incident in JSON a line; of several lines about one incident the last counts. Each gets an incident.imported \
entry in the log of the running recorder, with its identifier, state and times. An incident that is on record is left \
as it is, so the command can be run again.

What the file says of containment is not known to this recorder. An incident that is not resolved holds the actions \
that it names, each needs a person, and nothing is sent by itself: retry one to have it carried out, or resolve the \
incident.

Where a line is faulty, nothing is taken over, and the lines are named. Needs the role admin.`;

/** More are refused: where each stands is kept in memory. */
const MOST_INCIDENTS = 100_000;
const MOST_FAULTS = 20;
/** How much is sent in one request, in bytes and in incidents. */
const BATCH_BYTES = 128 * 1024;
const BATCH = 200;

interface Outcome {
  readonly imported: number;
  readonly skipped: number;
  /** How many of the file are not resolved and name actions. */
  readonly unknown: number;
}

export const define = (command: Command): Command =>
  withApiClient(
    command.description(DESCRIPTION).argument('<file>', 'incidents.jsonl, or the audit log of the other recorder'),
  ).action(async (path: string, options: ApiOptions) => {
    const api = new ApiClient(options);
    const file = await open(path, 'r');
    try {
      const places = await check(file, path);
      const outcome = await send(file, path, places, api);
      await (options.json ? writeJson(outcome) : writeLines(describe(outcome).map(printable)));
    } finally {
      await file.close();
    }
  });

interface Place {
  readonly line: number;
  readonly offset: number;
  readonly length: number;
}

/**
 * Reads the whole file.
 * @returns where the line stands that counts for each incident, in the order of their first lines
 * @throws Error that names the faulty lines
 */
async function check(file: FileHandle, path: string): Promise<readonly Place[]> {
  const places = new Map<string, Place>();
  const faults: string[] = [];
  let number = 0;
  for await (const lines of readLines(file, 0, (await file.stat()).size)) {
    for (const { bytes, offset } of lines) {
      number += 1;
      if (bytes.length === 0) continue;
      const claimed = parse(bytes);
      if (typeof claimed === 'string') faults.push(`${path}:${number}: ${claimed}`);
      else places.set(claimed.id, { line: number, offset, length: bytes.length });
      if (places.size > MOST_INCIDENTS) throw new Error(`${path} has more than ${MOST_INCIDENTS} incidents: split it`);
      if (faults.length > MOST_FAULTS) throw refused(faults);
    }
  }
  if (faults.length > 0) throw refused(faults);
  return [...places.values()];
}

const refused = (faults: readonly string[]): Error => {
  const more = faults.length > MOST_FAULTS ? ['there may be more'] : [];
  return new Error(['nothing was imported:', ...faults.slice(0, MOST_FAULTS), ...more].join('\n  '));
};

function parse(bytes: Buffer): ClaimedIncident | string {
  if (!isUtf8(bytes)) return 'not UTF-8';
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString());
  } catch {
    return 'not a line of JSON';
  }
  return readClaimed(value);
}

async function send(file: FileHandle, path: string, places: readonly Place[], api: ApiClient): Promise<Outcome> {
  let outcome: Outcome = { imported: 0, skipped: 0, unknown: 0 };
  let batch: ClaimedIncident[] = [];
  let bytes = 0;
  const post = async (): Promise<void> => {
    if (batch.length === 0) return;
    const { imported, skipped } = await api.command<Outcome>('/api/v1/import', { incidents: batch });
    const unknown = batch.filter(isUnknown).length;
    outcome = {
      imported: outcome.imported + imported,
      skipped: outcome.skipped + skipped,
      unknown: outcome.unknown + unknown,
    };
    [batch, bytes] = [[], 0];
  };
  for (const { line, offset, length } of places) {
    const buffer = Buffer.alloc(length);
    await file.read(buffer, 0, length, offset);
    const claimed = parse(buffer);
    if (typeof claimed === 'string') throw new Error(`${path}:${line} has changed meanwhile: run the command again`);
    if (batch.length >= BATCH || bytes + length > BATCH_BYTES) await post();
    batch.push(claimed);
    bytes += length;
  }
  await post();
  return outcome;
}

const isUnknown = ({ state, containment_actions: actions = [] }: ClaimedIncident): boolean =>
  state !== 'resolved' && state !== 'open' && actions.some((action) => action !== 'log_alert');

const describe = ({ imported, skipped, unknown }: Outcome): readonly string[] => [
  `imported ${counted(imported, 'incident')}`,
  ...(skipped === 0 ? [] : [`skipped  ${skipped} that are on record`]),
  ...(unknown === 0
    ? []
    : [`${unknown} are not resolved and name actions: whether these are in force is not known (see posture)`]),
];
