/** `incident-recorder drill`: rehearses a class, waits for its end, and says what answered, how fast, and what did not. */
import { setTimeout as pause } from 'node:timers/promises';
import type { Command } from 'commander';
import { CLASSES } from '../../machines/vocabulary.ts';
import type { Delivery, Incident } from '../client/shapes.ts';
import { ApiClient, type OperatorOptions, withOperator, withQuery } from './api-client.ts';
import { EXIT } from './exit.ts';
import { TROUBLE_STYLE } from './terminal/colour.ts';
import { writeJson, writeLines, writeNotice } from './terminal/output.ts';
import { table } from './terminal/table.ts';

const BY_HAND = 'the policy has no address to release it';
const LOOK_EVERY = 300;
/** A drill lasts for `overdue_after` of the policy at most, a day, and its releases are tried for five minutes. */
const LONGEST = (24 * 60 + 10) * 60_000;

/** What became of one request of the drill. */
interface Line {
  readonly action: string;
  readonly directive: 'engage' | 'release';
  /** `by hand`: the target has no address to release what the drill has engaged. */
  readonly outcome: 'answered' | 'not asked' | 'no answer' | 'by hand';
  /** How long that took, in milliseconds. */
  readonly milliseconds?: number;
  readonly detail?: string;
}

const DESCRIPTION = `Rehearses what a report of a class does, with the targets that take part (drill: true in the policy), and waits \
for the end. Prints what answered, how fast, and what did not; the exit code is 0 only if something was asked, and all of it has answered.`;

export const define = (command: Command): Command =>
  withOperator(
    command
      .description(DESCRIPTION)
      .addArgument(command.createArgument('<class>', 'the class to rehearse').choices(CLASSES)),
  ).action(async (ofClass: string, { by, note, ...options }: OperatorOptions) => {
    const api = new ApiClient(options);
    const { id } = await api.command<Incident>('/api/v1/drill', { class: ofClass, by, note });
    const incident = await end(api, id);
    const lines = linesOf(incident);
    const asked = lines.filter(({ outcome }) => outcome !== 'not asked' && outcome !== 'by hand');
    const passed = asked.length > 0 && asked.every(({ outcome }) => outcome === 'answered');
    if (!passed) process.exitCode = EXIT.refused;
    if (options.json) return writeJson({ id, class: ofClass, passed, results: lines, incident });
    await writeLines([`${id}  drill of ${ofClass}`, ...report(lines)]);
    if (asked.length === 0)
      writeNotice('nothing was asked: no target of this class takes part (drill: true in the policy)');
    const byHand = lines.filter(({ outcome }) => outcome === 'by hand').map(({ action }) => action);
    if (byHand.length > 0) writeNotice(`release by hand what the drill has engaged: ${byHand.join(', ')}`);
  });

/** The incident of a drill once that is over. @throws Error when it does not end */
async function end(api: ApiClient, id: string): Promise<Incident> {
  for (let waited = 0; waited < LONGEST; waited += LOOK_EVERY) {
    const incident = await api.read<Incident>(withQuery('/api/v1/incidents/get', { id }));
    if (incident.state === 'resolved' && !(incident.drill_releases ?? []).some(isOnItsWay)) return incident;
    await pause(LOOK_EVERY);
  }
  throw new Error(`the drill ${id} does not end`);
}

const isOnItsWay = ({ status }: Delivery): boolean => status === 'pending' || status === 'delivering';

function linesOf({ containment, drill_releases: releases = [] }: Incident): readonly Line[] {
  const engaged = (containment?.actions ?? []).map((delivery) => lineOf(delivery, 'engage'));
  const staying = engaged.filter(
    ({ action, outcome }) => outcome !== 'not asked' && releases.every((release) => release.action !== action),
  );
  return [
    ...engaged,
    ...releases.map((delivery) => lineOf(delivery, 'release')),
    ...staying.map(({ action }): Line => ({ action, directive: 'release', outcome: 'by hand', detail: BY_HAND })),
  ];
}

function lineOf(delivery: Delivery, directive: Line['directive']): Line {
  const { action, status, asked_at, confirmed_at, last_error: error } = delivery;
  if (status === 'confirmed' && confirmed_at !== undefined) {
    return { action, directive, outcome: 'answered', milliseconds: Date.parse(confirmed_at) - Date.parse(asked_at) };
  }
  // What a drill spares has never been sent.
  const wasSpared = status === 'superseded' && /^not (?:asked|released): /.test(error ?? '');
  return {
    action,
    directive,
    outcome: wasSpared ? 'not asked' : 'no answer',
    ...(error === undefined ? {} : { detail: error }),
  };
}

const report = (lines: readonly Line[]): readonly string[] =>
  table<Line>(
    [
      { header: 'ACTION', value: ({ action }) => action },
      { header: 'DIRECTIVE', value: ({ directive }) => directive },
      {
        header: 'RESULT',
        value: ({ outcome }) => outcome,
        style: ({ outcome }) => (outcome === 'no answer' || outcome === 'by hand' ? TROUBLE_STYLE : undefined),
      },
      {
        header: 'AFTER',
        value: ({ milliseconds }) => (milliseconds === undefined ? '' : `${milliseconds} ms`),
      },
      { header: 'DETAIL', value: ({ detail }) => detail ?? '', least: 12, optional: true },
    ],
    lines,
  );
