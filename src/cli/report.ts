/** `incident-recorder report`: reports an incident, from options or as JSON from standard input. */
import { readFileSync } from 'node:fs';
import { buffer } from 'node:stream/consumers';
import type { Command } from 'commander';
import { CLASSES, SEVERITIES } from '../../machines/vocabulary.ts';
import { requireKey } from '../client/report-text.ts';
import type { Incident } from '../client/shapes.ts';
import { exactText, withoutMark } from './exact-input.ts';
import { UsageError } from './exit.ts';
import { emptyOrOneOf } from './filter-options.ts';
import { ApiClient, type ApiOptions, withApiClient } from './api-client.ts';
import { reportBatch } from './report-batch.ts';
import { summaryOf } from './summary.ts';
import { writeJson, writeLines } from './terminal/output.ts';

interface Options extends ApiOptions {
  readonly class?: string;
  readonly source?: string;
  readonly description?: string;
  readonly severity?: string;
  readonly evidence?: string;
  readonly dedupKey?: string;
  readonly idempotencyKey?: string;
  readonly batch?: true;
}

export const define = (command: Command): Command =>
  withApiClient(
    command
      .description('Reports an incident. Without options the report is read as JSON from standard input.')
      .addOption(command.createOption('--class <class>', 'what kind of incident').choices(CLASSES))
      .option('--source <source>', 'who reports')
      .option('--description <text>', 'what happened')
      .addOption(emptyOrOneOf(SEVERITIES, command.createOption('--severity <severity>', "instead of the rule's")))
      .option('--evidence <json>', 'a JSON object, or @FILE that holds one')
      .option('--dedup-key <key>', 'further reports with it are occurrences of the same incident')
      .option('--idempotency-key <key>', 'the report may be sent again under it; with --batch KEY-LINE of each line')
      .option('--batch', 'many reports from standard input, a JSON object on each line; says what was refused'),
  ).action(async (options: Options) => {
    const { idempotencyKey, batch } = options;
    if (idempotencyKey !== undefined) requireKey(idempotencyKey);
    if (batch) return reportLines(options);
    const headers = idempotencyKey === undefined ? {} : { 'idempotency-key': idempotencyKey };
    const api = new ApiClient(options);
    const incident = await api.command<Incident>('/api/v1/incidents/report', await bodyOf(options), headers);
    await (options.json ? writeJson(incident) : writeLines([summaryOf(incident)]));
  });

/** The options that say what one report is. */
const OF_ONE = ['class', 'source', 'description', 'severity', 'evidence', 'dedupKey'] as const;

async function reportLines(options: Options): Promise<void> {
  if (OF_ONE.some((name) => options[name] !== undefined)) {
    throw new UsageError('--batch reads reports from standard input: give what they say there');
  }
  if (process.stdin.isTTY) throw new UsageError('nothing to report: --batch reads a JSON object from each line');
  await reportBatch(new ApiClient(options), process.stdin, { json: options.json, key: options.idempotencyKey });
}

/** The report as JSON text. The evidence is copied as it is written, so the recorder can refuse what it can't keep exactly. */
async function bodyOf({ evidence: given, ...options }: Options): Promise<string> {
  // An empty option counts as left out.
  const evidence = given === '' ? undefined : given;
  const { class: name, source, description, severity, dedupKey: dedup_key } = options;
  const fields = { class: name, source, description, severity, dedup_key };
  if (evidence === undefined && Object.values(fields).every((value) => value === undefined)) {
    if (process.stdin.isTTY) throw new UsageError('nothing to report: use the options, or give a report as JSON');
    return exactText(await buffer(process.stdin), 'the report on standard input');
  }
  const json = evidence === undefined ? undefined : evidenceIn(evidence);
  if (json !== undefined && !isObject(json)) {
    throw new UsageError('--evidence must be a JSON object, or @FILE that holds one');
  }
  const members = [JSON.stringify(fields).slice(1, -1), json === undefined ? '' : `"evidence":${json}`];
  return `{${members.filter((member) => member !== '').join(',')}}`;
}

/** The evidence as JSON text: the argument, or what its file holds. */
function evidenceIn(argument: string): string {
  if (!argument.startsWith('@')) return withoutMark(argument, 'the evidence');
  const path = argument.slice(1);
  return exactText(readFileSync(path), path);
}

function isObject(json: string): boolean {
  try {
    return /^\s*\{/.test(json) && typeof JSON.parse(json) === 'object';
  } catch {
    return false;
  }
}
