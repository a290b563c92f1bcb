import type { Context } from 'koa';
import { ACTIONS, type ContainmentAction } from '../../../machines/vocabulary.ts';
import { RecorderError } from '../../errors.ts';
import type { ApiDependencies } from '../dependencies.ts';
import type { Admission } from '../middleware/admission.ts';
import { admittedIn } from '../middleware/authentication.ts';
import { isTrustedReader, readableActions, readAccess } from '../middleware/read-access.ts';
import type { ApiRoute } from '../middleware/routing.ts';
import { requireBound } from '../request/bounds.ts';
import { callerOf } from '../request/caller.ts';
import { readBody, readParameters } from '../request/read.ts';
import { expectedVersion } from '../incidents/if-match.ts';
import { respondIncident, respondJson } from '../respond.ts';
import { turnsOf } from '../server/peer.ts';
import { postureTexts, respondPosture } from './respond-posture.ts';
import {
  CONFIRM_REQUIRED,
  confirmSchema,
  PREVIEW_REQUIRED,
  previewSchema,
  RELEASE_REQUIRED,
  releaseSchema,
  RETRY_REQUIRED,
  retrySchema,
} from './requests.ts';

/** The posture, and what services and operators say about it. */
export const containmentRoutes = (
  {
    posture,
    receipts,
    preview,
    recorder,
    incidents,
    ...reads
  }: Pick<ApiDependencies, 'posture' | 'receipts' | 'preview' | 'recorder' | 'incidents' | 'access' | 'readAccess'>,
  { command, large }: Pick<Admission, 'command' | 'large'>,
): readonly ApiRoute[] => {
  const textOf = postureTexts(posture);
  const textFor = (ctx: Context, what: ContainmentAction | readonly ContainmentAction[]) => (): string =>
    textOf(what, isTrustedReader(reads.access, ctx));
  const mayRead = readAccess(reads);
  const stillReadable = (ctx: Context, actions: readonly ContainmentAction[]) => (): void => {
    mayRead(ctx);
    const now = readableActions(reads, ctx);
    const lost = actions.find((action) => !now.includes(action));
    if (lost !== undefined) throw notReadable(lost, now);
  };
  return [
    {
      method: 'GET',
      path: '/api/v1/containment',
      handle: (ctx) => {
        const actions = readableActions(reads, ctx);
        return respondPosture(ctx, posture, actions, textFor(ctx, actions), stillReadable(ctx, actions));
      },
    },
    {
      method: 'POST',
      path: '/api/v1/containment/confirm',
      before: command('implementer'),
      handle: async (ctx) => {
        const body = readBody(ctx, confirmSchema, CONFIRM_REQUIRED);
        const { action, directive } = body;
        requireBound(admittedIn(ctx), { action });
        respondJson(
          ctx,
          200,
          JSON.stringify({ action, directive, ...(await receipts.confirm({ ...body, caller: callerOf(ctx) })) }),
        );
      },
    },
    {
      method: 'POST',
      path: '/api/v1/containment/retry',
      before: command('operator'),
      handle: async (ctx) => {
        const { by, ...body } = readBody(ctx, retrySchema, RETRY_REQUIRED);
        const request = { ...body, caller: callerOf(ctx, by) };
        respondJson(ctx, 200, JSON.stringify({ action: body.action, ...(await receipts.retry(request)) }));
      },
    },
    {
      method: 'POST',
      path: '/api/v1/containment/release',
      before: command('operator', 'recovery'),
      handle: async (ctx) => {
        const { by, ...body } = readBody(ctx, releaseSchema, RELEASE_REQUIRED);
        const version = expectedVersion(ctx.req.headers['if-match'], () => incidents.get(body.id)?.version);
        const asked = { ...body, caller: callerOf(ctx, by), roles: admittedIn(ctx).principal.roles };
        const { incident } = await recorder.release(asked, version);
        const release = JSON.stringify(preview.released(body.action));
        respondIncident(ctx, 200, { ...incident, json: `${incident.json.slice(0, -1)},"release":${release}}` });
      },
    },
    {
      method: 'GET',
      path: '/api/v1/containment/preview',
      before: large,
      handle: async (ctx) => {
        const { id, command: asked, action: about = [] } = readParameters(ctx, previewSchema, PREVIEW_REQUIRED);
        const [releasing = 'resolve'] = asked;
        const [action] = about;
        if ((releasing === 'release') !== (action !== undefined)) {
          throw new RecorderError('invalid_request', 'action is required with command=release, and with no other');
        }
        const shown = await preview.of(id, releasing, action, turnsOf(ctx.req));
        // An implementer reads of its own actions only.
        const readable = readableActions(reads, ctx);
        const actions = shown.actions.filter((one) => readable.includes(one.action));
        const found = shown.incidents.map((one) => ({
          ...one,
          actions: one.actions.filter((held) => readable.includes(held)),
        }));
        ctx.vary('Authorization');
        respondJson(ctx, 200, JSON.stringify({ ...shown, actions, incidents: found }));
      },
    },
    {
      method: 'GET',
      path: '/api/v1/containment/:action',
      handle: (ctx) => {
        const action = actionIn(ctx);
        const actions = readableActions(reads, ctx);
        if (!actions.includes(action)) throw notReadable(action, actions);
        return respondPosture(ctx, posture, [action], textFor(ctx, action), stillReadable(ctx, [action]));
      },
    },
  ];
};

const actionIn = ({ params }: Context): ContainmentAction => {
  const action = ACTIONS.find((name) => name === params.action);
  if (action !== undefined) return action;
  throw new RecorderError('not_found', `no such containment action; allowed: ${ACTIONS.join(', ')}`, {
    fields: { allowed: ACTIONS },
  });
};

/** The refusal of the posture of an action that is not among a principal's. */
const notReadable = (action: ContainmentAction, actions: readonly ContainmentAction[]): RecorderError => {
  const own = actions.length === 0 ? '(none)' : actions.join(', ');
  const message = `forbidden: as implementer, this token reads the posture of the actions ${own}, not ${action}`;
  return new RecorderError('forbidden', message, { fields: { needs: ['reader', 'implementer'], actions } });
};
