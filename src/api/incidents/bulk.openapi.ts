import * as z from 'zod/mini';
import type { ZodOpenApiPathsObject } from 'zod-openapi';
import { COMMANDS } from '../../../machines/commands.ts';
import { CLASSES, RECOVERY_STEPS, RESOLUTIONS, ROLES, SEVERITIES, STATES } from '../../../machines/vocabulary.ts';
import type { BulkAnswer, BulkPreview } from '../../domain/bulk-command.ts';
import { described, meaning, named } from '../openapi/described.ts';
import { EXAMPLE_INCIDENT } from '../openapi/examples.ts';
import { refusals, requestBody, response } from '../openapi/responses.ts';
import { count, type FieldsOf, maybe, state, text } from '../openapi/values.ts';
import { actionPreview } from '../containment/containment.openapi.ts';
import { step } from '../recovery/recovery-shape.openapi.ts';
import { USUAL_BULK } from './bulk.ts';
import { bulkSchema, filterSchema, LONGEST_BULK } from './requests.ts';

const TEXTS = { oneOf: [{ type: 'string' }, { type: 'boolean' }, { type: 'array', items: { type: 'string' } }] };
const FILTERS = Object.keys(filterSchema.shape);

const body = described('Bulk', 'A command on all incidents that a filter selects.', bulkSchema, {
  command: 'What is done with each of them.',
  filter: {
    description:
      'Which incidents: the filters of `GET /api/v1/incidents`, each a value or a list of values, at least one of them.',
    override: {
      type: 'object',
      properties: Object.fromEntries(FILTERS.map((name) => [name, TEXTS])),
      additionalProperties: false,
      minProperties: 1,
    },
  },
  by: 'Who gives it.',
  note: 'Why, or with note what there is to say; each of them keeps it.',
  resolution: `With resolve: what they were: ${RESOLUTIONS.join(', ')}.`,
  to: 'With assign: who; `null` for nobody.',
  until: {
    description: 'With snooze: RFC 3339, in the future, at most 90 days ahead; `null` ends the snooze.',
    examples: ['2026-11-22T18:00:00Z'],
  },
  preview: 'Only says what is selected, and what would become of it.',
  dry_run: 'The same as `preview`.',
  limit: `How many are worked with this request at most; ${USUAL_BULK} when not given, at most ${LONGEST_BULK}.`,
  cursor: 'From the answer before, or the `snapshot` of a preview, of the same command and filter.',
});

const countsOf = (names: readonly string[]) => z.object(Object.fromEntries(names.map((name) => [name, maybe(count)])));

const result = z.object({
  id: text(),
  status: meaning(z.int(), 'As the command alone would have been answered: 200, 403, 404, 409, 410.'),
  change: maybe(meaning(z.enum(['moved', 'unchanged']), 'Whether the command changed it, or it was there already.')),
  state: maybe(meaning(state, 'Its state after the command, or in which it refused.')),
  error: maybe(text()),
  allowed: maybe(meaning(z.array(z.enum(COMMANDS)), 'What is possible instead.')),
  missing: maybe(meaning(z.array(step), 'What its recovery still needs, when that is why.')),
  needs: maybe(meaning(z.array(z.enum(ROLES)), 'One of these roles is needed.')),
  roles: maybe(meaning(z.array(z.enum(ROLES)), 'The roles of whoever asks.')),
} satisfies Record<string, z.ZodMiniType>);

const answer = named(
  'BulkAnswer',
  'What became of the incidents of this request.',
  z.object({
    results: z.array(result),
    done: meaning(z.boolean(), 'Whether all that the filter selects were worked.'),
    remaining: maybe(meaning(count, 'How many are left; absent when there are more than a thousand.')),
    cursor: maybe(meaning(text(), 'Goes on from here, with the same command and filter; only until it is done.')),
    stopped: maybe(
      meaning(
        z.object({ status: z.int(), error: text() }),
        'Why it stopped before its time: something is wrong with the whole service. Try again with the cursor.',
      ),
    ),
  } satisfies FieldsOf<Omit<BulkAnswer, 'act'>>),
);

const previewed = named(
  'BulkPreview',
  'What a bulk command would be about.',
  z.object({
    matched: meaning(count, 'How many incidents the filter selects.'),
    complete: meaning(z.boolean(), 'False when more are selected than are counted.'),
    classes: countsOf(CLASSES),
    severities: countsOf(SEVERITIES),
    states: countsOf(STATES),
    allowed: meaning(count, 'How many would change.'),
    unchanged: meaning(count, 'How many are there already.'),
    refused: meaning(countsOf(STATES), 'How many would refuse, by their state.'),
    needs: maybe(
      meaning(
        z.object({ roles: z.array(z.enum(ROLES)), count }),
        'How many of those refuse for want of a role, and which one it takes.',
      ),
    ),
    judged: maybe(meaning(count, 'How many were asked what would become of them, when that is not all.')),
    actions: maybe(
      meaning(
        z.array(actionPreview),
        'With `resolve`: what becomes of each action that those which would move hold. Absent when not all were asked.',
      ),
    ),
    missing: maybe(
      meaning(
        z.object(Object.fromEntries(RECOVERY_STEPS.map((name) => [name, maybe(count)]))),
        'With `resolve`: how many can’t be resolved yet, as their recovery needs these steps.',
      ),
    ),
    snapshot: meaning(text(), 'The cursor with which the command works what was previewed, and nothing newer.'),
  } satisfies FieldsOf<Omit<BulkPreview, 'machines' | 'uncertain'>>),
);

export const bulkPaths: ZodOpenApiPathsObject = {
  '/api/v1/incidents/bulk': {
    post: {
      operationId: 'commandIncidents',
      tags: ['incidents'],
      summary: 'Give a command to all incidents that a filter selects',
      description:
        'Each goes through its own decision, most severe first; one that refuses does not stop the others. A request works ' +
        'a few and ends after seconds: send it again with its `cursor` until it is `done`, also after a crash. What was ' +
        'reported since the first request, or the preview, is left out.',
      requestBody: requestBody(body, {
        command: 'acknowledge',
        filter: { class: ['tool_call_burst'], source: ['tool-firewall'], state: ['open', 'contained'] },
        note: 'the loop of agent-7',
      }),
      responses: {
        200: response('What became of them; with `preview` what would.', z.union([answer, previewed]), {
          results: [{ id: EXAMPLE_INCIDENT.id, status: 200, change: 'moved', state: 'acknowledged' }],
          done: false,
          remaining: 299,
          cursor: 'YnVsay4xLjE3LjE3LjBmMWUyZDNjNGI1YTY5Nzg',
        }),
        ...refusals(400, 410, 413, 415),
        503: response(
          'Nothing can be recorded now; nothing was done with this request. `cursor` is where to go on from.',
          z.object({ error: text(), cursor: maybe(text()) }),
          { error: "the audit log can't be written: ENOSPC" },
          { 'Retry-After': 'After how many seconds to try again.' },
        ),
      },
    },
  },
};
